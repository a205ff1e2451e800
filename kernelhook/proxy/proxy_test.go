package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/redact"
	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// bench is a proxy between a kernel and clients that the test plays.
type bench struct {
	t       *testing.T
	ctx     context.Context
	signer  *wire.Signer
	value   string // of TOKEN
	clients Endpoints
	routers [channels]*zsock.Router // of the kernel
	iopub   *zsock.XPub
	ended   chan error // of Run
	// replayed gets the connections of those who sent a message again.
	replayed chan zsock.Conn
	stop     func()
}

func endpoints(dir, name string) Endpoints {
	at := func(c string) string { return "ipc://" + filepath.Join(dir, name+c) }
	return Endpoints{Shell: at("s"), Control: at("c"), Stdin: at("i"), IOPub: at("o"), Heartbeat: at("h")}
}

func newBench(t *testing.T, notice string) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "kp") // t.TempDir is too deep for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bench{t: t, value: "v0-" + rand.Text(), clients: endpoints(dir, "f"), ended: make(chan error, 1), replayed: make(chan zsock.Conn, 16)}
	if b.signer, err = wire.NewSigner("hmac-sha256", []byte(rand.Text())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	b.ctx, b.stop = ctx, cancel
	t.Cleanup(cancel)
	kernel := endpoints(dir, "k")
	for c := range channels {
		if b.routers[c], err = zsock.ListenRouter(kernel.of(c), zsock.Options{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.routers[c].Close() })
	}
	if b.iopub, err = zsock.ListenXPub(kernel.IOPub, zsock.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.iopub.Close() })
	known := match.New([]match.Known{{Name: "TOKEN", Value: secret.New([]byte(b.value))}})
	p := &Proxy{
		Signer: b.signer, Redactor: &redact.Redactor{Finder: known, Signer: b.signer}, Notice: notice, Ended: make(chan struct{}),
		Bootstrap: func(language string) string { return "bootstrap of " + language },
		Replayed:  func(from zsock.Conn) { b.replayed <- from },
	}
	go func() { b.ended <- p.Run(ctx, b.clients, kernel) }()
	return b
}

// message returns a signed message.
func (b *bench) message(msgType, id string, parent []byte, content string) wire.Message {
	header := []byte(`{"msg_id": "` + id + `", "msg_type": "` + msgType + `", "session": "s", "date": "2026-11-21T00:00:00.000000Z"}`)
	if parent == nil {
		parent = []byte("{}")
	}
	return wire.New(b.signer, nil, header, parent, []byte(`{ }`), []byte(content), nil)
}

// asked returns the next request that the kernel gets on a channel: its sender
// and its frames, the identities of clients first.
func (b *bench) asked(c channel) (peer []byte, m wire.Message) {
	b.t.Helper()
	msg, err := b.routers[c].Recv(b.ctx)
	if err != nil {
		b.t.Fatalf("the kernel waits for a request: %v", err)
	}
	if m, err = wire.Parse(msg.Frames); err != nil {
		b.t.Fatal(err)
	}
	return msg.Peer, m
}

