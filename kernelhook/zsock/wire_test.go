package zsock

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memConn is a connection that gives bytes in pieces of step and keeps what is
// written to it.
type memConn struct {
	net.Conn
	in   *bytes.Reader
	step int
	out  bytes.Buffer
}

func (c *memConn) Read(p []byte) (int, error)       { return c.in.Read(p[:min(len(p), c.step)]) }
func (c *memConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *memConn) Close() error                     { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// talk is one connection's whole life, with data as everything that comes.
type talk struct {
	messages [][][]byte
	err      error  // that ended it
	used     int    // bytes of greeting and handshake
	held     int    // most bytes that one message had memory for
	sent     []byte // everything that was written
}

func hear(data []byte, step int, k *kind) talk { return hearAs(data, step, k, Options{}) }

func hearAs(data []byte, step int, k *kind, o Options) (t talk) {
	conn := &memConn{in: bytes.NewReader(data), step: max(step, 1)}
	var wg sync.WaitGroup
	var pl pool
	o = o.withDefaults(k.queue)
	p := newPeer(conn, k, &o, &pl, &wg)
	p.subscribed = func([]byte, bool) error { return nil }
	if t.err = p.accept(); t.err == nil {
		t.used = len(data) - conn.in.Len() - (p.in.end - p.in.at)
	}
	for t.err == nil {
		var b *buffer
		if b, t.err = p.in.message(); t.err == nil {
			m := b.message(p.id)
			t.held = max(t.held, m.size())
			var frames [][]byte
			for _, f := range m.Frames {
				frames = append(frames, bytes.Clone(f))
			}
			t.messages = append(t.messages, frames)
			m.Release()
		}
	}
	<-p.out.drained()
	_ = p.out.shut(t.err)
	wg.Wait()
	t.sent = conn.out.Bytes()
	return t
}

// class is what the files in testdata/wire call an error.
func class(err error) string {
	var refused *refusedError
	if errors.As(err, &refused) {
		return "refused"
	}
	for _, e := range []error{errGreeting, errVersion, errMechanism, errReady, errSocketType, errIdentity, errFrame, errCommand, errCurve, errTooLong} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	switch err {
	case io.EOF:
		return "end"
	case io.ErrUnexpectedEOF:
		return "cut short"
	}
	return err.Error()
}

// vector is a file of testdata/wire: comments, keys, an empty line, hex.
type vector struct {
	name, socket, expect string
	messages             int
	data                 []byte
}

func vectors(t testing.TB) (vs []vector) {
	files, err := filepath.Glob("testdata/wire/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := vector{name: strings.TrimSuffix(filepath.Base(file), ".hex")}
		head, body, _ := strings.Cut(string(text), "\n\n")
		for line := range strings.Lines(head) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "socket":
				v.socket = value
			case "expect":
				v.expect = value
			case "messages":
				v.messages, err = strconv.Atoi(value)
			}
		}
		if err == nil {
			v.data, err = hex.DecodeString(strings.Join(strings.Fields(body), ""))
		}
		if err != nil {
			t.Fatal(file, err)
		}
		vs = append(vs, v)
	}
	return vs
}

func (v vector) kind() *kind {
	if v.socket == "XPUB" {
		return &xpubKind
	}
	return &routerKind
}

func TestWire(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			for _, step := range []int{1, 7, 1 << 20} {
				got := hear(v.data, step, v.kind())
				if c := class(got.err); c != v.expect {
					t.Errorf("in pieces of %d: ended with %q, want %q", step, c, v.expect)
				}
				if len(got.messages) != v.messages {
					t.Errorf("in pieces of %d: %d messages, want %d", step, len(got.messages), v.messages)
				}
				checkTalk(t, v.kind(), v.data, got)
			}
		})
	}
}

// TestRefusal: a wrong READY is answered with ERROR, a wrong greeting is not.
func TestRefusal(t *testing.T) {
	want := map[string]string{
		"bad socket type": greeting + "\x04\x16\x05ERROR\x0fbad-socket-type",
		"bad identity":    greeting + "\x04\x13\x05ERROR\x0cbad-identity",
		"bad ready":       greeting + "\x04\x10\x05ERROR\x09bad-ready",
		"bad mechanism":   greeting,
		"old version":     greeting,
		"bad greeting":    greeting,
	}
	for _, v := range vectors(t) {
		if sent, ok := want[v.expect]; ok {
			if got := hear(v.data, 1<<20, v.kind()); string(got.sent) != sent {
				t.Errorf("%s: sent %q, want %q", v.name, got.sent, sent)
			}
		}
	}
}

