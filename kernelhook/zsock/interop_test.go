package zsock

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-zeromq/zmq4"
)

// echoAll is a caller of Router that trusts and answers everybody.
func echoAll(r *Router) {
	for {
		m, err := r.Recv(context.Background())
		if err != nil {
			return
		}
		r.Trust(m.Peer)
		_ = r.Send(m.Peer, m.Frames)
		m.Release()
	}
}

// messages are the shapes that go there and back in the tests.
func shapes() [][]string {
	var many []string
	for range 3000 {
		many = append(many, "frame")
	}
	return [][]string{
		{"a"},
		{""},
		{"", ""},
		{"a", "", "b"},
		{strings.Repeat("s", 255), strings.Repeat("l", 256)},
		{"big", strings.Repeat("0123456789", 400_000), "tail", strings.Repeat("x", 5000)},
		many,
	}
}

func TestLibzmqDealer(t *testing.T) {
	z := startLibzmq(t)
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			r := listenRouter(t, endpoint, Options{})
			go echoAll(r)
			z.open(name, "DEALER", r.Endpoint(), args{"identity": "client-" + name})
			for _, want := range shapes() {
				z.send(name, want...)
				wantFrames(t, z.recv(name), want...)
			}
		})
	}
}

func TestLibzmqReq(t *testing.T) {
	z := startLibzmq(t)
	e, err := ListenEcho("ipc://"+filepath.Join(t.TempDir(), "hb"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	z.open("hb", "REQ", e.Endpoint(), nil)
	for range 3 {
		z.send("hb", "ping")
		wantFrames(t, z.recv("hb"), "ping")
	}
}

// TestLibzmqHeartbeat: a libzmq client that sends PINGs, some with a time to
// live, keeps its connection while it hears PONGs.
func TestLibzmqHeartbeat(t *testing.T) {
	z := startLibzmq(t)
	var ended atomic.Int32
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{OnClose: func(error) { ended.Add(1) }})
	z.open("d", "DEALER", r.Endpoint(), args{"heartbeat_ivl": 20, "heartbeat_timeout": 200, "heartbeat_ttl": 300})
	z.send("d", "first")
	first := recv(t, r)
	z.do("sleep", args{"seconds": 0.7}, nil)
	z.send("d", "second")
	if second := recv(t, r); !bytes.Equal(first.Peer, second.Peer) || ended.Load() != 0 {
		t.Errorf("the connection was replaced: peers %x and %x, %d ended", first.Peer, second.Peer, ended.Load())
	}
}

func TestLibzmqSub(t *testing.T) {
	z := startLibzmq(t)
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			x := listenXPub(t, endpoint, Options{})
			sub := "sub-" + name
			z.open(sub, "SUB", x.Endpoint(), args{"subscribe": []string{"a"}})
			s := <-x.Subscriptions()
			if err := x.SendTo(s.Peer, frames("welcome", string(s.Topic))); err != nil {
				t.Fatal(err)
			}
			// libzmq's SUB filters what it gets once more, so the welcome is
			// thrown away there: ipykernel's begins with the topic for that reason.
			if err := x.SendTo(s.Peer, frames(string(s.Topic), "welcome")); err != nil {
				t.Fatal(err)
			}
			wantFrames(t, z.recv(sub), "a", "welcome")
			for _, topic := range []string{"b1", "a1", "", "a2"} {
				if err := x.Send(frames(topic)); err != nil {
					t.Fatal(err)
				}
			}
			wantFrames(t, z.recv(sub), "a1")
			wantFrames(t, z.recv(sub), "a2")

			z.do("subscribe", args{"name": sub, "topic": "b"}, nil)
			z.do("unsubscribe", args{"name": sub, "topic": "a"}, nil)
			if s := <-x.Subscriptions(); string(s.Topic) != "b" || s.Cancel {
				t.Errorf("subscription = %+v", s)
			}
			if s := <-x.Subscriptions(); string(s.Topic) != "a" || !s.Cancel {
				t.Errorf("subscription = %+v", s)
			}
			for _, topic := range []string{"a3", "b3"} {
				if err := x.Send(frames(topic)); err != nil {
					t.Fatal(err)
				}
			}
			wantFrames(t, z.recv(sub), "b3")
		})
	}
}

