package zsock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testContext ends long after everything that a test waits for has happened.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func endpoints(t *testing.T) map[string]string {
	return map[string]string{
		"tcp": "tcp://127.0.0.1:0",
		"ipc": "ipc://" + filepath.Join(t.TempDir(), "s"),
	}
}

func listenRouter(t testing.TB, endpoint string, o Options) *Router {
	t.Helper()
	if o.Linger == 0 {
		o.Linger = -1
	}
	r, err := ListenRouter(endpoint, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func listenXPub(t testing.TB, endpoint string, o Options) *XPub {
	t.Helper()
	if o.Linger == 0 {
		o.Linger = -1
	}
	x, err := ListenXPub(endpoint, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func dialDealer(t testing.TB, endpoint, identity string) *Dealer {
	t.Helper()
	d, err := DialDealer(testContext(t), endpoint, []byte(identity), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func dialSub(t testing.TB, endpoint string, topics ...string) *Sub {
	t.Helper()
	var ts [][]byte
	for _, topic := range topics {
		ts = append(ts, []byte(topic))
	}
	s, err := DialSub(testContext(t), endpoint, ts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type receiver interface {
	Recv(context.Context) (Message, error)
}

func recv(t testing.TB, r receiver) Message {
	t.Helper()
	m, err := r.Recv(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func frames(s ...string) [][]byte {
	f := make([][]byte, len(s))
	for i := range s {
		f[i] = []byte(s[i])
	}
	return f
}

func wantFrames(t testing.TB, got [][]byte, want ...string) {
	t.Helper()
	if d := cmp.Diff(frames(want...), got, cmp.Comparer(bytes.Equal)); d != "" {
		t.Errorf("frames (-want +got):\n%s", d)
	}
}

func TestRouterDealer(t *testing.T) {
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			r := listenRouter(t, endpoint, Options{})
			d := dialDealer(t, r.Endpoint(), "client")
			big := string(bytes.Repeat([]byte("0123456789"), 300_000))
			for _, want := range [][]string{{"a"}, {""}, {"a", "", "b"}, {"a", big, "z"}} {
				if err := d.Send(frames(want...)); err != nil {
					t.Fatal(err)
				}
				m := recv(t, r)
				if string(m.Peer) != "client" {
					t.Fatalf("peer = %q", m.Peer)
				}
				wantFrames(t, m.Frames, want...)
				r.Trust(m.Peer)
				if err := r.Send(m.Peer, m.Frames); err != nil {
					t.Fatal(err)
				}
				m.Release()
				m = recv(t, d)
				wantFrames(t, m.Frames, want...)
				m.Release()
			}
		})
	}
}

func TestXPubSub(t *testing.T) {
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			x := listenXPub(t, endpoint, Options{})
			ab := dialSub(t, x.Endpoint(), "ab")
			first := <-x.Subscriptions()
			all := dialSub(t, x.Endpoint(), "")
			second := <-x.Subscriptions()
			if string(first.Topic) != "ab" || string(second.Topic) != "" || first.Cancel || bytes.Equal(first.Peer, second.Peer) {
				t.Fatalf("subscriptions = %+v, %+v", first, second)
			}
			for _, f := range [][]string{{"a", "1"}, {"abc", "2"}} {
				if err := x.Send(frames(f...)); err != nil {
					t.Fatal(err)
				}
			}
			if err := x.SendTo(first.Peer, frames("welcome")); err != nil {
				t.Fatal(err)
			}
			wantFrames(t, recv(t, all).Frames, "a", "1")
			wantFrames(t, recv(t, all).Frames, "abc", "2")
			wantFrames(t, recv(t, ab).Frames, "abc", "2")
			wantFrames(t, recv(t, ab).Frames, "welcome")
		})
	}
}

func TestEcho(t *testing.T) {
	e, err := ListenEcho("tcp://127.0.0.1:0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	d := dialDealer(t, e.Endpoint(), "")
	if err := d.Send(frames("", "ping")); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, recv(t, d).Frames, "", "ping")
}

// TestConcurrentSend: messages of many senders arrive whole, in the order of
// each sender.
func TestConcurrentSend(t *testing.T) {
	const senders, count = 4, 150
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{})
	d := dialDealer(t, r.Endpoint(), "d")
	if err := d.Send(frames("hello")); err != nil {
		t.Fatal(err)
	}
	peer := recv(t, r).Peer
	r.Trust(peer)
	send := func(to func([][]byte) error, sender byte) {
		for i := range count {
			body := bytes.Repeat([]byte{sender}, i*i)
			if err := to([][]byte{{sender}, fmt.Append(nil, i), body, body}); err != nil {
				t.Error(err)
				return
			}
		}
	}
	check := func(from receiver) {
		next := map[byte]int{}
		for range senders * count {
			m := recv(t, from)
			sender := m.Frames[0][0]
			i := next[sender]
			next[sender]++
			body := bytes.Repeat([]byte{sender}, i*i)
			if len(m.Frames) != 4 || string(m.Frames[1]) != fmt.Sprint(i) || !bytes.Equal(m.Frames[2], body) || !bytes.Equal(m.Frames[3], body) {
				t.Fatalf("message %d of sender %d is not what was sent", i, sender)
			}
			m.Release()
		}
	}
	for sender := range senders {
		go send(d.Send, byte(sender))
		go send(func(f [][]byte) error { return r.Send(peer, f) }, byte(sender))
	}
	check(r)
	check(d)
}

// fakeKernel is a ROUTER that says its part of the handshake and leaves the
// rest to the test.
func fakeKernel(t *testing.T) (endpoint string, accepted <-chan net.Conn) {
	path := filepath.Join(t.TempDir(), "k")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	conns := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			_, _ = conn.Write(append([]byte(greeting), appendReady(nil, ready{socketType: "ROUTER"})...))
		}
		conns <- conn
	}()
	return "ipc://" + path, conns
}

// TestLastWords: what a kernel sent before it died is received, also when a
// Send has already failed.
func TestLastWords(t *testing.T) {
	endpoint, kernel := fakeKernel(t)
	d := dialDealer(t, endpoint, "")
	conn := <-kernel
	if _, err := conn.Write(slices.Concat(wire([]byte("one")), wire([]byte("two")), wire([]byte("three")))); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadFull(conn, make([]byte, len(greeting)+len(appendReady(nil, ready{socketType: "DEALER"}))))
	_ = conn.Close()
	for d.Send(frames("x")) == nil {
	}
	for _, want := range []string{"one", "two", "three"} {
		wantFrames(t, recv(t, d).Frames, want)
	}
	if _, err := d.Recv(testContext(t)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestDealerWaits: Send holds no more than Options.Queue and one message, and
// Close ends a Send that waits.
func TestDealerWaits(t *testing.T) {
	const limit, size, count = 1 << 20, 100_000, 400
	endpoint, kernel := fakeKernel(t)
	d, err := DialDealer(testContext(t), endpoint, nil, Options{Queue: limit, Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	conn := <-kernel
	defer conn.Close()
	sent := make(chan error)
	message := [][]byte{make([]byte, size)}
	go func() {
		for range count {
			if err := d.Send(message); err != nil {
				t.Error(err)
			}
		}
		var err error
		for err == nil { // until Close
			err = d.Send(message)
		}
		sent <- err
	}()
	whole := len(greeting) + len(appendReady(nil, ready{socketType: "DEALER"})) + count*len(wire(message...))
	buf := make([]byte, 64<<10)
	for got := 0; got < whole; {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += n
		d.out.mu.Lock()
		if d.out.bytes > limit+size+2*itemOverhead {
			t.Errorf("%d bytes wait", d.out.bytes)
		}
		d.out.mu.Unlock()
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-sent; !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

// TestRelease: a second Release does not give away what another message has.
func TestRelease(t *testing.T) {
	var p pool
	fill := func(text string) Message {
		b := p.get(0)
		b.data = append(b.data, text...)
		b.add(nil)
		return b.message(nil)
	}
	first := fill("first")
	again := first
	first.Release()
	second := fill("second")
	again.Release()
	third := fill("third!")
	wantFrames(t, second.Frames, "second")
	wantFrames(t, third.Frames, "third!")
	first.Release()
	(&Message{}).Release()
}

// TestQueueKeepsCopies: what Send queued does not change with the caller's bytes.
func TestQueueKeepsCopies(t *testing.T) {
	here, there := net.Pipe() // takes nothing that nobody reads
	var wg sync.WaitGroup
	q := newQueue(here, 1<<30, cutOff, &wg)
	var want []byte
	for i := range 5 {
		f := [][]byte{bytes.Repeat([]byte{'a' + byte(i)}, 100), bytes.Repeat([]byte{'A' + byte(i)}, 2*inlineLen)}
		for range 300 * (i % 2) { // together longer than keepLen
			f = append(f, bytes.Repeat([]byte{'0' + byte(i)}, inlineLen))
		}
		want = append(want, wire(f...)...)
		var e encoded
		e.encode(f)
		if _, err := q.send(&e); err != nil {
			t.Fatal(err)
		}
		e.reset()
		for _, f := range f {
			clear(f)
		}
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("what was written is not what was sent: %v", err)
	}
	_ = q.shut(ErrClosed)
	wg.Wait()
}

// TestAcceptErrors: the accept loop lives through an error of the system.
func TestAcceptErrors(t *testing.T) {
	ln := &faultyListener{errs: []error{errors.New("too many open files"), net.ErrClosed}}
	s := server{ln: ln, done: make(chan struct{})}
	s.accept()
	if len(ln.errs) != 0 {
		t.Errorf("%d calls of Accept are missing", len(ln.errs))
	}
}

type faultyListener struct {
	net.Listener
	errs []error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

// FuzzFifo: a fifo does what a plain slice does.
func FuzzFifo(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0, 0, 1}, 200))
	f.Add([]byte{0, 0, 0, 2, 1, 0, 5, 1, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var got fifo[int]
		var want []int
		for i, op := range ops {
			switch {
			case op%3 == 0:
				got.push(i)
				want = append(want, i)
			case len(want) == 0:
			case op%3 == 1:
				if v := got.pop(); v != want[0] {
					t.Fatalf("pop = %d, want %d", v, want[0])
				}
				want = want[1:]
			default:
				at := int(op) % len(want)
				if v := got.remove(at); v != want[at] {
					t.Fatalf("remove(%d) = %d, want %d", at, v, want[at])
				}
				want = slices.Delete(want, at, at+1)
			}
			if got.len() != len(want) {
				t.Fatalf("len = %d, want %d", got.len(), len(want))
			}
		}
		for i := range want {
			if *got.at(i) != want[i] {
				t.Fatalf("at(%d) = %d, want %d", i, *got.at(i), want[i])
			}
		}
	})
}

// Whom Admit refuses gets no byte, on every kind of socket; others are served.
func TestAdmit(t *testing.T) {
	errStranger := errors.New("a stranger")
	for name, listen := range map[string]func(Options) (endpoint string, stop func() error){
		"router": func(o Options) (string, func() error) {
			s := listenRouter(t, "tcp://127.0.0.1:0", o)
			return s.Endpoint(), s.Close
		},
		"xpub": func(o Options) (string, func() error) {
			s := listenXPub(t, "tcp://127.0.0.1:0", o)
			return s.Endpoint(), s.Close
		},
		"echo": func(o Options) (string, func() error) {
			s, err := ListenEcho("tcp://127.0.0.1:0", o)
			if err != nil {
				t.Fatal(err)
			}
			return s.Endpoint(), s.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			var refuse atomic.Bool
			refuse.Store(true)
			closed := make(chan error, 2)
			endpoint, stop := listen(Options{
				Linger: -1, OnClose: func(err error) { closed <- err },
				Admit: func(net.Conn) error {
					if refuse.Swap(false) {
						return errStranger
					}
					return nil
				},
			})
			defer func() { _ = stop() }()
			read := func() (int, error) {
				conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				return io.ReadFull(conn, make([]byte, 64))
			}
			if n, err := read(); n != 0 || err == nil {
				t.Errorf("a stranger read %d bytes, %v", n, err)
			}
			if err := <-closed; !errors.Is(err, errStranger) {
				t.Errorf("it was closed for %v", err)
			}
			if n, err := read(); n != 64 {
				t.Errorf("another one read %d bytes, %v", n, err)
			}
		})
	}
}
