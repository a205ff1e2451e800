package zsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Router is a bound ROUTER socket. All methods may be called at the same time.
//
// A connection that claims the identity of another one replaces it, as in
// ipykernel, which sets ROUTER_HANDOVER on its sockets; libzmq's default would
// refuse the newcomer.
type Router struct {
	server
	in chan Message

	ids  sync.RWMutex
	byID map[string]*peer
}

// ListenRouter binds endpoint: tcp://127.0.0.1:PORT, where port 0 is any free
// one, tcp://[::1]:PORT or ipc://PATH, which gets mode 0600; the directory is
// the caller's to protect.
func ListenRouter(endpoint string, o Options) (*Router, error) {
	r := &Router{in: make(chan Message), byID: make(map[string]*peer)}
	r.join, r.run, r.leave = r.joined, r.read, r.left
	if err := r.start(endpoint, &routerKind, o); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Router) joined(p *peer) {
	r.ids.Lock()
	old := r.byID[string(p.id)]
	r.byID[string(p.id)] = p
	r.ids.Unlock()
	if old != nil {
		_ = old.out.shut(errReplaced)
	}
}

func (r *Router) left(p *peer) {
	r.ids.Lock()
	defer r.ids.Unlock()
	if r.byID[string(p.id)] == p {
		delete(r.byID, string(p.id))
	}
}

func (r *Router) read(p *peer) error {
	for {
		b, err := p.in.message()
		if err != nil {
			return err
		}
		p.heard = true
		m := b.message(p.id)
		m.Trusted = p.isTrusted()
		if r.o.Handle != nil {
			r.o.Handle(m)
			continue
		}
		select {
		case r.in <- m:
		case <-p.out.gone: // cut off, which must end this goroutine
			return ErrClosed
		}
	}
}

// Recv returns the next message of any peer, or ctx's error, or ErrClosed. A
// peer's messages come in order. While nobody calls Recv peers wait, each with
// one message read.
func (r *Router) Recv(ctx context.Context) (Message, error) {
	select {
	case m := <-r.in:
		return m, nil
	case <-r.done:
		return Message{}, ErrClosed
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

func (r *Router) peer(id []byte) *peer {
	r.ids.RLock()
	defer r.ids.RUnlock()
	return r.byID[string(id)]
}

// Conn is the connection of a peer, to look at who is at its other end.
type Conn interface {
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// Conn returns the connection of the peer with this routing id, nil if there is
// none. On a Unix socket it is a *net.UnixConn.
func (r *Router) Conn(peer []byte) Conn {
	p := r.peer(peer)
	if p == nil {
		return nil
	}
	return p.conn
}

// Send sends one message to the peer with this routing id. It does not wait:
// what the connection does not take at once is queued, and a peer whose queue
// is full is cut off, since replies must not be lost unseen. ErrNoPeer if there
// is no such peer or it was cut off.
func (r *Router) Send(peer []byte, frames [][]byte) error {
	if len(frames) == 0 {
		return errNoFrames
	}
	p := r.peer(peer)
	if p == nil {
		return ErrNoPeer
	}
	e := r.encoders.get(frames)
	defer r.encoders.put(e)
	if _, err := p.out.send(e); err != nil {
		if errors.Is(err, ErrClosed) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrNoPeer, err)
	}
	return nil
}

var errNoFrames = errors.New("zsock: a message has at least one frame")

// Trust lets the peer send messages up to Options.MaxMessage, from the next
// frame on. Call it for a message that is not Trusted and has a valid signature.
func (r *Router) Trust(peer []byte) {
	if p := r.peer(peer); p != nil {
		p.trusted()
	}
}
