package zsock

import (
	"bytes"
	"context"
	"path/filepath"
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
