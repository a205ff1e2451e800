package zsock

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// manual is the pair of libzmq's manual, zmq_curve.
const (
	manualPublic = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
	manualSecret = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
)

func TestParseCurve(t *testing.T) {
	c, err := ParseCurve(manualPublic, manualSecret)
	if err != nil {
		t.Fatal(err)
	}
	if toZ85(c.public) != manualPublic || toZ85(c.secret) != manualSecret {
		t.Error("the keys are others")
	}
	o := Options{Curve: c}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{c, *c, o} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, fmt.Sprint(c.secret[0])+" ") && v != any(o) || strings.Contains(got, fmt.Sprintf("%x", c.secret[:4])) {
				t.Errorf("%s prints %s", format, got)
			}
		}
	}
	other := newCurve()
	for name, pair := range map[string][2]string{
		"short":         {manualPublic[1:], manualSecret},
		"long":          {manualPublic, manualSecret + "0"},
		"no digit":      {manualPublic, manualSecret[:39] + "~"},
		"not ASCII":     {manualPublic, manualSecret[:38] + "é"},
		"over 32 bits":  {manualPublic, "#####" + manualSecret[5:]},
		"swapped":       {manualSecret, manualPublic},
		"of another":    {toZ85(other.public), manualSecret},
		"nothing":       {"", ""},
		"only a secret": {"", manualSecret},
	} {
		if _, err := ParseCurve(pair[0], pair[1]); err == nil || strings.Contains(err.Error(), manualSecret[5:10]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseCurve: what is taken as a key is written as the same text.
func FuzzParseCurve(f *testing.F) {
	f.Add(manualPublic)
	f.Add("#####" + manualSecret[5:])
	f.Fuzz(func(t *testing.T, text string) {
		var k key
		if parseZ85(&k, text) && toZ85(k) != text {
			t.Errorf("%q is written as %q", text, toZ85(k))
		}
	})
}

// handshake is one between two sides, whose commands a test may change.
type handshake struct {
	server *curveServer
	client *curveClient
	change func(command string, data []byte) []byte
}

func newHandshake(keys *Curve) *handshake {
	return &handshake{
		&curveServer{keys: keys}, &curveClient{keys: keys},
		func(_ string, data []byte) []byte { return data },
	}
}

func (h *handshake) run() (metadata []byte, err error) {
	hello, err := h.client.hello()
	if err != nil {
		return nil, err
	}
	welcome, err := h.server.answerHello(h.change("HELLO", hello))
	if err != nil {
		return nil, err
	}
	initiate, err := h.client.answerWelcome(h.change("WELCOME", welcome), []byte("of the client"))
	if err != nil {
		return nil, err
	}
	got, err := h.server.openInitiate(h.change("INITIATE", initiate))
	if err != nil {
		return nil, err
	}
	if string(got) != "of the client" {
		return nil, fmt.Errorf("metadata %q", got)
	}
	return h.client.openReady(h.change("READY", h.server.ready([]byte("of the server"))))
}

func TestCurveHandshake(t *testing.T) {
	h := newHandshake(newCurve())
	metadata, err := h.run()
	if err != nil || string(metadata) != "of the server" {
		t.Fatalf("%q, %v", metadata, err)
	}
	if h.server.shared != h.client.shared || h.server.shared == (key{}) {
		t.Error("the two sides do not share a key")
	}
	if h.server.cookie != (key{}) {
		t.Error("the cookie's key is left")
	}
}

// lengths of the commands' data; padding of a HELLO means nothing.
var commands = map[string]struct{ length, padding int }{
	"HELLO": {helloLen, 2 + 72}, "WELCOME": {welcomeLen, 0},
	"INITIATE": {initiateLen + len("of the client"), 0}, "READY": {readyLen + len("of the server"), 0},
}

// No command can be changed in any byte, cut or made longer.
func TestCurveHandshakeChanged(t *testing.T) {
	keys := newCurve()
	refused := func(what string, change func(command string, data []byte) []byte) {
		t.Helper()
		h := newHandshake(keys)
		h.change = change
		if _, err := h.run(); !errors.Is(err, errCurve) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for command, c := range commands {
		for at := c.padding; at < c.length; at++ {
			refused(fmt.Sprintf("%s, byte %d", command, at), func(cmd string, data []byte) []byte {
				if cmd == command {
					data[at] ^= 0x10
				}
				return data
			})
		}
		for _, n := range []int{0, 1, shortNonce, c.length / 2, c.length - 1, c.length + 1} {
			refused(fmt.Sprintf("%s of %d bytes", command, n), func(cmd string, data []byte) []byte {
				if cmd != command {
					return data
				}
				if len(data) != c.length {
					t.Errorf("%s has %d bytes, want %d", cmd, len(data), c.length)
				}
				return append(data, 0)[:n]
			})
		}
	}
}

// What strangers may try, who have seen whole handshakes of others.
func TestCurveAttacks(t *testing.T) {
	keys := newCurve()
	seen := map[string][]byte{}
	record := newHandshake(keys)
	record.change = func(command string, data []byte) []byte {
		seen[command] = bytes.Clone(data)
		return data
	}
	if _, err := record.run(); err != nil {
		t.Fatal(err)
	}
	replay := func(commands ...string) func(string, []byte) []byte {
		return func(command string, data []byte) []byte {
			if slices.Contains(commands, command) {
				return bytes.Clone(seen[command])
			}
			return data
		}
	}
	for name, change := range map[string]func(string, []byte) []byte{
		"replayed HELLO":              replay("HELLO"),
		"replayed WELCOME":            replay("WELCOME"),
		"replayed INITIATE":           replay("INITIATE"),
		"replayed HELLO and INITIATE": replay("HELLO", "INITIATE"),
		"replayed READY":              replay("READY"),
		"replayed server":             replay("WELCOME", "READY"),
	} {
		h := newHandshake(keys)
		h.change = change
		if _, err := h.run(); !errors.Is(err, errCurve) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Run("another server's key", func(t *testing.T) {
		h := newHandshake(keys)
		h.client.keys = newCurve()
		if _, err := h.run(); !errors.Is(err, errCurve) {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		at  int
		say []byte
	}{"another version": {0, []byte{2, 0}}, "another minor version": {0, []byte{1, 1}}, "another text in HELLO's box": {helloLen, nil}} {
		t.Run(name, func(t *testing.T) {
			h := newHandshake(keys)
			h.change = func(command string, data []byte) []byte {
				if command != "HELLO" {
					return data
				}
				if copy(data[c.at:], c.say); c.at == helloLen {
					var shared key
					if err := agree(&shared, &h.client.shortSecret, &keys.public); err != nil {
						t.Fatal(err)
					}
					data = sealShort(data[:2+72+keyLen], nonceHello, 1, &shared, bytes.Repeat([]byte{1}, 64))
				}
				return data
			}
			if _, err := h.run(); !errors.Is(err, errCurve) {
				t.Error(err)
			}
		})
	}
	t.Run("INITIATE twice", func(t *testing.T) {
		if _, err := record.server.openInitiate(seen["INITIATE"]); !errors.Is(err, errCurve) {
			t.Error(err)
		}
	})
	t.Run("nonce of HELLO again", func(t *testing.T) {
		h := newHandshake(keys)
		h.server.received = 0
		h.change = func(command string, data []byte) []byte {
			if command == "INITIATE" {
				h.server.received = 2
			}
			return data
		}
		if _, err := h.run(); !errors.Is(err, errCurve) {
			t.Error(err)
		}
	})
}

// lowOrder are points with which everybody shares zero.
var lowOrder = []key{
	{},
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}

// A client that does not know the server's public key gets no WELCOME by a key
// of low order, nor does one get through with such a long-term key.
func TestCurveLowOrder(t *testing.T) {
	for i, point := range lowOrder {
		keys := newCurve()
		if err := agree(new(key), &keys.secret, &point); !errors.Is(err, errCurve) {
			t.Errorf("%d: agreed: %v", i, err)
		}
		hello := make([]byte, 2+72, helloLen)
		hello[0] = 1
		hello = sealShort(append(hello, point[:]...), nonceHello, 1, &weak, make([]byte, 64))
		if _, err := (&curveServer{keys: keys}).answerHello(hello); !errors.Is(err, errCurve) {
			t.Errorf("%d: HELLO was taken: %v", i, err)
		}
		h := newHandshake(keys)
		h.client.keys = &Curve{public: keys.public}
		h.change = func(command string, data []byte) []byte {
			if command != "INITIATE" {
				return data
			}
			vouch := sealLong(nil, nonceVouch, &weak, slices.Concat(h.client.short[:], keys.public[:]))
			box := slices.Concat(point[:], vouch)
			return sealShort(bytes.Clone(data[:cookieLen]), nonceInitiate, 2, &h.client.shared, box)
		}
		if _, err := h.run(); !errors.Is(err, errCurve) {
			t.Errorf("%d: INITIATE was taken: %v", i, err)
		}
	}
}

// A vouch is for one server and of one connection.
func TestCurveVouch(t *testing.T) {
	keys, other := newCurve(), newCurve()
	for name, c := range map[string]struct {
		short, server *key // of the vouch, if others than the right ones
		want          error
	}{
		"right":                {want: nil},
		"for another server":   {server: &other.public, want: errCurve},
		"of another short key": {short: &other.public, want: errCurve},
	} {
		h := newHandshake(keys)
		var server key // the short-term one
		h.change = func(command string, data []byte) []byte {
			var shared key
			switch command {
			case "WELCOME":
				if err := agree(&shared, &h.client.shortSecret, &keys.public); err != nil {
					t.Fatal(err)
				}
				plain, err := openLong(nonceWelcome, &shared, data)
				if err != nil {
					t.Fatal(err)
				}
				server = key(plain)
			case "INITIATE":
				if err := agree(&shared, &keys.secret, &server); err != nil {
					t.Fatal(err)
				}
				says := slices.Concat(h.client.short[:], keys.public[:])
				if c.short != nil {
					copy(says, c.short[:])
				}
				if c.server != nil {
					copy(says[keyLen:], c.server[:])
				}
				box := slices.Concat(keys.public[:], sealLong(nil, nonceVouch, &shared, says), []byte("of the client"))
				return sealShort(bytes.Clone(data[:cookieLen]), nonceInitiate, 2, &h.client.shared, box)
			}
			return data
		}
		if _, err := h.run(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// FuzzCurveHandshake: whatever else than the right command comes is refused.
func FuzzCurveHandshake(f *testing.F) {
	keys := newCurve()
	for which := range uint8(4) {
		f.Add(which, uint16(90), byte(1), uint16(0), []byte{})
		f.Add(which, uint16(0), byte(0), uint16(3), []byte{})
		f.Add(which, uint16(0), byte(0), uint16(0), []byte("more"))
		f.Add(which, uint16(0), byte(0), uint16(1<<15), make([]byte, 300))
	}
	names := []string{"HELLO", "WELCOME", "INITIATE", "READY"}
	f.Fuzz(func(t *testing.T, which uint8, at uint16, xor byte, cut uint16, more []byte) {
		command := names[which%4]
		same := true
		h := newHandshake(keys)
		h.change = func(c string, data []byte) []byte {
			if c != command {
				return data
			}
			was := bytes.Clone(data)
			if len(data) > 0 {
				data[int(at)%len(data)] ^= xor
			}
			data = append(data[:len(data)-min(len(data), int(cut))], more...)
			padding := commands[c].padding
			same = len(data) == len(was) && bytes.Equal(data[padding:], was[padding:]) && bytes.Equal(data[:min(padding, 2)], was[:min(padding, 2)])
			return data
		}
		if _, err := h.run(); same != (err == nil) || err != nil && !errors.Is(err, errCurve) {
			t.Errorf("%s, same %v: %v", command, same, err)
		}
	})
}

// FuzzCurveConnection: bytes of somebody without the keys get a greeting, and
// never a message through.
func FuzzCurveConnection(f *testing.F) {
	keys := newCurve()
	for _, v := range vectors(f) {
		f.Add(v.data, uint8(3))
	}
	hello, err := (&curveClient{keys: newCurve()}).hello()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Concat([]byte(greetingClient), appendCommand(nil, "HELLO", hello)), uint8(7))
	f.Add(slices.Concat([]byte(greetingClient), appendCommand(nil, "INITIATE", make([]byte, initiateLen))), uint8(7))
	f.Add(slices.Concat([]byte(greetingClient), appendReady(nil, ready{socketType: "DEALER"}), wire([]byte("x"))), uint8(7))
	f.Add(slices.Concat([]byte(greetingClient), appendCommand(nil, "ERROR", []byte("\x01x"))), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		got := hearAs(data, int(step)+1, &routerKind, Options{Curve: keys})
		if len(got.messages) > 0 || string(got.sent) != greetingServer {
			t.Errorf("%d messages, sent %q", len(got.messages), got.sent)
		}
		if c := class(got.err); len(data) >= greetingLen && c != "end" && c != "cut short" && !slices.Contains([]string{"bad greeting", "old version", "bad mechanism", "bad curve", "refused"}, c) {
			t.Errorf("ended with %q", c)
		}
	})
}

// traffic is a stream of MESSAGE commands and what a reader makes of it.
type traffic struct {
	seal *sealer
	open opener
}

func newTraffic() *traffic {
	_, k := newPair()
	return &traffic{&sealer{key: k, prefix: fromClient, count: 2}, opener{key: k, prefix: fromClient, count: 2}}
}

// sealed returns messages in the form of the wire.
func (tr *traffic) sealed(frames ...[]byte) []byte {
	var e encoded
	e.encode(frames)
	return bytes.Clone(tr.seal.seal(e.pieces)[0])
}

// box returns a MESSAGE with any plain text in it.
func (tr *traffic) box(plain []byte) []byte {
	tr.seal.count++
	data := sealShort(nil, tr.seal.prefix, tr.seal.count, &tr.seal.key, plain)
	return append(appendHeader(nil, 0, len(messageName)+len(data)), append([]byte(messageName), data...)...)
}

func (tr *traffic) hear(data []byte, step int) (messages [][][]byte, err error) {
	var wg sync.WaitGroup
	var pl pool
	o := Options{}.withDefaults(1 << 20)
	p := newPeer(&memConn{in: bytes.NewReader(data), step: step}, &routerKind, &o, &pl, &wg)
	defer wg.Wait()
	box := tr.open
	p.in.box = &box
	for {
		b, err := p.in.message()
		if err != nil {
			return messages, err
		}
		var frames [][]byte
		m := b.message(nil)
		for _, f := range m.Frames {
			frames = append(frames, bytes.Clone(f))
		}
		messages = append(messages, frames)
		m.Release()
	}
}

// Nothing that is not whole, in its order, sealed by the other side and for this
// direction is taken, and what came before it is.
func TestCurveTraffic(t *testing.T) {
	tr := newTraffic()
	a, b, c := tr.sealed([]byte("a"), nil), tr.sealed(bytes.Repeat([]byte("b"), 70_000)), tr.sealed([]byte("c"))
	ping := tr.box([]byte("\x02\x04PING\x00\x00ctx"))
	d := tr.sealed([]byte("d"))
	flipped := bytes.Clone(b)
	flipped[len(flipped)-1] ^= 1
	renumbered := bytes.Clone(c)
	renumbered[2+messageHead-1]++
	other := newTraffic()
	other.seal.count = 20
	back := &traffic{&sealer{key: tr.seal.key, prefix: fromServer, count: 20}, opener{}}
	for name, x := range map[string]struct {
		data []byte
		n    int
		want string
	}{
		"whole":                 {slices.Concat(a, b, c, ping, d), 4, "end"},
		"gap":                   {slices.Concat(a, c, d), 3, "end"},
		"replayed":              {slices.Concat(a, a), 1, "bad curve"},
		"reordered":             {slices.Concat(b, a), 1, "bad curve"},
		"changed":               {slices.Concat(a, flipped, c), 1, "bad curve"},
		"another nonce":         {slices.Concat(a, renumbered), 1, "bad curve"},
		"cut":                   {slices.Concat(a, b[:len(b)-1]), 1, "cut short"},
		"cut in the head":       {slices.Concat(a, b[:12]), 1, "cut short"},
		"of another":            {slices.Concat(a, other.sealed([]byte("x"))), 1, "bad curve"},
		"of ourselves":          {slices.Concat(a, back.sealed([]byte("x"))), 1, "bad curve"},
		"in plain":              {slices.Concat(a, wire([]byte("plain text that is as long as a box would have to be"))), 1, "bad curve"},
		"short and in plain":    {slices.Concat(a, wire([]byte("x"))), 1, "bad curve"},
		"command in plain":      {slices.Concat(a, appendCommand(nil, "PING", []byte{0, 0})), 1, "bad curve"},
		"empty":                 {slices.Concat(a, []byte{0, 0}), 1, "bad curve"},
		"no flags":              {slices.Concat(a, tr.box(nil)), 1, "bad curve"},
		"reserved flags":        {slices.Concat(a, tr.box([]byte{4, 'x'})), 1, "bad frame"},
		"command with more":     {slices.Concat(a, tr.box([]byte("\x03\x04PING\x00\x00"))), 1, "bad frame"},
		"command of no name":    {slices.Concat(a, tr.box([]byte("\x02"))), 1, "bad command"},
		"long command":          {slices.Concat(a, tr.box(append([]byte("\x02\x04LONG"), make([]byte, maxCommand)...))), 1, "too long"},
		"claimed, untrusted":    {slices.Concat(a, appendHeader(nil, 0, 2<<20), make([]byte, 100)), 1, "too long"},
		"claimed, over the top": {slices.Concat(a, []byte{flagLong, 0x7f, 255, 255, 255, 255, 255, 255, 255}), 1, "too long"},
	} {
		for _, step := range []int{1, 11, 1 << 20} {
			got, err := tr.hear(x.data, step)
			if len(got) != x.n || class(err) != x.want {
				t.Errorf("%s in pieces of %d: %d messages, %v, want %d, %s", name, step, len(got), err, x.n, x.want)
			}
		}
	}
	got, _ := tr.hear(a, 1<<20)
	wantFrames(t, got[0], "a", "")
}

// FuzzCurveTraffic: of a stream that somebody has changed, what was before the
// change is delivered, and nothing else.
func FuzzCurveTraffic(f *testing.F) {
	tr := newTraffic()
	var want [][][]byte
	var whole []byte
	for _, s := range [][]string{{"a", ""}, {strings.Repeat("b", 300)}, {"c", "d", "e"}} {
		want = append(want, frames(s...))
		whole = append(whole, tr.sealed(frames(s...)...)...)
	}
	f.Add(uint16(0), byte(0), uint16(0), []byte{}, uint8(3))
	f.Add(uint16(100), byte(1), uint16(0), []byte{}, uint8(3))
	f.Add(uint16(0), byte(0), uint16(200), whole, uint8(3))
	f.Add(uint16(0), byte(0), uint16(0), wire([]byte("plain")), uint8(30))
	f.Fuzz(func(t *testing.T, at uint16, xor byte, cut uint16, more []byte, step uint8) {
		data := bytes.Clone(whole)
		data[int(at)%len(data)] ^= xor
		data = append(data[:len(data)-min(len(data), int(cut))], more...)
		got, err := tr.hear(data, int(step)+1)
		if err == nil || len(got) > len(want) {
			t.Fatalf("%d messages, %v", len(got), err)
		}
		for i := range got {
			if !slices.EqualFunc(got[i], want[i], bytes.Equal) {
				t.Errorf("message %d is %q, want %q", i, got[i], want[i])
			}
		}
		if bytes.Equal(data, whole) && len(got) != len(want) {
			t.Errorf("%d messages of %d", len(got), len(want))
		}
	})
}

// Many senders on one socket, small messages and large ones, and a reader that
// is slow: everything arrives, in each sender's order.
func TestCurveConcurrentSend(t *testing.T) {
	keys := newCurve()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys})
	d, err := DialDealer(testContext(t), r.Endpoint(), []byte("d"), Options{Curve: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const senders, each = 8, 200
	var wg sync.WaitGroup
	defer wg.Wait()
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				size := []int{1, 5_000, 20_000, 300_000}[i%4]
				if err := d.Send([][]byte{{byte(s)}, {byte(i)}, bytes.Repeat([]byte{byte(i)}, size)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		m := recv(t, r)
		s, i := m.Frames[0][0], m.Frames[1][0]
		if int(i) != next[s] || len(m.Frames[2]) != []int{1, 5_000, 20_000, 300_000}[i%4] || bytes.Count(m.Frames[2], []byte{i}) != len(m.Frames[2]) {
			t.Fatalf("message %d of sender %d, want %d", i, s, next[s])
		}
		next[s]++
		m.Release()
	}
}

// A subscriber that does not read loses the oldest messages and no more; what
// it gets is whole and in order.
func TestCurveDropOldest(t *testing.T) {
	keys := newCurve()
	var dropped atomic.Int64
	x := listenXPub(t, "tcp://127.0.0.1:0", Options{Curve: keys, Queue: 1_000_000, OnDrop: func(n int) { dropped.Add(int64(n)) }})
	network, address, err := parseEndpoint(x.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var pl pool
	o := Options{Curve: keys}.withDefaults(1 << 20)
	p := newPeer(conn, &subKind, &o, &pl, &wg)
	defer wg.Wait()
	defer func() { _ = p.out.shut(ErrClosed) }()
	if err := p.connect(nil); err != nil {
		t.Fatal(err)
	}
	if err := p.sendCommand("SUBSCRIBE"); err != nil {
		t.Fatal(err)
	}
	<-x.Subscriptions()
	const n = 400
	body := make([]byte, 100_000)
	for i := range n {
		if err := x.Send([][]byte{{byte(i >> 8), byte(i)}, body}); err != nil {
			t.Fatal(err)
		}
	}
	last, got := -1, 0
	for last < n-1 {
		b, err := p.in.message()
		if err != nil {
			t.Fatal(err)
		}
		m := b.message(nil)
		i := int(m.Frames[0][0])<<8 | int(m.Frames[0][1])
		if i <= last || len(m.Frames[1]) != len(body) {
			t.Fatalf("message %d of %d bytes after %d", i, len(m.Frames[1]), last)
		}
		last, got = i, got+1
		m.Release()
	}
	if d := int(dropped.Load()); d == 0 || got+d != n {
		t.Errorf("%d came and %d were dropped, of %d", got, d, n)
	}
}

// A long message before the first valid signature waits for it, as in plain.
func TestCurveTrust(t *testing.T) {
	keys := newCurve()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys, MaxUntrusted: 1000})
	d, err := DialDealer(testContext(t), r.Endpoint(), nil, Options{Curve: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	long := strings.Repeat("x", 3<<20)
	for _, s := range []string{"first", long} {
		if err := d.Send(frames(s)); err != nil {
			t.Fatal(err)
		}
	}
	m := recv(t, r)
	r.Trust(m.Peer)
	wantFrames(t, recv(t, r).Frames, long)

	stranger, err := DialDealer(testContext(t), r.Endpoint(), nil, Options{Curve: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.Send(frames(long)); err != nil {
		t.Fatal(err)
	}
	<-stranger.Done()
}

// Connections that stop in the middle of a handshake hold nobody up and end.
func TestCurveSilent(t *testing.T) {
	keys := newCurve()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys, Handshake: 300 * time.Millisecond})
	hello, err := (&curveClient{keys: keys}).hello()
	if err != nil {
		t.Fatal(err)
	}
	var raws []raw
	for range 20 {
		raws = append(raws, dialRaw(t, r.Endpoint()).write([]byte(greetingClient)),
			dialRaw(t, r.Endpoint()).write([]byte(greetingClient), appendCommand(nil, "HELLO", hello)))
	}
	d, err := DialDealer(testContext(t), r.Endpoint(), nil, Options{Curve: keys, Handshake: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Send(frames("alive")); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, recv(t, r).Frames, "alive")
	for _, c := range raws {
		c.ended()
	}
}

// The wrong kind of socket is refused with a word only after it has shown that
// it knows the key.
func TestCurveRefusal(t *testing.T) {
	keys := newCurve()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys})
	_, err := DialSub(testContext(t), r.Endpoint(), nil, Options{Curve: keys})
	var refused *refusedError
	if !errors.As(err, &refused) || refused.reason != "bad-socket-type" {
		t.Errorf("%v", err)
	}
	if _, err := DialDealer(testContext(t), r.Endpoint(), nil, Options{}); !errors.Is(err, errMechanism) {
		t.Errorf("a client in plain: %v", err)
	}
}

// Keys are gone when their connection is.
func TestCurveWipes(t *testing.T) {
	keys := newCurve()
	r := listenRouter(t, "tcp://127.0.0.1:0", Options{Curve: keys})
	go echoAll(r)
	d, err := DialDealer(testContext(t), r.Endpoint(), []byte("d"), Options{Curve: keys})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Send(frames("x")); err != nil {
		t.Fatal(err)
	}
	recv(t, d)
	server := r.peer([]byte("d"))
	if err := errors.Join(d.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	for i, p := range []*peer{server, d.peer} {
		if *p.in.box != (opener{}) || p.out.box.key != (key{}) {
			t.Errorf("%d: a key is left", i)
		}
	}
}
