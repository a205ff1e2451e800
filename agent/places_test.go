package agent

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// placed serves h from places, whose connections rest after so long, until the test ends,
// and returns where. In served is how many connections the server has.
func placed(t *testing.T, rest time.Duration, h http.HandlerFunc) (addr string, served *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type key struct{}
	p, served := newPlaces(l), new(atomic.Int64)
	p.restTime = rest
	s := &http.Server{
		ReadHeaderTimeout: headerTime,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, c) },
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				served.Add(1)
			case http.StateClosed:
				served.Add(-1)
			}
			p.state(c, state)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, ok := r.Context().Value(key{}).(net.Conn); ok && p.over(c) {
				w.Header().Set("Connection", "close")
			}
			h(w, r)
		}),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(p) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return l.Addr().String(), served
}

// asking is one connection.
type asking struct {
	net.Conn
	in *bufio.Reader
}

func dialPlaced(t *testing.T, addr string) *asking {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &asking{c, bufio.NewReader(c)}
}

// ask asks for path and returns the answer, and whether it was the last one.
func (a *asking) ask(path string) (answer string, last bool, err error) {
	if _, err := fmt.Fprintf(a, "GET %s HTTP/1.1\r\nHost: nbhush\r\n\r\n", path); err != nil {
		return "", false, err
	}
	resp, err := http.ReadResponse(a.in, nil)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.Close, err
}

func echoPath(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }

// TestPlacesOfCrowd: every request of many clients is answered, each with its own, and
// the server never has more of their connections than there are places.
func TestPlacesOfCrowd(t *testing.T) {
	addr, served := placed(t, time.Hour, echoPath)
	var most atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 * maxPlaces {
		wg.Go(func() {
			var a *asking
			defer func() { // or it keeps its place, which takes an hour to rest
				if a != nil {
					_ = a.Close()
				}
			}()
			for k := range 3 * turn {
				if a == nil {
					a = dialPlaced(t, addr)
				}
				path := fmt.Sprintf("/%d/%d", i, k)
				got, last, err := a.ask(path)
				if err != nil || got != path {
					t.Errorf("asked for %s, got %q, %v", path, got, err)
					return
				}
				for n := served.Load(); n > most.Load(); n = served.Load() {
					most.Store(n)
				}
				if last {
					_ = a.Close()
					a = nil
				}
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > maxPlaces {
		t.Errorf("%d connections were served at a time, want %d", n, maxPlaces)
	}
}

// TestPlacesOfThoseThatRest: connections that have nothing to ask, and such as wait for
// their answers, keep nobody out, and are there when they ask again.
func TestPlacesOfThoseThatRest(t *testing.T) {
	answer := make(chan struct{})
	addr, _ := placed(t, restTime, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-answer
		}
		echoPath(w, r)
	})
	resting := make([]*asking, 2*maxPlaces)
	for i := range resting {
		resting[i] = dialPlaced(t, addr)
		got, last, err := resting[i].ask("/first")
		if err != nil || got != "/first" {
			t.Fatalf("%q, %v", got, err)
		}
		if last { // it rested before it asked, on a slow machine
			resting[i] = dialPlaced(t, addr)
		}
	}
	slow := make(chan error, 2*maxPlaces)
	for range cap(slow) {
		a := dialPlaced(t, addr)
		go func() {
			got, _, err := a.ask("/slow")
			if err == nil && got != "/slow" {
				err = fmt.Errorf("got %q", got)
			}
			slow <- err
		}()
	}
	a := dialPlaced(t, addr)
	if got, _, err := a.ask("/quick"); err != nil || got != "/quick" {
		t.Fatalf("beside those that rest: %q, %v", got, err)
	}
	close(answer)
	for range cap(slow) {
		if err := <-slow; err != nil {
			t.Error(err)
		}
	}
	for _, a := range resting {
		if got, _, err := a.ask("/again"); err != nil || got != "/again" {
			t.Fatalf("one that rested: %q, %v", got, err)
		}
	}
	// One after the other they are no crowd: nobody is sent away.
	time.Sleep(2 * restTime)
	a = dialPlaced(t, addr)
	for range 2 * turn {
		if got, last, err := a.ask("/alone"); err != nil || last || got != "/alone" {
			t.Fatalf("%q, last %v, %v", got, last, err)
		}
	}
}

// TestPlacesClose: who waits for a place when the agent ends is told so.
func TestPlacesClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlaces(l)
	waiting := make([]*asking, 3)
	for i := range waiting {
		waiting[i] = dialPlaced(t, l.Addr().String())
	}
	for len(p.queue) < len(waiting) {
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, a := range waiting {
		if _, err := a.in.ReadByte(); err == nil {
			t.Error("a connection that nobody serves is open")
		}
	}
	for {
		c, err := p.Accept()
		if err != nil {
			break
		}
		_ = c.Close()
	}
}
