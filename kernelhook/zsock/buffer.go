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
	// Trusted says that Router.Trust had been called for the connection that it
	// came on. A client that connects again with its old identity is not trusted.
	Trusted bool
	// Frames are the frames, without the routing id. They are the caller's
	// until Release.
	Frames [][]byte

	buf *buffer
	gen uint32
}

// Release gives the memory of the frames back for another message. It may be
// left out, then the garbage collector does it. After it neither Frames nor any
// part of them may be used; those that Send has queued stay good. A second
// Release, also of a copy of m, does nothing.
func (m *Message) Release() {
	if m.buf != nil && m.buf.gen.CompareAndSwap(m.gen, m.gen+1) {
		m.buf.pool.put(m.buf)
	}
	m.buf, m.Frames = nil, nil
}

// size is the number of bytes of memory that the message holds.
func (m *Message) size() int {
	n := cap(m.buf.data) + frameOverhead*cap(m.buf.frames)
	for _, f := range m.Frames {
		if len(f) >= keepLen {
			n += cap(f)
		}
	}
	return n
}

// frameOverhead is what a frame costs beside its bytes.
const frameOverhead = 64

// keepLen is the length from which on a received frame has memory of its own
// that is never used again, and from which on Send keeps a frame instead of
// copying it. The two are one number so that a released frame can stay queued.
const keepLen = 1 << 20

// buffer is the memory behind one message. Its frames follow each other in
// data, but for the very long ones.
type buffer struct {
	pool   *pool
	gen    atomic.Uint32 // counts releases
	data   []byte
	parts  []part
	size   uint64 // of all frames
	frames [][]byte

	arrival *arrival // of the last frame, if it is not there yet
}

// part is one frame: own, or data up to end from the end of the part before.
type part struct {
	own []byte
	end int
}

// grow makes room for n more bytes in data.
func (b *buffer) grow(n int) {
	if cap(b.data)-len(b.data) >= n {
		return
	}
	other := b.pool.get(max(len(b.data)+n, 2*cap(b.data)))
	other.data = append(other.data, b.data...)
	b.data, other.data = other.data, b.data
	b.pool.put(other)
}

// add ends a frame: own, or what was appended to data since the last one.
func (b *buffer) add(own []byte) { b.parts = append(b.parts, part{own, len(b.data)}) }

// message returns b as a Message.
func (b *buffer) message(peer []byte) Message {
	at := 0
	for _, p := range b.parts {
		if p.own != nil {
			b.frames = append(b.frames, p.own)
			continue
		}
		b.frames = append(b.frames, b.data[at:p.end:p.end])
		at = p.end
	}
	return Message{Peer: peer, Frames: b.frames, buf: b, gen: b.gen.Load()}
}

// pool keeps released buffers by class of size: 1 KiB, 2 KiB, … keepLen. The
// classes are narrow because a Sub may hold very many small messages at once.
type pool struct{ classes [11]sync.Pool }

func classOf(n int) (index, size int) {
	for index, size = 0, 1<<10; size < n; size <<= 1 {
		index++
	}
	return index, size
}

// get returns an empty buffer with room for n bytes.
func (p *pool) get(n int) *buffer {
	if n > keepLen {
		return &buffer{pool: p, data: make([]byte, 0, n)}
	}
	i, size := classOf(n)
	if b, ok := p.classes[i].Get().(*buffer); ok {
		return b
	}
	return &buffer{pool: p, data: make([]byte, 0, size)}
}

func (p *pool) put(b *buffer) {
	const maxParts = 1024 // a longer list is not worth keeping
	if cap(b.data) > keepLen || cap(b.parts) > maxParts {
		return
	}
	clear(b.frames)
	clear(b.parts)
	b.data, b.parts, b.frames, b.size, b.arrival = b.data[:0], b.parts[:0], b.frames[:0], 0, nil
	i, _ := classOf(cap(b.data))
	p.classes[i].Put(b)
}
