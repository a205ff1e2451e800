package zsock

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// raw is a client that speaks only the bytes it is told to.
type raw struct {
	t testing.TB
	net.Conn
}

func dialRaw(t testing.TB, endpoint string) raw {
	t.Helper()
	network, address, err := parseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return raw{t, c}
}

func (r raw) write(b ...[]byte) raw {
	r.t.Helper()
	if _, err := r.Write(slices.Concat(b...)); err != nil {
		r.t.Fatal(err)
	}
	return r
}

// shake does the handshake, and waits for the other side's end of it.
func (r raw) shake(socketType, identity string) raw {
	r.t.Helper()
	r.write([]byte(greeting), appendReady(nil, ready{socketType, []byte(identity)}))
	r.read(greetingLen)
	head := r.read(2)
	r.read(int(head[1]))
	return r
}

func (r raw) read(n int) []byte {
	r.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// ended waits until the other side closes the connection.
func (r raw) ended() {
	r.t.Helper()
	if _, err := io.Copy(io.Discard, r); errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Error("the connection is still open")
	}
}

func wire(frames ...[]byte) []byte {
	var e encoded
	e.encode(frames)
	return slices.Concat(e.pieces...)
}

// alive checks that a new client is served.
func alive(t testing.TB, endpoint string) {
	t.Helper()
	d := dialDealer(t, endpoint, "")
	if err := d.Send(frames("alive?")); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, recv(t, d).Frames, "alive?")
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestDropOldest: a subscriber that does not read loses the oldest messages,
// never a part of one, and the count is told.
func TestDropOldest(t *testing.T) {
	const size, limit = 100_000, 1_000_000
	var dropped atomic.Int64
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{Queue: limit, OnDrop: func(n int) { dropped.Add(int64(n)) }})
	sub := dialRaw(t, x.Endpoint()).shake("SUB", "").write(appendCommand(nil, "SUBSCRIBE"))
	<-x.Subscriptions()
	sent := 0
	for ; dropped.Load() < 50; sent++ {
		if err := x.Send([][]byte{binary.BigEndian.AppendUint32(nil, uint32(sent)), make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	got, last := 0, -1
	for last < sent-1 {
		sub.read(2)
		n := int(binary.BigEndian.Uint32(sub.read(4)))
		if n <= last {
			t.Fatalf("message %d came after %d", n, last)
		}
		if h := sub.read(maxHeader); h[0] != flagLong || binary.BigEndian.Uint64(h[1:]) != size {
			t.Fatalf("header %x", h)
		}
		sub.read(size)
		got, last = got+1, n
	}
	if missing := int64(sent - got); missing != dropped.Load() || missing < 50 {
		t.Errorf("%d of %d messages are missing, told %d", missing, sent, dropped.Load())
	}
}

// TestStuckDealer: a client that asks and never reads answers is cut off when
// its queue is full; others are served all the while.
func TestStuckDealer(t *testing.T) {
	causes := make(chan error, 16)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Queue: 4 << 20, OnClose: func(err error) { causes <- err }})
	stuck := dialRaw(t, r.Endpoint()).shake("DEALER", "stuck").write(wire([]byte("hello")))
	m := recv(t, r)
	go echoAll(r)
	var err error
	for err == nil {
		err = r.Send(m.Peer, [][]byte{make([]byte, 512<<10)})
	}
	if !errors.Is(err, ErrNoPeer) || !errors.Is(err, errTooSlow) {
		t.Errorf("send to the stuck peer: %v", err)
	}
	if cause := <-causes; !errors.Is(cause, errTooSlow) {
		t.Errorf("the connection ended with %v", cause)
	}
	alive(t, r.Endpoint())
	stuck.ended()
	if err := r.Send([]byte("stuck"), frames("x")); !errors.Is(err, ErrNoPeer) {
		t.Errorf("send to the peer that is gone: %v", err)
	}
}

