package zsock

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// server is what the listening sockets share: it accepts connections, brings
// each through its handshake on a goroutine of its own, and knows them all.
type server struct {
	kind     *kind
	o        Options
	ln       net.Listener
	endpoint string
	pool     pool
	encoders encoders
	done     chan struct{} // closed by Close
	wg       sync.WaitGroup
	// join is called when a peer's handshake is done and it has an id, with mu held.
	join func(*peer)
	// run reads the peer's traffic until that ends.
	run func(*peer) error
	// leave is called when a peer that joined is gone, with mu held.
	leave func(*peer)

	mu     sync.Mutex
	peers  []*peer // oldest first
	nextID uint32
	closed bool
}

func (s *server) start(endpoint string, k *kind, o Options) (err error) {
	s.kind, s.o = k, o.withDefaults(k.queue)
	if s.ln, s.endpoint, err = listen(endpoint); err != nil {
		return err
	}
	s.done = make(chan struct{})
	s.wg.Go(s.accept)
	return nil
}

// Endpoint returns the endpoint that the socket is bound to, with its port.
func (s *server) Endpoint() string { return s.endpoint }

func (s *server) accept() {
	for {
		conn, err := s.ln.Accept()
		switch {
		case err == nil:
			s.add(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			// Out of descriptors, most likely. A silent connection may hold one.
			s.mu.Lock()
			s.evict(func(p *peer) bool { return !p.established })
			s.mu.Unlock()
			select {
			case <-s.done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// add starts the handshake of conn, if there is room for it.
func (s *server) add(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.makeRoom() {
		_ = conn.Close()
		s.o.OnClose(errEvicted)
		return
	}
	p := newPeer(conn, s.kind, &s.o, &s.pool, &s.wg)
	s.peers = append(s.peers, p)
	s.wg.Go(func() { s.serve(p) })
}

// makeRoom keeps to Options.MaxPeers and reports whether one more may come; mu
// is held. Whoever is silent goes first, then who has not shown the key.
func (s *server) makeRoom() bool {
	return len(s.peers) < s.o.MaxPeers ||
		s.evict(func(p *peer) bool { return !p.established }) ||
		s.evict(func(p *peer) bool { return !p.isTrusted() })
}

// evict closes the oldest connection for which may is true and reports whether
// there was one; mu is held.
func (s *server) evict(may func(*peer) bool) bool {
	i := slices.IndexFunc(s.peers, may)
	if i < 0 {
		return false
	}
	_ = s.peers[i].out.shut(errEvicted)
	s.peers = slices.Delete(s.peers, i, i+1)
	return true
}

// serve is the life of one connection.
func (s *server) serve(p *peer) {
	_ = p.conn.SetDeadline(time.Now().Add(s.o.Handshake))
	err := s.o.Admit(p.conn)
	if err == nil {
		err = p.accept()
	}
	if err == nil {
		_ = p.conn.SetDeadline(time.Time{})
		p.in.resize(s.kind.buffer)
		if err = s.establish(p); err == nil {
			err = s.run(p)
		}
	}
	err = p.out.shut(err)
	p.in.wipe()
	s.mu.Lock()
	s.peers = slices.DeleteFunc(s.peers, func(q *peer) bool { return q == p })
	if p.established {
		s.leave(p)
	}
	s.mu.Unlock()
	s.o.OnClose(err)
}

func (s *server) establish(p *peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(p.id) == 0 || s.kind != &routerKind {
		// Five bytes that begin with zero, as libzmq makes them: no peer can claim these.
		s.nextID++
		p.id = binary.BigEndian.AppendUint32([]byte{0}, s.nextID)
	}
	p.established = true
	s.join(p)
	return nil
}

// Close stops listening, waits up to Options.Linger for what is queued, closes
// every connection and returns when all goroutines of the socket have ended.
// Close may be called more than once.
func (s *server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	peers := slices.Clone(s.peers)
	s.mu.Unlock()
	var err error
	if first {
		err = s.ln.Close()
		close(s.done)
		linger(peers, s.o.Linger)
		for _, p := range peers {
			_ = p.out.shut(ErrClosed)
		}
	}
	s.wg.Wait()
	return err
}

// linger waits until nothing is queued for peers, but at most d.
func linger(peers []*peer, d time.Duration) {
	if d < 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	for _, p := range peers {
		select {
		case <-p.out.drained():
		case <-t.C:
			return
		}
	}
}
