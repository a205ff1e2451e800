package proxy

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// The newest 32,768 are known, whatever came before, in memory that has an end.
func TestHistory(t *testing.T) {
	var h history
	if h.again(0) || !h.again(0) {
		t.Error("0 is a number, too")
	}
	r := rand.New(rand.NewPCG(1, 2))
	var sent []uint64
	for range 5*maxHistory + 100 {
		sent = append(sent, r.Uint64())
		if h.again(sent[len(sent)-1]) {
			t.Fatal("one that is new is known")
		}
	}
	if size := len(h.new.slots) + len(h.old.slots); size > 2*maxHistory {
		t.Errorf("%d slots", size)
	}
	newest := sent[len(sent)-maxHistory/2:]
	for _, tag := range newest[:len(newest)-1] { // as many as make it forget, if they were counted
		if !h.again(tag) || !h.again(newest[len(newest)-1]) {
			t.Fatal("one of the newest is not known")
		}
	}
	if h.again(sent[0]) {
		t.Error("the oldest is known")
	}
}

// A message that the kernel has had is dropped, whoever sends it and on whichever
// channel. Others pass, also a signature with something else.
func TestReplay(t *testing.T) {
	b := newBench(t, "")
	d := b.dealer(b.clients.Shell, "client")
	b.greet(false)
	first, next := b.message("a_request", "first", nil, `{}`), b.message("a_request", "next", nil, `{}`)
	forged := first
	forged.Frames = slices.Clone(first.Frames)
	forged.Frames[len(forged.Frames)-1] = []byte(`{"other": 1}`)
	wantAsked := func(c channel, want wire.Message) {
		t.Helper()
		if _, m := b.asked(c); !slices.EqualFunc(m.Frames[1:], want.Frames, bytes.Equal) {
			t.Fatalf("the kernel gets %q, want %q", m.Frames, want.Frames)
		}
	}
	b.send(d, first)
	wantAsked(shell, first)
	b.send(d, first)
	b.send(d, first)
	b.send(d, forged) // the kernel refuses it itself
	wantAsked(shell, forged)
	b.send(d, next)
	wantAsked(shell, next)

	other := b.dealer(b.clients.Control, "other")
	b.send(other, first)
	b.send(other, next)
	for range 4 {
		select {
		case from := <-b.replayed:
			if from == nil {
				t.Error("whose it was is not told")
			}
		case <-b.ctx.Done():
			t.Fatal("a message that was sent again is not told")
		}
	}
	select {
	case <-b.replayed:
		t.Error("something else is told, too")
	default:
	}
}

// Who only repeats others does not show that he has the key, and so gets no larger
// messages through, nor ones that the history would forget others for.
func TestReplayIsNoProof(t *testing.T) {
	signer, err := wire.NewSigner("", []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Signer: signer}
	m := wire.New(signer, nil, []byte("{}"), []byte("{}"), []byte("{}"), []byte("{}"), nil)
	forged := wire.New(signer, nil, []byte("{}"), []byte("{}"), []byte("{}"), []byte("[]"), nil)
	forged.Frames[len(forged.Frames)-1] = []byte("{ }")
	for _, c := range []struct {
		what         string
		m            wire.Message
		trusted      bool
		known, again bool
	}{
		{"from a client", m, true, true, false},
		{"repeated by a stranger", m, false, false, true}, // and a nil Router is not told to trust
		{"forged by a stranger", forged, false, false, false},
	} {
		if known, again := p.inspect(nil, zsock.Message{Frames: c.m.Frames, Trusted: c.trusted}); known != c.known || again != c.again {
			t.Errorf("%s: known: %v, again: %v", c.what, known, again)
		}
	}
	if p.had.new.count != 1 {
		t.Errorf("%d are known", p.had.new.count)
	}
}

// Without a key nothing is signed, and the kernel takes what it gets.
func TestReplayUnsigned(t *testing.T) {
	signer, err := wire.NewSigner("", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Signer: signer}
	parts := [][]byte{[]byte(wire.Delimiter), []byte("0123456789abcdef"), []byte("{}"), []byte("{}"), []byte("{}"), []byte("{}")}
	for range 2 {
		if known, again := p.inspect(nil, zsock.Message{Frames: parts, Trusted: true}); !known || again {
			t.Errorf("known: %v, again: %v", known, again)
		}
	}
}

// What it costs a message of a client that has shown that it has the key.
func BenchmarkReplay(b *testing.B) {
	signer, err := wire.NewSigner("", []byte("k"))
	if err != nil {
		b.Fatal(err)
	}
	p := &Proxy{Signer: signer}
	m := wire.New(signer, nil, []byte(`{"msg_id": "a", "msg_type": "execute_request"}`), []byte("{}"), []byte("{}"), []byte("{}"), nil)
	sig := m.Signature()
	msg := zsock.Message{Frames: m.Frames, Trusted: true}
	r := rand.New(rand.NewPCG(1, 2))
	var raw [8]byte
	const digits = "0123456789abcdef"
	b.ReportAllocs()
	for b.Loop() {
		binary.LittleEndian.PutUint64(raw[:], r.Uint64())
		for i, c := range raw {
			sig[2*i], sig[2*i+1] = digits[c>>4], digits[c&15]
		}
		if _, again := p.inspect(nil, msg); again {
			b.Fatal("a new one is known")
		}
	}
}
