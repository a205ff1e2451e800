package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/shared"
)

// lending returns an agent that knows a value called LENT, and a stream that shares memory with it.
func lending(t *testing.T) (w *world, s *client.Stream, value string) {
	t.Helper()
	w = newWorld(t)
	w.listen(t)
	value = w.set(t, "LENT")
	s, err := (&client.Client{NoStart: true, Shares: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return w, s, value
}

// A text in memory that the agent lent is found in where it stands.
func TestLentMemory(t *testing.T) {
	w, s, value := lending(t)
	find := func(name string, text []byte, at int) {
		t.Helper()
		r, err := s.Find(t.Context(), text)
		if want := (match.Span{Start: at, End: at + len(value), Name: "LENT"}); err != nil || len(r.Spans) != 1 || r.Spans[0] != want {
			t.Errorf("%s: %v, %v; want %v", name, r.Spans, err, want)
		}
	}
	var texts [][]byte
	var back []func()
	for {
		text, giveBack := s.Lend()
		if giveBack == nil {
			break
		}
		if len(text) != 0 || cap(text) != api.RoomSize {
			t.Fatalf("lent: %d of %d bytes", len(text), cap(text))
		}
		texts, back = append(texts, text), append(back, giveBack)
	}
	if len(texts) != api.Rooms {
		t.Fatalf("%d rooms were lent, want %d", len(texts), api.Rooms)
	}
	for i, text := range texts {
		text = append(append(append(text, make([]byte, 1000*i)...), value...), make([]byte, 1000)...)
		find("lent", text, 1000*i)
		find("a part of it", text[500*i:], 500*i)
		full := text[:cap(text)]
		clear(full)
		copy(full[len(full)-len(value):], value)
		find("full", full, len(full)-len(value)) // more than a frame: it goes in parts
		find("beyond", append(full[:0:0], full...), len(full)-len(value))
		find("grown", append(full[100:], 'x'), len(full)-100-len(value))
	}
	back[0]()
	text, giveBack := s.Lend()
	if giveBack == nil {
		t.Fatal("a room that came back is not lent again")
	}

	// The connection breaks: what was lent stays good, and is found in.
	text = append(text, value...)
	w.breakStreams()
	find("lent on the connection before", text, 0)
	if next, giveBack := s.Lend(); giveBack == nil {
		t.Error("nothing is lent on the new connection")
	} else {
		find("lent on the new connection", append(next, value...), 0)
		giveBack()
	}
	giveBack()
	for _, giveBack := range back[1:] {
		giveBack()
	}
}

// Texts are searched at the same time, and everybody gets his own answer, whatever
// else is asked in between.
func TestLentMemoryAtOnce(t *testing.T) {
	_, s, value := lending(t)
	var all sync.WaitGroup
	for i := range api.Rooms + 2 {
		text, giveBack := s.Lend()
		if giveBack == nil { // the last ones go through the socket
			giveBack = func() {}
		}
		all.Go(func() {
			defer giveBack()
			for n := range 50 {
				at := 1 + (i*7919+n*104729)%(512<<10)
				text = append(append(text[:0], make([]byte, at)...), value...)
				r, err := s.Find(t.Context(), text)
				if want := (match.Span{Start: at, End: at + len(value), Name: "LENT"}); err != nil || len(r.Spans) != 1 || r.Spans[0] != want {
					t.Errorf("room %d: %v, %v; want %v", i, r.Spans, err, want)
				}
				if names, err := s.Names(t.Context()); err != nil || len(names) != 1 || names[0] != "LENT" {
					t.Errorf("names in between: %v, %v", names, err)
				}
			}
		})
	}
	all.Wait()
}

// What was read of questions about long texts is not kept.
func TestLentMemoryKeepsNoReads(t *testing.T) {
	w, s, _ := lending(t)
	text, giveBack := s.Lend()
	if giveBack == nil {
		t.Fatal("nothing is lent")
	}
	defer giveBack()
	text = text[:cap(text)-64<<10]
	for range 50 {
		if _, err := s.Find(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	w.streams.mu.Lock()
	defer w.streams.mu.Unlock()
	if len(w.streams.open) != 1 {
		t.Fatalf("%d streams", len(w.streams.open))
	}
	for c := range w.streams.open {
		wiped, ok := c.(*wipedConn)
		if !ok {
			t.Fatalf("a stream's connection is a %T", c)
		}
		wiped.mu.Lock()
		if n := len(wiped.reads); n > 5 {
			t.Errorf("%d reads are kept", n)
		}
		wiped.mu.Unlock()
	}
}

// breakStreams closes the connections that are streams.
func (w *world) breakStreams() {
	w.streams.mu.Lock()
	defer w.streams.mu.Unlock()
	for c := range w.streams.open {
		_ = c.Close()
	}
}

// Who does not ask for memory gets none, and a place in it is refused.
func TestNothingIsLent(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	s, err := (&client.Client{NoStart: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, giveBack := s.Lend(); giveBack != nil {
		t.Error("memory was lent")
	}
	_, err = w.session().findShared(t.Context(), make([]byte, 8))
	wantCode(t, "no memory", err, api.CodeBadInput)
}

// A place that is not in the memory is refused.
func TestPlacesInLentMemory(t *testing.T) {
	w := newWorld(t)
	s := w.session()
	region, err := shared.New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	s.shared = region
	defer s.unshare()
	for _, place := range [][2]uint32{{1 << 20, 1}, {0, 1<<20 + 1}, {1<<20 - 1, 2}, {1<<32 - 1, 1<<32 - 1}, {1, 1<<32 - 1}} {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, place[0]), place[1])
		_, err := s.findShared(t.Context(), b)
		wantCode(t, fmt.Sprint(place), err, api.CodeBadInput)
		_, err = s.findShared(t.Context(), b[:7])
		wantCode(t, "half a place", err, api.CodeBadInput)
	}
	for _, place := range [][2]uint32{{1 << 20, 0}, {0, 1 << 20}, {0, 0}} {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, place[0]), place[1])
		if _, err := s.findShared(t.Context(), b); err != nil {
			t.Errorf("%v: %v", place, err)
		}
	}
}

// A text that changes while it is searched harms nobody but its owner.
func TestLentMemoryChanges(t *testing.T) {
	_, s, value := lending(t)
	text, giveBack := s.Lend()
	if giveBack == nil {
		t.Fatal("nothing is lent")
	}
	defer giveBack()
	text = text[:cap(text)]
	copy(text, bytes.Repeat([]byte(value), len(text)/len(value)))
	var end atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !end.Load(); i++ {
			text[i*7919%len(text)] ^= byte(i)
		}
	})
	for range 50 {
		_, _ = s.Find(t.Context(), text[:1<<20]) // any answer will do
	}
	end.Store(true)
	wg.Wait()
	if r, err := s.Find(t.Context(), []byte(value)); err != nil || len(r.Spans) != 1 {
		t.Errorf("the agent does not find any more: %v, %v", r, err)
	}
}
