package agent

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxPlaces = 16                    // connections that ask at a time
	turn      = 8                     // requests of one of them while others wait
	restTime  = 20 * time.Millisecond // without a request's beginning or end
	maxQueue  = 256                   // connections that wait here; more do in the system
)

// places is a listener from which so many connections are served at a time: each takes
// 50 kB for its goroutines, its buffers and what it asks, and 16 are served as fast as 200.
// The others wait, unread. While one does, those that had their turn are answered with
// "Connection: close" and dial again (RFC 9112, section 9.6). A connection that rests, whose
// answer takes its time or that became a stream needs no place, and none is closed but with
// an answer. It is safe for concurrent use.
type places struct {
	net.Listener
	queue  chan net.Conn
	failed chan error
	freed  chan struct{} // perhaps
	closed chan struct{}
	close  sync.Once
	ended  chan struct{} // closed once nobody is accepted any more

	restTime time.Duration

	mu      sync.Mutex
	taken   map[net.Conn]*place
	waiting bool
}

// place is what a connection has while it asks.
type place struct {
	at     time.Time // when a request last began or ended
	served int       // requests
}

func newPlaces(l net.Listener) *places {
	p := &places{
		Listener: l, restTime: restTime, taken: map[net.Conn]*place{},
		queue: make(chan net.Conn, maxQueue), failed: make(chan error), freed: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{}),
	}
	go p.accept()
	return p
}

// accept takes connections from the system, in which few can wait on some.
func (p *places) accept() {
	defer close(p.ended)
	defer p.drain()
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			select {
			case p.failed <- err: // which waits before it asks for the next one
				continue
			case <-p.closed:
				return
			}
		}
		select {
		case p.queue <- c:
		case <-p.closed:
			_ = c.Close()
			return
		}
	}
}

// Accept returns a connection once there is a place for it.
func (p *places) Accept() (net.Conn, error) {
	select {
	case c := <-p.queue:
		if !p.wait(c) {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		return c, nil
	case err := <-p.failed:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// drain closes the connections that wait.
func (p *places) drain() {
	for {
		select {
		case c := <-p.queue:
			_ = c.Close()
		default:
			return
		}
	}
}

// Close closes the connections that wait as well, before ended is closed.
func (p *places) Close() error {
	p.close.Do(func() { close(p.closed) })
	return p.Listener.Close()
}

// wait takes a place for c; false when the listener is closed.
func (p *places) wait(c net.Conn) bool {
	for {
		rest, ok := p.take(c)
		if ok {
			return true
		}
		t := time.NewTimer(rest)
		select {
		case <-p.freed:
		case <-t.C:
		case <-p.closed:
			return false
		}
		t.Stop()
	}
}

// take gives c a place, or says after what time somebody may need none any more.
func (p *places) take(c net.Conn) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.rest()
	p.waiting = len(p.taken) >= maxPlaces
	if p.waiting {
		return next, false
	}
	p.taken[c] = &place{at: time.Now()}
	return 0, true
}

// rest takes the places of those that rest, where there are not enough, and says when
// the next one may. p.mu is held.
func (p *places) rest() time.Duration {
	next := p.restTime
	if len(p.taken) < maxPlaces {
		return next
	}
	now := time.Now()
	for c, at := range p.taken {
		if left := p.restTime - now.Sub(at.at); left <= 0 {
			delete(p.taken, c)
		} else {
			next = min(next, left)
		}
	}
	return next
}

// state is told by the server what becomes of c.
func (p *places) state(c net.Conn, s http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.taken[c]
	switch {
	case s == http.StateHijacked || s == http.StateClosed:
		if at != nil {
			delete(p.taken, c)
			select {
			case p.freed <- struct{}{}:
			default:
			}
		}
	case at == nil: // it rested: it need not wait, its turn is as long as another's
		p.taken[c] = &place{at: time.Now()}
	default:
		at.at = time.Now()
	}
}

// over notes a request of c and reports whether it is the last one of its turn.
func (p *places) over(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.taken[c]
	if at == nil {
		return false
	}
	at.served++
	if at.served >= turn && p.waiting {
		return true
	}
	if len(p.taken) > maxPlaces { // some of those that rested ask again
		p.rest()
	}
	return len(p.taken) > maxPlaces
}