// TestStuckThenReads: what a slow peer does not take at once arrives whole.
func TestStuckThenReads(t *testing.T) {
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{})
	slow := dialRaw(t, r.Endpoint()).shake("DEALER", "slow").write(wire([]byte("hello")))
	peer := recv(t, r).Peer
	var want []byte
	for i := range 60 {
		f := [][]byte{fmt.Append(nil, i), bytes.Repeat([]byte{byte(i)}, i*20_000), []byte("end")}
		want = append(want, wire(f...)...)
		if err := r.Send(peer, f); err != nil {
			t.Fatal(err)
		}
		if len(f[1]) < keepLen {
			clear(f[1]) // ours again
		}
	}
	if got := slow.read(len(want)); !bytes.Equal(got, want) {
		t.Error("what arrived is not what was sent")
	}
}

func TestSilentConnections(t *testing.T) {
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			r := listenRouter(t, endpoint, Options{Handshake: 300 * time.Millisecond})
			go echoAll(r)
			silent := dialRaw(t, r.Endpoint())
			half := dialRaw(t, r.Endpoint()).write([]byte(greeting))
			alive(t, r.Endpoint())
			silent.ended()
			half.ended()
		})
	}
}

// TestEviction: silent connections make way for new clients, clients do not.
func TestEviction(t *testing.T) {
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{MaxPeers: 8})
	go echoAll(r)
	old := dialDealer(t, r.Endpoint(), "old")
	ping := func() {
		t.Helper()
		if err := old.Send(frames("x")); err != nil {
			t.Fatal(err)
		}
		wantFrames(t, recv(t, old).Frames, "x")
	}
	ping()
	var silent []raw
	for range 20 {
		silent = append(silent, dialRaw(t, r.Endpoint()))
	}
	alive(t, r.Endpoint())
	ping()
	for _, s := range silent[:12] {
		s.ended()
	}

	// With nothing but clients that are trusted, the newcomer is closed.
	clients := []*Dealer{old}
	for len(clients) < 8 {
		d := dialDealer(t, r.Endpoint(), "")
		if err := d.Send(frames("x")); err != nil {
			t.Fatal(err)
		}
		recv(t, d)
		clients = append(clients, d)
	}
	dialRaw(t, r.Endpoint()).ended()
	ping()
}

// TestEvictedReaders: connections that made way end, also while nobody takes
// what they sent and while they wait for a verdict.
func TestEvictedReaders(t *testing.T) {
	const peers, clients = 4, 40
	closed := make(chan error, clients)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{MaxPeers: peers, Handshake: time.Hour, OnClose: func(err error) { closed <- err }})
	for range clients {
		dialRaw(t, r.Endpoint()).shake("DEALER", "").write(wire([]byte("hello")), wire([]byte("hello again")))
	}
	for range clients - peers {
		if err := <-closed; !errors.Is(err, errEvicted) {
			t.Errorf("a connection ended with %v", err)
		}
	}
	join := func(identity string) raw {
		c := dialRaw(t, r.Endpoint()).shake("DEALER", identity).write(wire([]byte("forged")))
		for string(recv(t, r).Peer) != identity {
		}
		return c
	}
	judged := join("judged").write([]byte{flagLong, 0, 0, 0, 0, 1, 0, 0, 0})
	for i := range peers {
		join(fmt.Sprint(i))
	}
	judged.ended()
	for range peers + 1 {
		<-closed
	}
}

// TestConnectClose: 200 clients come and go, and leave nothing.
func TestConnectClose(t *testing.T) {
	z := startLibzmq(t)
	closed := make(chan error, 1024)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{OnClose: func(err error) { closed <- err }})
	go echoAll(r)
	keep := dialDealer(t, r.Endpoint(), "keep")
	if err := keep.Send(frames("x")); err != nil {
		t.Fatal(err)
	}
	recv(t, keep)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for i := range 200 {
		name := fmt.Sprint(i)
		switch i % 4 {
		case 0:
			z.open(name, "DEALER", r.Endpoint(), nil)
			z.send(name, "x")
			wantFrames(t, z.recv(name), "x")
			z.do("close", args{"name": name}, nil)
		case 1:
			_ = dialRaw(t, r.Endpoint()).Close()
		case 2:
			_ = dialRaw(t, r.Endpoint()).shake("DEALER", "").Close()
		case 3:
			// In the middle of a message.
			_ = dialRaw(t, r.Endpoint()).shake("DEALER", "").write([]byte("\x01\x03abc\x00\x50half")).Close()
		}
	}
	for range 200 {
		<-closed
	}
	settle(t, "goroutines", goroutines, runtime.NumGoroutine)
	settle(t, "descriptors", files, func() int { return openFiles(t) })
}

