package client

import (
	"bytes"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/shared"
)

func newRooms(t *testing.T) *rooms {
	t.Helper()
	region, err := shared.New(api.Rooms * api.RoomSize)
	if err != nil {
		t.Fatal(err)
	}
	mem, err := region.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return &rooms{region: region, mem: mem, free: []int{0, 1, 2, 3}}
}

// A text is found in where it stands, or sent where it stands elsewhere.
func TestPlace(t *testing.T) {
	r := newRooms(t)
	defer r.close()
	for i := range api.Rooms {
		text, giveBack := r.lend()
		defer giveBack()
		text = append(text, make([]byte, 1000)...)
		room := byte((api.Rooms - 1 - i) * api.RoomSize >> 16) // of the highest index first; 64 KB each
		for name, c := range map[string]struct {
			text []byte
			want []byte // offset and length
		}{
			"whole":           {text, []byte{0, room, 0, 0, 0, 0, 3, 0xe8}},
			"part":            {text[256:512], []byte{0, room, 1, 0, 0, 0, 1, 0}},
			"end":             {text[:cap(text)][cap(text)-1:], []byte{0, room + 0x10, 0xff, 0xff, 0, 0, 0, 1}},
			"empty":           {text[:0], nil},
			"copy":            {bytes.Clone(text), nil},
			"grown":           {append(text[:cap(text)], 'x'), nil},
			"as long":         {make([]byte, api.RoomSize), nil},
			"cut, so unknown": {text[:10:10], nil},
		} {
			got, ok := r.place(c.text)
			if !bytes.Equal(got, c.want) || ok != (c.want != nil) {
				t.Errorf("room %d, %s: % x, %v; want % x", i, name, got, ok, c.want)
			}
		}
	}
	if _, giveBack := r.lend(); giveBack != nil {
		t.Error("more rooms than there are")
	}
}

// What came back is emptied after a while, and never while somebody has a room.
func TestRoomsAreEmptied(t *testing.T) {
	r := newRooms(t)
	defer r.close()
	first, giveFirst := r.lend()
	second, giveSecond := r.lend()
	first, second = append(first, "first"...), append(second, "second"...)
	giveFirst()
	r.empty() // as the timer does, had it begun earlier
	if string(first) != "first" || string(second) != "second" {
		t.Fatalf("emptied while a room is lent: %q, %q", first, second)
	}
	giveSecond()
	r.empty()
	if got := string(first) + string(second); got != string(make([]byte, len(got))) {
		t.Errorf("not emptied: %q", got)
	}
}

// A room that is lent outlives the connection.
func TestRoomsAfterClose(t *testing.T) {
	r := newRooms(t)
	text, giveBack := r.lend()
	text = append(text, "text"...)
	r.close()
	r.close()
	if _, giveBack := r.lend(); giveBack != nil {
		t.Error("lent after the end")
	}
	if string(text) != "text" {
		t.Errorf("the text is %q after the end of the connection", text)
	}
	giveBack()
	if _, err := r.region.Bytes(); err == nil {
		t.Error("the memory is still there when the last room is back")
	}
}
