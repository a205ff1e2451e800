package zsock

import (
	"sync"
	"sync/atomic"
)

// Message is one message of a socket, all its frames.
type Message struct {
	// Peer is the routing id of the peer that it came from: what Router.Send
	// takes. Nil outside of a Router. It must not be changed, may be kept, and
	// is valid after Release.
	Peer []byte
	// Frames are the frames, without the routing id. They share one block of
	// memory and are the caller's until Release.
	Frames [][]byte

	buf *buffer
	gen uint32
}

// Release gives the memory of the frames back for another message. It may be
// left out, then the garbage collector does it; after it neither Frames nor
// any part of them may be used, except that they may still be queued by a Send.
// A second Release, also of a copy of m, does nothing.
func (m *Message) Release() {
	if m.buf != nil && m.buf.gen.CompareAndSwap(m.gen, m.gen+1) {
		m.buf.pool.put(m.buf)
	}
	m.buf, m.Frames = nil, nil
}

// Size returns the number of bytes of memory that the message holds.
func (m *Message) Size() int {
	if m.buf == nil {
		return 0
	}
	return cap(m.buf.data) + frameOverhead*cap(m.buf.frames)
}

// frameOverhead is what a frame costs beside its bytes.
const frameOverhead = 32

// keepLen is the length from which on Send keeps a frame and does not copy it.
// Blocks over keepLen are never used again, so a released one can stay queued.
const keepLen = 1 << 20

// buffer is the block of memory behind one message.
type buffer struct {
	pool   *pool
	gen    atomic.Uint32 // counts releases
	data   []byte        // the frames, one after the other
	ends   []int         // where each ends in data
	frames [][]byte
}

// grow makes room for n more bytes, from the next larger class.
func (b *buffer) grow(n int) {
	if cap(b.data)-len(b.data) >= n {
		return
	}
	other := b.pool.get(len(b.data) + n)
	other.data = append(other.data, b.data...)
	b.data, other.data = other.data, b.data
	b.pool.put(other)
}

// message returns b as a Message.
func (b *buffer) message(peer []byte) Message {
	b.frames = b.frames[:0]
	at := 0
	for _, end := range b.ends {
		b.frames = append(b.frames, b.data[at:end:end])
		at = end
	}
	return Message{Peer: peer, Frames: b.frames, buf: b, gen: b.gen.Load()}
}

// pool keeps released blocks by class of size: 1 KiB, 4 KiB, … keepLen. Classes
// are narrow because a Sub may hold very many small messages at once.
type pool struct{ classes [6]sync.Pool }

func class(n int) (index, size int) {
	for index, size = 0, 1<<10; size < n; size <<= 2 {
		index++
	}
	return index, size
}

// get returns an empty buffer with room for n bytes.
func (p *pool) get(n int) *buffer {
	if n > keepLen {
		return &buffer{pool: p, data: make([]byte, 0, n)}
	}
	i, size := class(n)
	if b, ok := p.classes[i].Get().(*buffer); ok {
		return b
	}
	return &buffer{pool: p, data: make([]byte, 0, size)}
}

func (p *pool) put(b *buffer) {
	if cap(b.data) > keepLen {
		return
	}
	clear(b.frames)
	b.data, b.ends, b.frames = b.data[:0], b.ends[:0], b.frames[:0]
	i, size := class(cap(b.data))
	if size == cap(b.data) {
		p.classes[i].Put(b)
	}
}