// settle waits until count is back at want: a goroutine that has done its last
// act is still counted for a moment.
func settle(t testing.TB, what string, want int, count func() int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); count() > want; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Errorf("%d %s, %d before", count(), what, want)
			return
		}
	}
}

func openFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(entries)
}

// TestHostile: every vector and random bytes on live connections; each ends its
// own connection only.
func TestHostile(t *testing.T) {
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{})
	go echoAll(r)
	witness := dialDealer(t, r.Endpoint(), "witness")
	for _, v := range vectors(t) {
		c := dialRaw(t, r.Endpoint()).write(v.data)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		c.ended()
	}
	for range 50 {
		junk := make([]byte, 2000)
		_, _ = rand.Read(junk)
		junk[0] = 0xff // reserved flags: not a frame by luck
		c := dialRaw(t, r.Endpoint()).shake("DEALER", "")
		c.write(junk).ended()
	}
	if err := witness.Send(frames("still here")); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, recv(t, witness).Frames, "still here")
	alive(t, r.Endpoint())
}

// TestClaimedSizes: open headers of large frames cost nothing.
func TestClaimedSizes(t *testing.T) {
	header := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{flagLong}, n) }
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{MaxUntrusted: 1 << 31, MaxMessage: 1 << 31})
	go echoAll(r)
	before := heap()
	for range 4 {
		dialRaw(t, r.Endpoint()).shake("DEALER", "").write(header(1900<<20), make([]byte, 100))
	}
	dialRaw(t, r.Endpoint()).shake("DEALER", "").write(header(1 << 62)).ended()
	alive(t, r.Endpoint())
	if got := heap(); got > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, got)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestTrust: a long message is taken after Trust only, also when it was on its
// way before the verdict.
func TestTrust(t *testing.T) {
	causes := make(chan error, 4)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{OnClose: func(err error) { causes <- err }})
	long := bytes.Repeat([]byte{'l'}, 3<<20)

	d := dialDealer(t, r.Endpoint(), "honest")
	for _, f := range [][][]byte{frames("signed"), {long}} {
		if err := d.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	m := recv(t, r)
	wantFrames(t, m.Frames, "signed")
	r.Trust(m.Peer)
	long1 := recv(t, r)
	if len(long1.Frames) != 1 || !bytes.Equal(long1.Frames[0], long) {
		t.Error("the long message is not what was sent")
	}
	again := dialDealer(t, r.Endpoint(), "honest")
	if err := again.Send(frames("signed")); err != nil {
		t.Fatal(err)
	}
	if cause := <-causes; !errors.Is(cause, errReplaced) {
		t.Errorf("the first connection ended with %v", cause)
	}
	if other := recv(t, r); m.Trusted || !long1.Trusted || other.Trusted {
		t.Errorf("trusted: %v before Trust, %v after it, %v on a new connection", m.Trusted, long1.Trusted, other.Trusted)
	}

	stranger := dialRaw(t, r.Endpoint()).shake("DEALER", "stranger")
	_, _ = stranger.Write(wire(long))
	stranger.ended()
	if cause := <-causes; !errors.Is(cause, errTooLong) {
		t.Errorf("the stranger's connection ended with %v", cause)
	}
}

// TestNeverTrusted: one whose first message was not believed is cut off when it
// sends a long one.
func TestNeverTrusted(t *testing.T) {
	causes := make(chan error, 4)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Handshake: 100 * time.Millisecond, OnClose: func(err error) { causes <- err }})
	c := dialRaw(t, r.Endpoint()).shake("DEALER", "forger").write(wire([]byte("forged")), []byte{flagLong, 0, 0, 0, 0, 1, 0, 0, 0})
	recv(t, r)
	c.ended()
	if cause := <-causes; !errors.Is(cause, errTooLong) {
		t.Errorf("the connection ended with %v", cause)
	}
}

