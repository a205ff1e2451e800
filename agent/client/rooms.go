package client

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/shared"
)

// roomsIdle is how long memory is kept after its last use: output comes in rows.
const roomsIdle = 2 * time.Second

// rooms are the parts of the memory that a link shares with the agent. A nil
// *rooms has none. It is safe for concurrent use.
type rooms struct {
	region *shared.Region
	mem    []byte

	mu     sync.Mutex
	free   []int // indices of rooms that nobody has
	closed bool  // the region goes when the last room comes back
	idle   *time.Timer
}

// lend is match.Lender's.
func (r *rooms) lend() (text []byte, giveBack func()) {
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.free) == 0 {
		return nil, nil
	}
	i := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	if r.idle != nil {
		r.idle.Stop()
	}
	at := i * api.RoomSize
	return r.mem[at : at : at+api.RoomSize], func() { r.giveBack(i) }
}

func (r *rooms) giveBack(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, i)
	switch {
	case len(r.free) < api.Rooms:
	case r.closed:
		_ = r.region.Close()
	case r.idle == nil:
		r.idle = time.AfterFunc(roomsIdle, r.empty)
	default:
		r.idle.Reset(roomsIdle)
	}
}

// empty gives the memory back, and what is in it, while nobody uses it.
func (r *rooms) empty() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && len(r.free) == api.Rooms {
		_ = r.region.Empty()
	}
}

// close ends lending.
func (r *rooms) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if r.idle != nil {
		r.idle.Stop()
	}
	if len(r.free) == api.Rooms { // else a text stands there, which is still to be searched
		_ = r.region.Close()
	}
}

// place returns where text stands in the shared memory, as api.OpFindShared has
// it, or false if it stands elsewhere.
func (r *rooms) place(text []byte) ([]byte, bool) {
	if r == nil || len(text) == 0 {
		return nil, false
	}
	into := api.RoomSize - cap(text) // what is lent has its room's end as its own
	for at := into; into >= 0 && at < len(r.mem); at += api.RoomSize {
		if &r.mem[at] == &text[0] {
			place := binary.BigEndian.AppendUint32(nil, uint32(at))
			return binary.BigEndian.AppendUint32(place, uint32(len(text))), true
		}
	}
	return nil, false
}

// receiver reads a connection, at first in a way that takes the descriptor of
// shared memory, if one comes.
type receiver struct {
	net.Conn
	with *shared.Receiver // nil when none is expected any more
}

func (r *receiver) Read(b []byte) (int, error) {
	if r.with != nil {
		return r.with.Read(b)
	}
	return r.Conn.Read(b)
}

// rooms returns the memory that came, or nil. What comes later is read as usual.
func (r *receiver) rooms() *rooms {
	if r.with == nil {
		return nil
	}
	file := r.with.Take()
	r.with = nil
	if file == nil {
		return nil
	}
	region, err := shared.Open(file)
	if err != nil {
		return nil
	}
	mem, err := region.Bytes()
	if err != nil || len(mem) != api.Rooms*api.RoomSize {
		_ = region.Close()
		return nil
	}
	rs := &rooms{region: region, mem: mem}
	for i := range api.Rooms {
		rs.free = append(rs.free, i)
	}
	return rs
}

func (r *receiver) discard() {
	if r.with != nil {
		r.with.Discard()
	}
}
