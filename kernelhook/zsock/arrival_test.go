package zsock

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// publisher is one connection of a SUB to somebody who writes only what it is told to.
func publisher(t *testing.T, o Options) (*Sub, raw) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "p"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accepted := make(chan raw, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = c.Close() })
		accepted <- raw{t, c}.shake("PUB", "")
	}()
	s, err := DialSub(testContext(t), "ipc://"+l.Addr().String(), frames(""), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p := <-accepted
	p.read(int(p.read(2)[1])) // SUBSCRIBE
	return s, p
}

// TestEarly: a message whose last frame is long is there before that frame is, and
// what comes behind it comes behind it.
func TestEarly(t *testing.T) {
	const size = 3 << 20
	s, p := publisher(t, Options{Early: 1 << 20, Linger: -1})
	body := make([]byte, size)
	_, _ = rand.Read(body)
	whole := wire([]byte("topic"), body)
	head := len(whole) - size
	p.write(wire(body, []byte("long, but not the last")), whole[:head+1000])

	m, err := s.Recv(testContext(t))
	if err != nil || m.Arriving() {
		t.Fatalf("the first: arriving %v, %v", m.Arriving(), err)
	}
	if n, err := m.Wait(t.Context(), size); n != len(m.Frames[1]) || err != nil {
		t.Errorf("a wait for what is there: %d, %v", n, err)
	}
	m, err = s.Recv(testContext(t))
	if err != nil || !m.Arriving() || len(m.Frames) != 2 || len(m.Frames[1]) != size {
		t.Fatalf("%d frames, %v", len(m.Frames), err)
	}
	if n, err := m.Wait(testContext(t), 1000); n != 1000 || err != nil {
		t.Fatalf("the first 1000: %d, %v", n, err)
	}
	if !bytes.Equal(m.Frames[1][:1000], body[:1000]) {
		t.Error("other bytes came")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := m.Wait(ended, 1001); n != 1000 || !errors.Is(err, context.Canceled) {
		t.Errorf("a wait for more: %d, %v", n, err)
	}
	last := m.Frames[1]
	go p.write(whole[head+1000:], wire([]byte("next")))
	if n, err := m.Wait(testContext(t), 2*size); n != size || err != nil {
		t.Fatalf("all of it: %d, %v", n, err)
	}
	if !bytes.Equal(last, body) {
		t.Error("other bytes came")
	}
	m.Release()
	if m, err = s.Recv(testContext(t)); err != nil || m.Arriving() {
		t.Fatal(m.Arriving(), err)
	}
	wantFrames(t, m.Frames, "next")
}

// TestEarlyReleased: who does not want a message that arrives may release it; the
// rest of it is read over.
func TestEarlyReleased(t *testing.T) {
	s, p := publisher(t, Options{Early: 1 << 20, Linger: -1})
	whole := wire([]byte("topic"), make([]byte, 2<<20))
	for range 3 {
		p.write(whole[:1000])
		m, err := s.Recv(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		m.Release()
		p.write(whole[1000:], wire([]byte("next")))
		if m, err = s.Recv(testContext(t)); err != nil {
			t.Fatal(err)
		}
		wantFrames(t, m.Frames, "next")
		m.Release()
	}
}

// TestEarlyCutOff: a frame that does not come to its end is an error to who waits, and to Recv.
func TestEarlyCutOff(t *testing.T) {
	for name, end := range map[string]func(s *Sub, p raw) error{
		"by the other side": func(_ *Sub, p raw) error { return p.Close() },
		"by Close":          func(s *Sub, _ raw) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s, p := publisher(t, Options{Early: 1 << 20, Linger: -1})
			p.write(wire([]byte("topic"), make([]byte, 2<<20))[:1<<20])
			m, err := s.Recv(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = end(s, p) }()
			if n, err := m.Wait(testContext(t), 2<<20); n >= 2<<20 || err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if _, err := s.Recv(testContext(t)); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrClosed) {
				t.Errorf("Recv: %v", err)
			}
		})
	}
}