func TestTooManyFrames(t *testing.T) {
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{})
	go echoAll(r)
	c := dialRaw(t, r.Endpoint()).shake("DEALER", "")
	_, _ = c.Write(bytes.Repeat([]byte{flagMore, 0}, maxFramesUntrusted+1))
	c.ended()
	alive(t, r.Endpoint())
}

func TestTooManyTopics(t *testing.T) {
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{})
	go func() {
		for {
			select {
			case <-x.Subscriptions():
			case <-x.done:
				return
			}
		}
	}()
	c := dialRaw(t, x.Endpoint()).shake("SUB", "")
	for i := range maxTopics + 1 {
		_, _ = c.Write(appendCommand(nil, "SUBSCRIBE", fmt.Append(nil, i)))
	}
	c.ended()
}

// TestPingTTL: a peer that announced a time to live and then falls silent is
// dead, one that sends something is not.
func TestPingTTL(t *testing.T) {
	causes := make(chan error, 4)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{OnClose: func(err error) { causes <- err }})
	c := dialRaw(t, r.Endpoint()).shake("DEALER", "")
	c.write(appendCommand(nil, "PING", []byte{0, 1})) // a tenth of a second
	if got := c.read(7); string(got) != "\x04\x05\x04PONG" {
		t.Errorf("answer to PING: %q", got)
	}
	c.ended()
	if cause := <-causes; !errors.Is(cause, os.ErrDeadlineExceeded) {
		t.Errorf("the connection ended with %v", cause)
	}

	c = dialRaw(t, r.Endpoint()).shake("DEALER", "")
	c.write(appendCommand(nil, "PING", []byte{0xff, 0xff}), wire([]byte("sign of life")))
	wantFrames(t, recv(t, r).Frames, "sign of life")
}

// TestPingFlood: somebody who sends PINGs and reads no PONG is cut off.
func TestPingFlood(t *testing.T) {
	causes := make(chan error, 4)
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{OnClose: func(err error) { causes <- err }})
	c := dialRaw(t, x.Endpoint()).shake("SUB", "")
	pings := bytes.Repeat(appendCommand(nil, "PING", []byte{0, 0}, make([]byte, 16)), 1000)
	for {
		if _, err := c.Write(pings); err != nil {
			break
		}
	}
	if cause := <-causes; !errors.Is(cause, errTooSlow) {
		t.Errorf("the connection ended with %v", cause)
	}
}

// TestHandover: a newcomer takes the identity over, as with ROUTER_HANDOVER.
func TestHandover(t *testing.T) {
	z := startLibzmq(t)
	causes := make(chan error, 16)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{OnClose: func(err error) { causes <- err }})
	first := dialDealer(t, r.Endpoint(), "same")
	if err := first.Send(frames("1")); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, recv(t, r).Frames, "1")

	z.open("second", "DEALER", r.Endpoint(), args{"identity": "same"})
	z.send("second", "2")
	m := recv(t, r)
	wantFrames(t, m.Frames, "2")
	if cause := <-causes; !errors.Is(cause, errReplaced) {
		t.Errorf("the first connection ended with %v", cause)
	}
	if err := r.Send(m.Peer, frames("reply")); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, z.recv("second"), "reply")
	if m, err := first.Recv(testContext(t)); err == nil {
		t.Errorf("the first connection got %q", m.Frames)
	}
}

