package zsock

import (
	"errors"
	"net"
	"time"
)

// Errors that callers decide on.
var (
	// ErrClosed is returned by a socket that was closed.
	ErrClosed = errors.New("zsock: socket is closed")
	// ErrNoPeer is returned by a send to a peer that is not connected, or that
	// was cut off because it did not read what was sent before.
	ErrNoPeer = errors.New("zsock: no such peer")
)

// Options are the limits of a socket. The zero value has good defaults.
// Callbacks may run on any goroutine and, but for Handle, must not block and must
// not call the socket.
type Options struct {
	// Curve, if set, makes every connection of the socket a CURVE one: NULL if nil.
	Curve *Curve
	// MaxUntrusted is the size in bytes of the largest message that a Router
	// takes from a peer before Trust: 1 MiB if zero.
	MaxUntrusted int
	// MaxMessage is the size in bytes of the largest message that is taken
	// at all: 1 GiB if zero.
	MaxMessage int
	// Handshake is the longest time that a new connection may take until it
	// can carry messages: 10 s if zero.
	Handshake time.Duration
	// Queue is the number of bytes that may wait for one slow peer. Beyond
	// it an XPub drops the oldest message, a Router cuts the peer off and
	// a Dealer's Send waits. A message longer than Queue is still taken when
	// nothing else waits. 512 MiB for XPub and 64 MiB for the others if zero.
	Queue int
	// MaxPeers is the number of connections of a listening socket: 256 if zero.
	// Beyond it the connection that is longest in its handshake is closed
	// for a new one, then the oldest one that is not trusted (Router only).
	MaxPeers int
	// Linger is how long Close waits for queued messages to be written:
	// 1 s if zero, as ipykernel does; not at all if negative.
	Linger time.Duration
	// Admit, if set, is asked by a listening socket whether a connection may be
	// served, on the connection's own goroutine, before anything is sent to it. It
	// is closed for an error, of which OnClose is told; the handshake's time runs.
	Admit func(conn net.Conn) error
	// Handle, if set, is called by a Router or a Dealer with each message, in
	// place of Recv, on the goroutine of the connection that it came on: the
	// next message of that peer is read when it returns. It may block, until
	// Close at most, and may call Send. A hand-over to another goroutine would
	// cost as much as all the rest of a small message.
	Handle func(m Message)
	// Early, if set, is the length in bytes from which on the last frame of a message
	// need not be there yet when a Sub delivers the message: see Message.Wait. Not under CURVE.
	Early int
	// OnDrop, if set, is told how many messages an XPub has just dropped
	// for one slow subscriber.
	OnDrop func(n int)
	// OnClose, if set, is told why a connection of a listening socket ended:
	// io.EOF when the peer closed it between two messages. The error holds no
	// bytes of a message.
	OnClose func(err error)
}

func (o Options) withDefaults(queue int) Options {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&o.MaxMessage, 1<<30)
	set(&o.MaxUntrusted, 1<<20)
	o.MaxUntrusted = min(o.MaxUntrusted, o.MaxMessage)
	set(&o.Queue, queue)
	set(&o.MaxPeers, 256)
	if o.Handshake <= 0 {
		o.Handshake = 10 * time.Second
	}
	if o.Linger == 0 {
		o.Linger = time.Second
	}
	if o.Admit == nil {
		o.Admit = func(net.Conn) error { return nil }
	}
	if o.OnDrop == nil {
		o.OnDrop = func(int) {}
	}
	if o.OnClose == nil {
		o.OnClose = func(error) {}
	}
	return o
}
