package zsock

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/go-zeromq/zmq4"
)

// sizes of the last frame; the others are as long as those of a Jupyter message.
var sizes = []int{100, 100 << 10}

func jupyterFrames(n int) [][]byte {
	return [][]byte{[]byte("<IDS|MSG>"), make([]byte, 64), make([]byte, 180), make([]byte, 180), []byte("{}"), make([]byte, n)}
}

// BenchmarkRoundTrip is DEALER to ROUTER and back, in plain and with CURVE,
// against go-zeromq/zmq4 and against as many bytes on a bare connection.
func BenchmarkRoundTrip(b *testing.B) {
	for _, n := range sizes {
		for _, impl := range []struct {
			name string
			run  func(*testing.B, [][]byte)
		}{{"own", ownRoundTrip}, {"curve", curveRoundTrip}, {"zmq4", zmq4RoundTrip}, {"bare", bareRoundTrip}} {
			b.Run(fmt.Sprintf("%s/%d", impl.name, n), func(b *testing.B) {
				b.ReportAllocs()
				impl.run(b, jupyterFrames(n))
			})
		}
	}
}

func ownRoundTrip(b *testing.B, f [][]byte) { roundTrip(b, f, Options{}) }

func curveRoundTrip(b *testing.B, f [][]byte) { roundTrip(b, f, Options{Curve: newCurve()}) }

func roundTrip(b *testing.B, f [][]byte, o Options) {
	r := listenRouter(b, "tcp://127.0.0.1:0", o)
	d, err := DialDealer(testContext(b), r.Endpoint(), []byte("c"), o)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	go func() {
		for {
			m, err := r.Recv(context.Background())
			if err != nil {
				return
			}
			_ = r.Send(m.Peer, m.Frames)
			m.Release()
		}
	}()
	for b.Loop() {
		if err := d.Send(f); err != nil {
			b.Fatal(err)
		}
		m, err := d.Recv(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		m.Release()
	}
}

func zmq4RoundTrip(b *testing.B, f [][]byte) {
	r := zmq4.NewRouter(b.Context())
	defer r.Close()
	if err := r.Listen("tcp://127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	d := zmq4.NewDealer(b.Context())
	defer d.Close()
	if err := d.Dial("tcp://" + r.Addr().String()); err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			m, err := r.Recv()
			if err != nil {
				return
			}
			_ = r.SendMulti(m)
		}
	}()
	for b.Loop() {
		if err := d.SendMulti(zmq4.NewMsgFrom(f...)); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Recv(); err != nil {
			b.Fatal(err)
		}
	}
}

func bareRoundTrip(b *testing.B, f [][]byte) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	var e encoded
	e.encode(f)
	pingpong := func(c net.Conn, buf []byte) error {
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		_, err := c.Write(buf)
		return err
	}
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		for buf := make([]byte, e.size); pingpong(c, buf) == nil; {
		}
		_ = c.Close()
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, e.size)
	if _, err := c.Write(buf); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := pingpong(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublish is XPub to one Sub that reads, in plain and with CURVE, against zmq4's PUB and SUB
// and against a bare connection that carries the same bytes.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct{ count, size int }{{200, 1 << 20}, {100_000, 100}} {
		name := fmt.Sprintf("%dx%d", c.count, c.size)
		f := [][]byte{[]byte("topic"), make([]byte, c.size)}
		b.Run("own/"+name, func(b *testing.B) {
			b.SetBytes(int64(c.count * c.size))
			b.ReportAllocs()
			publish(b, f, c.count, Options{})
		})
		b.Run("curve/"+name, func(b *testing.B) {
			b.SetBytes(int64(c.count * c.size))
			b.ReportAllocs()
			publish(b, f, c.count, Options{Curve: newCurve()})
		})
		b.Run("bare/"+name, func(b *testing.B) {
			b.SetBytes(int64(c.count * c.size))
			barePublish(b, f, c.count)
		})
	}
}

func publish(b *testing.B, f [][]byte, count int, o Options) {
	o.OnDrop = func(n int) { b.Errorf("%d dropped", n) }
	x := listenXPub(b, "tcp://127.0.0.1:0", o)
	s, err := DialSub(testContext(b), x.Endpoint(), [][]byte{{}}, o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	<-x.Subscriptions()
	for b.Loop() {
		go func() {
			for range count {
				_ = x.Send(f)
			}
		}()
		for range count {
			m, err := s.Recv(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			m.Release()
		}
	}
}

func barePublish(b *testing.B, f [][]byte, count int) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	var e encoded
	e.encode(f)
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	to, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()
	buf := make([]byte, 64<<10)
	for b.Loop() {
		go func() {
			for range count {
				bufs := net.Buffers(append([][]byte(nil), e.pieces...))
				_, _ = bufs.WriteTo(to)
			}
		}()
		for left := count * e.size; left > 0; {
			n, err := c.Read(buf[:min(left, len(buf))])
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
}
