package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// Endpoints are the addresses of the five channels, tcp://HOST:PORT or ipc://PATH.
type Endpoints struct {
	Shell, Control, Stdin, IOPub, Heartbeat string
}

// front holds the sockets that clients connect to.
type front struct {
	shell, control, stdin *zsock.Router
	iopub                 *zsock.XPub
	heartbeat             *zsock.Echo
}

// listen binds the front sockets.
func listen(e Endpoints) (_ *front, err error) {
	f := new(front)
	defer func() {
		if err != nil { // f is not returned
			err = errors.Join(fmt.Errorf("bind the kernel's ports: %w", err), f.close())
		}
	}()
	for _, r := range []struct {
		endpoint string
		router   **zsock.Router
	}{{e.Shell, &f.shell}, {e.Control, &f.control}, {e.Stdin, &f.stdin}} {
		if *r.router, err = zsock.ListenRouter(r.endpoint, zsock.Options{}); err != nil {
			return nil, err
		}
	}
	if f.iopub, err = zsock.ListenXPub(e.IOPub, zsock.Options{}); err != nil {
		return nil, err
	}
	if f.heartbeat, err = zsock.ListenEcho(e.Heartbeat, zsock.Options{}); err != nil {
		return nil, err
	}
	return f, nil
}

// close closes the sockets; what is queued for clients is still written, for at most a second.
func (f *front) close() error {
	var g errgroup.Group
	for _, r := range []*zsock.Router{f.shell, f.control, f.stdin} {
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
	shell, control, stdin *zsock.Dealer
	iopub                 *zsock.Sub
}

// dial connects to a kernel that may still be starting, until ctx ends.
func dial(ctx context.Context, e Endpoints) (*back, error) {
	b := new(back)
	identity := []byte("nbhush-" + rand.Text())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		b.iopub, err = zsock.DialSub(ctx, e.IOPub, [][]byte{{}}, zsock.Options{})
		return err
	})
	for _, d := range []struct {
		endpoint string
		dealer   **zsock.Dealer
	}{{e.Shell, &b.shell}, {e.Control, &b.control}, {e.Stdin, &b.stdin}} {
		g.Go(func() (err error) {
			*d.dealer, err = zsock.DialDealer(ctx, d.endpoint, identity, zsock.Options{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the kernel: %w", err), b.close())
	}
	return b, nil
}

func (b *back) close() error {
	var errs []error
	for _, d := range []*zsock.Dealer{b.shell, b.control, b.stdin} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if b.iopub != nil {
		errs = append(errs, b.iopub.Close())
	}
	return errors.Join(errs...)
}
