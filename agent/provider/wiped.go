package provider

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/nbhush/nbhush/agent/secret"
)

// wires are the connections of one endpoint. net/http reads and writes on
// goroutines and in buffers of its own, which nobody guards or clears: so TLS is
// done here, guarded, and where what was read went is remembered until wipe.
type wires struct {
	mu    sync.Mutex
	reads [][]byte
}

// maxReads is more than the longest answer needs.
const maxReads = 1 << 14

func (w *wires) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &wire{c, w}, nil
}

func (w *wires) dialTLS(config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := config.Clone()
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
		c := tls.Client(raw, config)
		secret.Do(func() { err = c.HandshakeContext(ctx) })
		if err != nil {
			_ = raw.Close()
			return nil, err
		}
		return &wire{c, w}, nil
	}
}

// wipe clears what was read. Nobody reads on these connections any more.
func (w *wires) wipe() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.reads {
		clear(p)
	}
	w.reads = nil
}

// wire is one of them.
type wire struct {
	net.Conn
	all *wires
}

func (w *wire) Read(p []byte) (n int, err error) {
	secret.Do(func() { n, err = w.Conn.Read(p) })
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if n > 0 && len(w.all.reads) < maxReads {
		w.all.reads = append(w.all.reads, p[:n:n])
	}
	return n, err
}

// Write clears what was written: a buffer of net/http, with a token in it.
func (w *wire) Write(p []byte) (n int, err error) {
	secret.Do(func() { n, err = w.Conn.Write(p) })
	clear(p[:n])
	return n, err
}