// TestPong: each PING's context comes back, behind greeting and READY.
func TestPong(t *testing.T) {
	data := slices.Concat([]byte(greeting), appendReady(nil, ready{socketType: "DEALER"}),
		appendCommand(nil, "PING", []byte{0, 0}),
		appendCommand(nil, "PING", []byte{0x12, 0x34}, []byte("sixteen bytes ok")))
	want := greeting + string(appendReady(nil, ready{socketType: "ROUTER"})) +
		"\x04\x05\x04PONG" + "\x04\x15\x04PONGsixteen bytes ok"
	if got := hear(data, 3, &routerKind); string(got.sent) != want {
		t.Errorf("sent %q\nwant %q", got.sent, want)
	}
}

// checkTalk holds what is true of any input: what was read, written again and
// read again is the same; written again it is byte for byte what came where
// what came was in the shortest form; and no more memory was held than bytes came.
func checkTalk(t *testing.T, k *kind, data []byte, got talk) {
	t.Helper()
	var again []byte
	for _, m := range got.messages {
		var e encoded
		e.encode(m)
		for _, p := range e.pieces {
			again = append(again, p...)
		}
	}
	if got.used > 0 {
		traffic := data[got.used:]
		if rest, ok := bytes.CutPrefix(traffic, again); !ok && shortest(traffic, len(again)) {
			t.Errorf("read and written again: %x\nwant the start of %x", again, traffic)
		} else if ok && class(got.err) == "end" && len(rest) > 0 && shortest(traffic, len(traffic)) {
			t.Errorf("%d bytes of messages are missing", len(rest))
		}
		second := hear(slices.Concat(data[:got.used], again), 1<<20, k)
		if d := cmp.Diff(got.messages, second.messages, cmp.Comparer(bytes.Equal)); d != "" {
			t.Errorf("read again (-first +second):\n%s", d)
		}
	}
	if most := 4*len(data) + 4*stepLen; got.held > most {
		t.Errorf("held %d bytes after %d had come", got.held, len(data))
	}
}

// shortest reports whether the first n bytes of traffic are whole messages in
// the form that encode gives them, without commands.
func shortest(traffic []byte, n int) bool {
	for at := 0; at < n; {
		flags, size, need, err := parseHeader(traffic[at:])
		if err != nil || len(traffic)-at < need || flags&flagCommand != 0 || flags&flagLong != 0 && size <= 255 || size > uint64(n-at) {
			return false
		}
		at += need + int(size)
	}
	return true
}

func FuzzConnection(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.data, uint8(3), v.socket == "XPUB")
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8, xpub bool) {
		k := &routerKind
		if xpub {
			k = &xpubKind
		}
		got := hear(data, int(step)+1, k)
		checkTalk(t, k, data, got)
		whole := hear(data, 1<<20, k)
		if class(got.err) != class(whole.err) {
			t.Errorf("in pieces %v, whole %v", got.err, whole.err)
		}
		if d := cmp.Diff(whole.messages, got.messages, cmp.Comparer(bytes.Equal)); d != "" {
			t.Errorf("messages depend on how the bytes came:\n%s", d)
		}
	})
}

// FuzzReady: what parseReady takes, appendReady writes so that it reads the same.
func FuzzReady(f *testing.F) {
	f.Add([]byte("\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x01a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReady(data)
		if err != nil {
			return
		}
		frame := appendReady(nil, r)
		_, size, need, err := parseHeader(frame)
		if err != nil || need+int(size) != len(frame) {
			t.Fatalf("header of %x: %v", frame, err)
		}
		name, meta, err := splitCommand(frame[need:])
		if err != nil || string(name) != "READY" {
			t.Fatalf("command %q: %v", name, err)
		}
		again, err := parseReady(meta)
		if err != nil || again.socketType != r.socketType || !bytes.Equal(again.identity, r.identity) {
			t.Errorf("read again: %+v %v, want %+v", again, err, r)
		}
	})
}
