package zsock

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// newCurve makes a pair of keys.
func newCurve() *Curve {
	c := new(Curve)
	c.public, c.secret = newPair()
	return c
}

// toZ85 writes a key as connection files have it.
func toZ85(k key) string {
	b := make([]byte, keyLen/4*5)
	for i := range keyLen / 4 {
		word := binary.BigEndian.Uint32(k[4*i:])
		for d := 4; d >= 0; d-- {
			b[5*i+d] = z85[word%85]
			word /= 85
		}
	}
	return string(b)
}

// asClient and asServer are the options of a libzmq socket.
func asClient(own, server *Curve) args {
	return args{"curve_publickey": toZ85(own.public), "curve_secretkey": toZ85(own.secret), "curve_serverkey": toZ85(server.public)}
}

func asServer(own *Curve) args {
	return args{"curve_server": 1, "curve_publickey": toZ85(own.public), "curve_secretkey": toZ85(own.secret), "bind": true}
}

func with(a args, key string, value any) args {
	a[key] = value
	return a
}

// A libzmq client with the server's own pair, as jupyter_client makes them, or
// with one of its own, as its heartbeat has.
func TestCurveLibzmqDealer(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	for name, endpoint := range endpoints(t) {
		for whose, client := range map[string]*Curve{"server's": keys, "own": newCurve()} {
			t.Run(name+", "+whose+" keys", func(t *testing.T) {
				r := listenRouter(t, endpoint, Options{Curve: keys})
				go echoAll(r)
				z.open(t.Name(), "DEALER", r.Endpoint(), with(asClient(client, keys), "identity", "client"))
				for _, want := range shapes() {
					z.send(t.Name(), want...)
					wantFrames(t, z.recv(t.Name()), want...)
				}
				z.do("close", args{"name": t.Name()}, nil)
			})
		}
	}
}

func TestCurveLibzmqReq(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	e, err := ListenEcho("tcp://127.0.0.1:0", Options{Curve: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	z.open("hb", "REQ", e.Endpoint(), asClient(newCurve(), keys))
	for range 3 {
		z.send("hb", "ping")
		wantFrames(t, z.recv("hb"), "ping")
	}
}

func TestCurveLibzmqSub(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{Curve: keys})
	z.open("sub", "SUB", x.Endpoint(), with(asClient(keys, keys), "subscribe", []string{"a"}))
	if s := <-x.Subscriptions(); string(s.Topic) != "a" || s.Cancel {
		t.Fatalf("subscription = %+v", s)
	}
	long := strings.Repeat("0123456789", 400_000)
	for _, topic := range []string{"b1", "a1", "", "a2" + long} {
		if err := x.Send(frames(topic)); err != nil {
			t.Fatal(err)
		}
	}
	wantFrames(t, z.recv("sub"), "a1")
	wantFrames(t, z.recv("sub"), "a2"+long)
	z.do("subscribe", args{"name": "sub", "topic": "b"}, nil)
	z.do("unsubscribe", args{"name": "sub", "topic": "a"}, nil)
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
	wantFrames(t, z.recv("sub"), "b3")
}

// A burst to a libzmq subscriber arrives whole and in order.
func TestCurveLibzmqBurst(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{Curve: keys})
	z.open("sub", "SUB", x.Endpoint(), with(with(asClient(keys, keys), "subscribe", []string{""}), "rcvhwm", 0))
	<-x.Subscriptions()
	const n, size = 20_000, 100
	z.begin("count", args{"name": "sub", "last": n - 1})
	body := bytes.Repeat([]byte("x"), size)
	for i := range n {
		if err := x.Send([][]byte{{}, []byte(strconv.Itoa(i)), body}); err != nil {
			t.Fatal(err)
		}
	}
	var got counted
	if z.answer(&got); got.N != n || !got.Ordered || got.Last != n-1 {
		t.Errorf("got %+v, want %d", got, n)
	}
}

func TestCurveLibzmqHeartbeat(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys})
	more := asClient(keys, keys)
	more["heartbeat_ivl"], more["heartbeat_timeout"], more["heartbeat_ttl"] = 20, 200, 300
	z.open("d", "DEALER", r.Endpoint(), more)
	z.send("d", "first")
	first := recv(t, r)
	z.do("sleep", args{"seconds": 0.7}, nil)
	z.send("d", "second")
	if second := recv(t, r); !bytes.Equal(first.Peer, second.Peer) {
		t.Errorf("the connection was replaced: peers %x and %x", first.Peer, second.Peer)
	}
}

// Our connecting sockets against libzmq's binding ones.
func TestCurveDialLibzmq(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) {
			endpoint = strings.Replace(endpoint, ":0", ":*", 1)
			d, err := DialDealer(testContext(t), z.open("router-"+name, "ROUTER", endpoint, asServer(keys)), []byte("own"), Options{Curve: keys})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
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
			s, err := DialSub(testContext(t), z.open("xpub-"+name, "XPUB", endpoint, asServer(keys)), frames("a"), Options{Curve: keys})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			wantFrames(t, z.recv("xpub-"+name), "\x01a")
			z.send("xpub-"+name, "b", "not for us")
			z.send("xpub-"+name, "a", "for us")
			wantFrames(t, recv(t, s).Frames, "a", "for us")
		})
	}
}

// A libzmq client without CURVE, or with another server's key, gets nothing
// through, and the next one is served.
func TestCurveLibzmqRefused(t *testing.T) {
	z := startLibzmq(t)
	keys := newCurve()
	why := make(chan error, 100)
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys, OnClose: func(err error) {
		select {
		case why <- err:
		default:
		}
	}})
	for name, options := range map[string]args{"no CURVE": {}, "another key": asClient(keys, newCurve())} {
		z.open(name, "DEALER", r.Endpoint(), options)
		// The connection may be refused, and given up, before this.
		z.do("send", args{"name": name, "frames": []string{"refused"}, "timeout": 0}, nil)
		ended := func() error {
			select {
			case err := <-why:
				return err
			case <-testContext(t).Done():
				t.Fatalf("%s: not ended", name)
				return nil
			}
		}
		// Without CURVE libzmq may leave first, and may have come more than once.
		for err := ended(); name == "another key" && !errors.Is(err, errCurve); err = ended() {
			t.Logf("%s: ended with %v", name, err)
		}
		z.do("close", args{"name": name}, nil)
	}
	z.open("good", "DEALER", r.Endpoint(), asClient(keys, keys))
	z.send("good", "taken")
	wantFrames(t, recv(t, r).Frames, "taken")
}

// A libzmq server that has other keys, or no CURVE, gets nothing from us.
func TestCurveDialLibzmqRefused(t *testing.T) {
	z := startLibzmq(t)
	for name, options := range map[string]args{"no CURVE": {"bind": true}, "other keys": asServer(newCurve())} {
		endpoint := z.open(name, "ROUTER", "tcp://127.0.0.1:*", options)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		d, err := DialDealer(ctx, endpoint, nil, Options{Curve: newCurve()})
		cancel()
		if err == nil {
			t.Errorf("%s: connected", name)
			_ = d.Close()
		}
	}
}