// TestCloseEndsGoroutines: also those of stuck, silent and half-open peers.
func TestCloseEndsGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Linger: -1})
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{Linger: -1})
	dialRaw(t, r.Endpoint())
	dialRaw(t, r.Endpoint()).shake("DEALER", "").write([]byte("\x01\x03abc"))
	dialRaw(t, r.Endpoint()).shake("DEALER", "").write(wire([]byte("not received")))
	stuck := dialRaw(t, x.Endpoint()).shake("SUB", "")
	stuck.write(bytes.Repeat(appendCommand(nil, "SUBSCRIBE"), 100)) // nobody reads Subscriptions after the first
	<-x.Subscriptions()
	if err := x.Send([][]byte{make([]byte, 64<<20)}); err != nil {
		t.Fatal(err)
	}
	d, err := DialDealer(testContext(t), r.Endpoint(), nil, Options{Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := DialSub(testContext(t), x.Endpoint(), [][]byte{nil}, Options{Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{d, s, r, x, d, r} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	settle(t, "goroutines", before, runtime.NumGoroutine)
	if err := r.Send([]byte("x"), frames("x")); !errors.Is(err, ErrNoPeer) {
		t.Errorf("Router.Send after Close: %v", err)
	}
	if err := x.Send(frames("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("XPub.Send after Close: %v", err)
	}
	for _, receiver := range []receiver{r, d, s} {
		if _, err := receiver.Recv(testContext(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("%T.Recv after Close: %v", receiver, err)
		}
	}
}

// TestLinger: what was queued before Close still arrives.
func TestLinger(t *testing.T) {
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Linger: 20 * time.Second, Queue: 1 << 20}) // less than the message
	c := dialRaw(t, r.Endpoint()).shake("DEALER", "").write(wire([]byte("hello")))
	want := wire(make([]byte, 20<<20))
	if err := r.Send(recv(t, r).Peer, [][]byte{make([]byte, 20<<20)}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- r.Close() }()
	if got := c.read(len(want)); !bytes.Equal(got, want) {
		t.Error("what arrived is not what was sent")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDialWaits: the kernel binds after the hook has begun to connect.
func TestDialWaits(t *testing.T) {
	endpoint := endpoints(t)["ipc"]
	type result struct {
		d   *Dealer
		err error
	}
	dialed := make(chan result)
	go func() {
		d, err := DialDealer(testContext(t), endpoint, nil, Options{})
		dialed <- result{d, err}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := DialDealer(ctx, endpoint, nil, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("dial with an ended context: %v", err)
	}
	r := listenRouter(t, endpoint, Options{})
	got := <-dialed
	if got.err != nil {
		t.Fatal(got.err)
	}
	defer got.d.Close()
	if err := got.d.Send(frames("x")); err != nil {
		t.Fatal(err)
	}
	recv(t, r)
}

// TestDialRefused: what will not get better is not tried again.
func TestDialRefused(t *testing.T) {
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{})
	_, err := DialDealer(testContext(t), x.Endpoint(), nil, Options{})
	var refused *refusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "bad-socket-type") {
		t.Errorf("DEALER to XPUB: %v", err)
	}
	for _, identity := range []string{"\x00x", strings.Repeat("x", 256)} {
		if _, err := DialDealer(testContext(t), x.Endpoint(), []byte(identity), Options{}); !errors.Is(err, errIdentity) {
			t.Errorf("identity of %d bytes: %v", len(identity), err)
		}
	}
	for _, endpoint := range []string{"", "udp://x:1", "tcp://x", "ipc://", "ipc://@abstract"} {
		if _, err := DialSub(testContext(t), endpoint, nil, Options{}); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
	}
}

// TestEnd: Recv says that the other side is gone, after what came before.
func TestEnd(t *testing.T) {
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{})
	s := dialSub(t, x.Endpoint(), "")
	<-x.Subscriptions()
	for i := range 10 {
		if err := x.Send(frames(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		wantFrames(t, recv(t, s).Frames, fmt.Sprint(i))
	}
	for range 2 {
		if _, err := s.Recv(testContext(t)); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	}
	if n, size := s.Waiting(); n != 0 || size != 0 {
		t.Errorf("waiting: %d messages, %d bytes", n, size)
	}
}

// TestStaleSocket: a file that a killed process left is removed, one that
// somebody listens on is not.
func TestStaleSocket(t *testing.T) {
	endpoint := endpoints(t)["ipc"]
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: strings.TrimPrefix(endpoint, "ipc://"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenRouter(endpoint, Options{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen where somebody listens: %v", err)
	}
	ln.SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	r := listenRouter(t, endpoint, Options{})
	if info, err := os.Stat(strings.TrimPrefix(r.Endpoint(), "ipc://")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket: %v %v", info.Mode(), err)
	}
}