// TestDialLibzmq: our connecting sockets against libzmq's binding ones.
func TestDialLibzmq(t *testing.T) {
	z := startLibzmq(t)
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			endpoint = strings.Replace(endpoint, ":0", ":*", 1)
			d := dialDealer(t, z.open("router-"+name, "ROUTER", endpoint, args{"bind": true}), "own")
			for _, want := range shapes() {
				if err := d.Send(frames(want...)); err != nil {
					t.Fatal(err)
				}
				got := z.recv("router-" + name)
				wantFrames(t, got, append([]string{"own"}, want...)...)
				z.send("router-"+name, append([]string{"own"}, want...)...)
				wantFrames(t, recv(t, d).Frames, want...)
			}
			if name == "ipc" {
				endpoint += "-pub"
			}
			s := dialSub(t, z.open("xpub-"+name, "XPUB", endpoint, args{"bind": true}), "a")
			wantFrames(t, z.recv("xpub-"+name), "\x01a")
			z.send("xpub-"+name, "b", "not for us")
			z.send("xpub-"+name, "a", "for us")
			wantFrames(t, recv(t, s).Frames, "a", "for us")
		})
	}
}

// TestZMQ4 is the second implementation, which speaks ZMTP 3.0.
func TestZMQ4(t *testing.T) {
	ctx := testContext(t)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{})
	go echoAll(r)
	d := zmq4.NewDealer(ctx, zmq4.WithID(zmq4.SocketIdentity("zmq4")))
	defer d.Close()
	if err := d.Dial(r.Endpoint()); err != nil {
		t.Fatal(err)
	}
	for _, want := range shapes() {
		if err := d.SendMulti(zmq4.NewMsgFrom(frames(want...)...)); err != nil {
			t.Fatal(err)
		}
		got, err := d.Recv()
		if err != nil {
			t.Fatal(err)
		}
		wantFrames(t, got.Frames, want...)
	}

	x := listenXPub(t, "tcp://127.0.0.1:0", Options{})
	s := zmq4.NewSub(ctx)
	defer s.Close()
	if err := s.Dial(x.Endpoint()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetOption(zmq4.OptionSubscribe, "top"); err != nil {
		t.Fatal(err)
	}
	if got := <-x.Subscriptions(); string(got.Topic) != "top" || got.Cancel {
		t.Errorf("subscription = %+v", got)
	}
	if err := x.Send(frames("topic", "x")); err != nil {
		t.Fatal(err)
	}
	got, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	wantFrames(t, got.Frames, "topic", "x")
}

// TestDialZMQ4: our DEALER and SUB against zmq4's ROUTER and PUB.
func TestDialZMQ4(t *testing.T) {
	ctx := testContext(t)
	r := zmq4.NewRouter(ctx)
	defer r.Close()
	if err := r.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	d := dialDealer(t, "tcp://"+r.Addr().String(), "own")
	if err := d.Send(frames("a", "b")); err != nil {
		t.Fatal(err)
	}
	m, err := r.Recv()
	if err != nil {
		t.Fatal(err)
	}
	wantFrames(t, m.Frames, "own", "a", "b")
	if err := r.SendMulti(m); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, recv(t, d).Frames, "a", "b")

	pub := zmq4.NewPub(ctx)
	defer pub.Close()
	if err := pub.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s := dialSub(t, "tcp://"+pub.Addr().String(), "t")
	// PUB does not say when it has seen the subscription.
	got := make(chan Message)
	go func() {
		if m, err := s.Recv(ctx); err == nil {
			got <- m
		}
		close(got)
	}()
	for {
		if err := pub.SendMulti(zmq4.NewMsgFrom(frames("t", "x")...)); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-got:
			wantFrames(t, m.Frames, "t", "x")
			return
		default:
		}
	}
}