// reply sends what the kernel answers to m, which came from peer.
func (b *bench) reply(c channel, peer []byte, m wire.Message, msgType, content string) wire.Message {
	b.t.Helper()
	out := b.message(msgType, "r", m.Header(), content)
	out, err := wire.Parse(append(slices.Clone(m.Identities()), out.Frames...))
	if err == nil {
		err = b.routers[c].Send(peer, out.Frames)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// publish sends a message on iopub.
func (b *bench) publish(msgType string, parent []byte, content string) wire.Message {
	b.t.Helper()
	m := b.message(msgType, "p", parent, content)
	m, err := wire.Parse(append([][]byte{[]byte("topic." + msgType)}, m.Frames...))
	if err == nil {
		err = b.iopub.Send(m.Frames)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// greet plays the kernel's part of the proxy's own requests.
func (b *bench) greet(welcome bool) {
	b.t.Helper()
	<-b.iopub.Subscriptions()
	if welcome {
		b.publish("iopub_welcome", nil, `{"subscription": ""}`)
	}
	for _, want := range []string{"kernel_info_request", "execute_request"} {
		peer, m := b.asked(shell)
		if h, _ := wire.ScanHeader(m.Header()); h.MsgType != want || !b.signer.Verify(m) {
			b.t.Fatalf("the proxy asks %s, want %s", h.MsgType, want)
		}
		if want == "execute_request" && !strings.Contains(string(m.Content()), "bootstrap of L") {
			b.t.Errorf("the bootstrap is %s", m.Content())
		}
		b.publish("status", m.Header(), `{"execution_state": "busy"}`)
		b.publish("stream", m.Header(), `{"name": "stdout", "text": "of the bootstrap"}`)
		b.reply(shell, peer, m, strings.Replace(want, "request", "reply", 1), `{"status": "ok", "language_info": {"name": "L"}}`)
		b.publish("status", m.Header(), `{"execution_state": "idle"}`)
	}
}

func (b *bench) dealer(endpoint, id string) *zsock.Dealer {
	b.t.Helper()
	d, err := zsock.DialDealer(b.ctx, endpoint, []byte(id), zsock.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = d.Close() })
	return d
}

func (b *bench) subscriber(topics ...string) *zsock.Sub {
	b.t.Helper()
	var list [][]byte
	for _, t := range topics {
		list = append(list, []byte(t))
	}
	s, err := zsock.DialSub(b.ctx, b.clients.IOPub, list, zsock.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = s.Close() })
	return s
}

// heard publishes until sub hears it: only then is it sure to hear what follows.
func (b *bench) heard(sub *zsock.Sub) {
	b.t.Helper()
	for n, _ := sub.Waiting(); n == 0; n, _ = sub.Waiting() {
		b.publish("probe", nil, `{}`)
		select {
		case <-time.After(time.Millisecond):
		case <-b.ctx.Done():
			b.t.Fatal("a subscriber hears nothing")
		}
	}
}

// got returns the next message that a client receives, and its type. Probes are passed over.
func (b *bench) got(from interface {
	Recv(context.Context) (zsock.Message, error)
},
) (wire.Message, string) {
	b.t.Helper()
	msg, err := from.Recv(b.ctx)
	if err != nil {
		b.t.Fatalf("a client waits: %v", err)
	}
	m, err := wire.Parse(msg.Frames)
	if err != nil {
		b.t.Fatal(err)
	}
	if !b.signer.Verify(m) {
		b.t.Errorf("not signed: %s", m.Content())
	}
	h, _ := wire.ScanHeader(m.Header())
	if h.MsgType == "probe" {
		return b.got(from)
	}
	return m, h.MsgType
}

func (b *bench) send(d *zsock.Dealer, m wire.Message) {
	b.t.Helper()
	if err := d.Send(m.Frames); err != nil {
		b.t.Fatal(err)
	}
}

// Requests on shell wait until the kernel is prepared, those on control do not,
// and what belongs to the preparation reaches no client.
func TestGate(t *testing.T) {
	b := newBench(t, "")
	d, control := b.dealer(b.clients.Shell, "client"), b.dealer(b.clients.Control, "client")
	sub := b.subscriber("")
	b.send(d, b.message("execute_request", "first", nil, `{"code": "1"}`))
	b.send(control, b.message("interrupt_request", "now", nil, `{}`))
	if _, m := b.asked(channel(1)); !bytes.Contains(m.Header(), []byte("now")) {
		t.Errorf("on control: %s", m.Header())
	}
	b.greet(false)
	b.heard(sub)
	peer, m := b.asked(shell)
	if !bytes.Contains(m.Header(), []byte("first")) {
		t.Errorf("after the gate opened: %s", m.Header())
	}
	b.publish("status", m.Header(), `{"execution_state": "busy"}`)
	b.reply(shell, peer, m, "execute_reply", `{"status": "ok"}`)
	if m, kind := b.got(sub); kind != "status" || !bytes.Contains(m.Parent(), []byte("first")) {
		t.Errorf("the first on iopub is a %s of %s", kind, m.Parent())
	}
	if m, kind := b.got(d); kind != "execute_reply" || !bytes.Contains(m.Parent(), []byte("first")) {
		t.Errorf("the first on shell is a %s of %s", kind, m.Parent())
	}
}

// What is not changed arrives with the bytes with which it was sent, in either
// direction and however it is spelled, its signature included.
func TestByteForByte(t *testing.T) {
	b := newBench(t, "")
	d, sub := b.dealer(b.clients.Shell, "client"), b.subscriber("")
	b.greet(false)
	b.heard(sub)
	for _, content := range []string{`{}`, `{"x" : 1.10, "é\u00e9": [1e5, -0, NaN], "x": "` + strings.Repeat("long ", 50_000) + `"}`, ``, `no json`} {
		out := b.message("from_the_future_request", "x", nil, content)
		out.Frames = append(out.Frames, []byte("\x00buffer"), nil)
		b.send(d, out)
		peer, m := b.asked(shell)
		if !slices.EqualFunc(m.Frames[1:], out.Frames, bytes.Equal) || string(m.Frames[0]) != "client" {
			t.Errorf("request: got %q, want %q", m.Frames, out.Frames)
		}
		back := b.reply(shell, peer, m, "from_the_future_reply", content)
		if got, _ := b.got(d); !slices.EqualFunc(got.Frames, back.Frames[1:], bytes.Equal) {
			t.Errorf("reply: got %q, want %q", got.Frames, back.Frames)
		}
		said := b.publish("from_the_future", m.Header(), content)
		if got, _ := b.got(sub); !slices.EqualFunc(got.Frames, said.Frames, bytes.Equal) {
			t.Errorf("iopub: got %q, want %q", got.Frames, said.Frames)
		}
	}
}

// A reply goes to the client that asked; one for a client that is gone, and what
// is no message, to nobody.
func TestRouting(t *testing.T) {
	b := newBench(t, "")
	one, two := b.dealer(b.clients.Shell, "one"), b.dealer(b.clients.Shell, "two")
	b.greet(false)
	b.send(one, b.message("a_request", "of-one", nil, `{}`))
	peer, first := b.asked(shell)
	b.send(two, b.message("a_request", "of-two", nil, `{}`))
	_, second := b.asked(shell)
	for _, frames := range [][][]byte{{[]byte("one")}, {[]byte("one"), []byte("<IDS|MSG>"), nil}, {[]byte("nobody"), []byte("x")}} {
		if err := b.routers[shell].Send(peer, frames); err != nil {
			t.Fatal(err)
		}
	}
	gone := b.message("a_reply", "r", first.Header(), `{}`)
	if err := b.routers[shell].Send(peer, append([][]byte{[]byte("gone")}, gone.Frames...)); err != nil {
		t.Fatal(err)
	}
	b.reply(shell, peer, second, "a_reply", `{"for": 2}`)
	b.reply(shell, peer, first, "a_reply", `{"for": 1}`)
	for _, c := range []struct {
		d    *zsock.Dealer
		want string
	}{{one, `{"for": 1}`}, {two, `{"for": 2}`}} {
		if m, _ := b.got(c.d); string(m.Content()) != c.want {
			t.Errorf("got %s, want %s", m.Content(), c.want)
		}
	}
}

// A value is taken out on every channel on which a kernel speaks, and an output
// that waits for the rest of a value leaves before the reply that follows it.
func TestEveryChannelIsRedacted(t *testing.T) {
	b := newBench(t, "")
	sub := b.subscriber("")
	dealers := [channels]*zsock.Dealer{}
	for c := range channels {
		dealers[c] = b.dealer(b.clients.of(c), "client")
	}
	b.greet(false)
	b.heard(sub)
	content := `{"text": "` + b.value + `", "n": 1.10}`
	want := `{"text": "[nbhush:TOKEN]", "n": 1.10}`
	for c, kinds := range [channels][2]string{{"execute_request", "execute_reply"}, {"debug_request", "debug_reply"}, {"input_reply", "input_request"}} {
		b.send(dealers[c], b.message(kinds[0], "q", nil, `{}`))
		peer, m := b.asked(channel(c))
		b.reply(channel(c), peer, m, kinds[1], content)
		if got, kind := b.got(dealers[c]); kind != kinds[1] || string(got.Content()) != want {
			t.Errorf("%s: got %s", kind, got.Content())
		}
	}
	b.publish("comm_msg", nil, content)
	if got, _ := b.got(sub); string(got.Content()) != want {
		t.Errorf("iopub: got %s", got.Content())
	}
	b.send(dealers[shell], b.message("execute_request", "q2", nil, `{}`))
	peer, m := b.asked(shell)
	part, _ := json.Marshal(map[string]string{"name": "stdout", "text": b.value[:9]})
	b.publish("stream", m.Header(), string(part))
	if got, kind := b.got(sub); kind != "stream" || !bytes.Contains(got.Content(), []byte(b.value[:9])) {
		t.Errorf("what may be the start of a value: %s %s", kind, got.Content())
	}
	b.reply(shell, peer, m, "execute_reply", `{"status": "ok"}`)
	if _, kind := b.got(dealers[shell]); kind != "execute_reply" {
		t.Errorf("after it: %s", kind)
	}
}

// The notice is shown once, by the first cell that is not silent.
func TestNotice(t *testing.T) {
	b := newBench(t, "nbhush: a notice")
	d, sub := b.dealer(b.clients.Shell, "client"), b.subscriber("")
	b.greet(false)
	b.heard(sub)
	for _, c := range []struct {
		id, content string
		want        []string
	}{
		{"silent", `{"code": "1", "silent": true}`, []string{"status"}},
		{"first", `{"code": "1", "silent": false}`, []string{"stream", "status"}},
		{"second", `{"code": "1", "silent": false}`, []string{"status"}},
	} {
		b.send(d, b.message("execute_request", c.id, nil, c.content))
		_, m := b.asked(shell)
		b.publish("status", m.Header(), `{"execution_state": "idle"}`)
		for _, want := range c.want {
			got, kind := b.got(sub)
			if kind != want || kind == "stream" && string(got.Content()) != `{"name":"stderr","text":"nbhush: a notice\n"}` {
				t.Errorf("%s: got a %s with %s, want a %s", c.id, kind, got.Content(), want)
			}
			if kind == "stream" && !bytes.Equal(got.Parent(), m.Header()) {
				t.Errorf("the notice belongs to %s", got.Parent())
			}
		}
	}
}

// Who subscribes is welcomed as by the kernel, with the topic, also who came
// before the kernel's own welcome; a kernel that welcomes nobody is imitated.
func TestWelcome(t *testing.T) {
	for _, welcomes := range []bool{true, false} {
		b := newBench(t, "")
		early := b.subscriber("")
		b.greet(welcomes)
		late := b.subscriber("topic.")
		d := b.dealer(b.clients.Shell, "client")
		for topic, sub := range map[string]*zsock.Sub{"": early, "topic.": late} {
			if !welcomes {
				break
			}
			if m, kind := b.got(sub); kind != "iopub_welcome" || string(m.Content()) != `{"subscription":"`+topic+`"}` {
				t.Errorf("topic %q: got a %s with %s", topic, kind, m.Content())
			}
		}
		b.heard(early)
		b.send(d, b.message("a_request", "q", nil, `{}`))
		_, m := b.asked(shell)
		b.publish("status", m.Header(), `{"execution_state": "idle"}`)
		if _, kind := b.got(early); kind != "status" {
			t.Errorf("welcomes %v: then came a %s", welcomes, kind)
		}
		b.stop()
		<-b.ended
	}
}

// Run ends when the kernel's sockets do, and when its context does.
func TestEnds(t *testing.T) {
	for _, how := range []string{"kernel", "context"} {
		t.Run(how, func(t *testing.T) {
			b := newBench(t, "")
			b.greet(false)
			if how == "context" {
				b.stop()
			} else {
				for _, r := range b.routers {
					_ = r.Close()
				}
				_ = b.iopub.Close()
			}
			if err := <-b.ended; err != nil {
				t.Error(err)
			}
		})
	}
}
