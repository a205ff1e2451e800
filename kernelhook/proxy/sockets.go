package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"

	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// Endpoints are the addresses of the five channels, tcp://HOST:PORT or ipc://PATH.
type Endpoints struct {
	Shell, Control, Stdin, IOPub, Heartbeat string

	Curve *zsock.Curve // keys of all five, nil without encryption
}

// channel is one of those on which requests come and replies go.
type channel int

const (
	shell channel = iota
	control
	stdin
	channels
)

func (e Endpoints) of(c channel) string { return [channels]string{e.Shell, e.Control, e.Stdin}[c] }

// front holds the sockets that clients connect to.
type front struct {
	routers   [channels]*zsock.Router
	iopub     *zsock.XPub
	heartbeat *zsock.Echo
}

// listen binds the front sockets, to which admit lets clients. What comes goes to
// request, and dropped is told what a client lost. After an error the caller
// closes what is there.
func listen(e Endpoints, admit func(net.Conn) error, dropped func(n int), request func(channel, zsock.Message)) (f *front, err error) {
	f = new(front)
	for c := range channels {
		o := zsock.Options{Curve: e.Curve, Admit: admit, Handle: func(m zsock.Message) { request(c, m) }}
		if f.routers[c], err = zsock.ListenRouter(e.of(c), o); err != nil {
			return f, fmt.Errorf("bind the kernel's ports: %w", err)
		}
	}
	if f.iopub, err = zsock.ListenXPub(e.IOPub, zsock.Options{Curve: e.Curve, Admit: admit, OnDrop: dropped}); err == nil {
		f.heartbeat, err = zsock.ListenEcho(e.Heartbeat, zsock.Options{Curve: e.Curve, Admit: admit})
	}
	if err != nil {
		return f, fmt.Errorf("bind the kernel's ports: %w", err)
	}
	return f, nil
}

// close closes the sockets; what is queued for clients is still written, for at most a second.
func (f *front) close() error {
	var g errgroup.Group
	for _, r := range f.routers {
		if r != nil {
			g.Go(r.Close)
		}
	}
	if f.iopub != nil {
		g.Go(f.iopub.Close)
	}
	if f.heartbeat != nil {
		g.Go(f.heartbeat.Close)
	}
	return g.Wait()
}

// back holds the sockets that are connected to the kernel.
type back struct {
	dealers [channels]*zsock.Dealer
	iopub   *zsock.Sub
}

// dial connects to a kernel that may still be starting, until ctx ends. What
// comes on its dealers goes to reply. After an error the caller closes what is there.
func dial(ctx context.Context, e Endpoints, reply func(channel, zsock.Message)) (*back, error) {
	b := new(back)
	identity := []byte("nbhush-" + rand.Text())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		b.iopub, err = zsock.DialSub(ctx, e.IOPub, [][]byte{{}}, zsock.Options{Curve: e.Curve, Early: arrivingBytes})
		return err
	})
	for c := range channels {
		g.Go(func() (err error) {
			o := zsock.Options{Curve: e.Curve, Handle: func(m zsock.Message) { reply(c, m) }}
			b.dealers[c], err = zsock.DialDealer(ctx, e.of(c), identity, o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return b, fmt.Errorf("connect to the kernel: %w", err)
	}
	return b, nil
}

func (b *back) close() error {
	var errs []error
	for _, d := range b.dealers {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if b.iopub != nil {
		errs = append(errs, b.iopub.Close())
	}
	return errors.Join(errs...)
}
