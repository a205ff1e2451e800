package zsock

import (
	"fmt"
	"net"
	"slices"
	"sync"
)

// inlineLen is the length up to which a frame is copied behind its header, so
// that a message of small frames is one piece for writev.
const inlineLen = 4 << 10

// encoded is one message in the form of the wire, cut into pieces: those with
// even index are parts of scratch, which holds the headers and small frames,
// those with odd index are the caller's frames.
type encoded struct {
	scratch []byte
	pieces  [][]byte
	size    int
	kept    [][]byte // what queues share of it, once one had to
	command bool
}

func (e *encoded) encode(frames [][]byte) {
	need := 0
	for _, f := range frames {
		need += maxHeader
		if len(f) <= inlineLen {
			need += len(f)
		}
	}
	if cap(e.scratch) < need {
		e.scratch = make([]byte, 0, need)
	}
	s, from := e.scratch[:0], 0
	for i, f := range frames {
		flags := byte(flagMore)
		if i == len(frames)-1 {
			flags = 0
		}
		s = appendHeader(s, flags, len(f))
		e.size += len(f)
		if len(f) <= inlineLen {
			s = append(s, f...)
			e.size -= len(f)
			continue
		}
		e.pieces = append(e.pieces, s[from:], f)
		from = len(s)
	}
	if from < len(s) {
		e.pieces = append(e.pieces, s[from:])
	}
	e.scratch, e.size = s, e.size+len(s)
}

// reset makes e ready for another message; it keeps no frame alive, and no copy
// of a short one, which may be the value of a secret.
func (e *encoded) reset() {
	clear(e.pieces)
	clear(e.scratch)
	if cap(e.scratch) > keepLen {
		e.scratch = nil
	}
	*e = encoded{scratch: e.scratch[:0], pieces: e.pieces[:0]}
}

// share returns pieces that stay as they are when the caller's frames do not:
// all but the very long frames are copied. It copies once for all queues.
func (e *encoded) share() [][]byte {
	if e.kept != nil {
		return e.kept
	}
	keep := func(i int) bool { return i%2 == 1 && len(e.pieces[i]) >= keepLen }
	n := 0
	for i, p := range e.pieces {
		if !keep(i) {
			n += len(p)
		}
	}
	block := make([]byte, 0, n)
	for i, p := range e.pieces {
		if keep(i) {
			e.kept = append(e.kept, p)
			continue
		}
		from := len(block)
		block = append(block, p...)
		e.kept = append(e.kept, block[from:])
	}
	return e.kept
}

// encoders are reused between messages.
type encoders struct{ p sync.Pool }

func (es *encoders) get(frames [][]byte) *encoded {
	e, ok := es.p.Get().(*encoded)
	if !ok {
		e = new(encoded)
	}
	e.encode(frames)
	return e
}

func (es *encoders) put(e *encoded) {
	e.reset()
	es.p.Put(e)
}

// full says what a queue does with a message that would make it too long.
type full int

const (
	cutOff     full = iota // close the connection
	dropOldest             // forget the message that waits longest
	wait                   // until there is room
)

// item is a message, or the rest of one, that waits to be written.
type item struct {
	pieces  [][]byte
	off     int // bytes of pieces that are written already
	size    int
	command bool
	sealed  bool // pieces are in the form of the wire also under CURVE
}

// itemOverhead is what an item costs beside its bytes.
const itemOverhead = 128

// maxCommands is the number of PONGs that may wait for a peer that sends PINGs
// and does not read.
const maxCommands = 64

// queue writes to one connection. Nobody else does after the handshake.
type queue struct {
	conn net.Conn
	cap  int
	full full
	box  *sealer // under CURVE; of send while the writer does not run, else of the writer

	mu       sync.Mutex
	room     sync.Cond // signalled when bytes shrinks or cause is set
	inline   inline
	items    fifo[item]
	bytes    int // of the waiting items and of those that the writer holds
	commands int
	writing  bool          // the writer runs
	cause    error         // why nothing is written any more
	closed   bool          // conn is closed
	gone     chan struct{} // closed with it
	idle     chan struct{} // closed when the writer ends; nil before the first one
	wg       *sync.WaitGroup
}

func newQueue(conn net.Conn, capacity int, f full, wg *sync.WaitGroup) *queue {
	q := &queue{conn: conn, cap: capacity, full: f, wg: wg, gone: make(chan struct{})}
	q.room.L = &q.mu
	q.inline.init(conn)
	return q
}

// send writes e, or what of it the connection does not take at once is queued.
// It waits only in a queue that is set to wait. dropped is the number of older
// messages that made way.
func (q *queue) send(e *encoded) (dropped int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.admit(e, &dropped); err != nil {
		return dropped, err
	}
	done := 0
	switch {
	case q.writing:
	case q.box != nil:
		return dropped, q.sendSealed(e)
	default:
		if done, err = q.inline.write(e.pieces); err != nil {
			q.stop(err)
			return dropped, err
		}
		if done == e.size {
			return dropped, nil
		}
	}
	q.push(item{pieces: e.share(), off: done, size: e.size - done, command: e.command})
	return dropped, nil
}

// inlineSealLen is the length up to which a message is sealed on the goroutine
// of the sender, as quickly as a writer could be woken.
const inlineSealLen = 16 << 10

// sendSealed is send while nothing is queued, under CURVE.
func (q *queue) sendSealed(e *encoded) error {
	if e.size > inlineSealLen {
		q.push(item{pieces: e.share(), size: e.size, command: e.command})
		return nil
	}
	text := q.box.seal(e.pieces)
	done, err := q.inline.write(text)
	if err != nil {
		q.stop(err)
		return err
	}
	if rest := text[0][done:]; len(rest) > 0 {
		q.push(item{pieces: [][]byte{slices.Clone(rest)}, size: len(rest), command: e.command, sealed: true})
	}
	return nil
}

// secure puts what is sent from now on into boxes.
func (q *queue) secure(box *sealer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.box = box
	q.wipe()
}

// admit makes room for e.
func (q *queue) admit(e *encoded, dropped *int) error {
	for q.full == wait && !e.command && q.cause == nil && q.bytes > 0 && q.bytes+e.size > q.cap {
		q.room.Wait()
	}
	for q.full == dropOldest && q.bytes+e.size > q.cap && q.drop() {
		*dropped++
	}
	switch {
	case q.cause != nil:
		return q.cause
	case e.command && q.commands >= maxCommands,
		q.full == cutOff && q.bytes > 0 && q.bytes+e.size > q.cap:
		q.close(fmt.Errorf("%w: %d bytes wait", errTooSlow, q.bytes))
		return q.cause
	}
	return nil
}

// drop forgets the oldest waiting message, but no command and no message of
// which a part is written or that has its nonce.
func (q *queue) drop() bool {
	for i := range q.items.len() {
		if it := q.items.at(i); !it.command && !it.sealed && it.off == 0 {
			q.bytes -= it.size + itemOverhead
			q.items.remove(i)
			return true
		}
	}
	return false
}

func (q *queue) push(it item) {
	q.items.push(it)
	q.bytes += it.size + itemOverhead
	if it.command {
		q.commands++
	}
	if !q.writing {
		q.writing, q.idle = true, make(chan struct{})
		idle := q.idle
		q.wg.Go(func() { q.writer(idle) })
	}
}

// writer writes what waits and ends when nothing does.
func (q *queue) writer(idle chan struct{}) {
	defer close(idle)
	var bufs net.Buffers
	for {
		var size int
		var sealed bool
		if bufs, size, sealed = q.batch(bufs[:0]); size == 0 {
			return
		}
		pieces := bufs
		if q.box != nil && !sealed {
			pieces = q.box.seal(bufs)
		}
		_, err := pieces.WriteTo(q.conn)
		clear(bufs)
		q.mu.Lock()
		q.bytes -= size
		q.room.Broadcast()
		if err != nil {
			q.stop(err)
		}
		q.mu.Unlock()
	}
}

// batch takes what one writev can carry from the queue. What it took can no
// longer be dropped: a part of it may be written. What is sealed already, which
// only the first one can be, comes alone.
func (q *queue) batch(bufs net.Buffers) (_ net.Buffers, size int, sealed bool) {
	const maxPieces, maxBytes = 256, 256 << 10
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.items.len() > 0 && len(bufs) < maxPieces && size < maxBytes && !sealed {
		it := q.items.pop()
		if it.command {
			q.commands--
		}
		size += it.size + itemOverhead
		sealed = it.sealed
		for _, p := range it.pieces {
			if it.off < len(p) {
				bufs = append(bufs, p[it.off:])
			}
			it.off = max(0, it.off-len(p))
		}
	}
	q.writing = size > 0
	q.wipe()
	return bufs, size, sealed
}

// stop ends writing because of err, the first of which counts; q.mu is held.
// The connection stays open: the other side's last words may be unread.
func (q *queue) stop(err error) {
	if q.cause == nil {
		q.cause = err
		q.items = fifo[item]{}
		q.room.Broadcast()
	}
}

// close ends the connection because of err; q.mu is held. The reader notices
// and does the rest.
func (q *queue) close(err error) {
	q.stop(err)
	if !q.closed {
		q.closed = true
		close(q.gone)
		_ = q.conn.Close()
		q.wipe()
	}
}

// wipe forgets the key once nothing can be written any more; q.mu is held.
func (q *queue) wipe() {
	if q.box != nil && q.closed && !q.writing {
		q.box.wipe()
	}
}

// shut is close for those who do not hold q.mu. It returns the first cause.
func (q *queue) shut(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.close(err)
	return q.cause
}

// drained returns a channel that is closed when nothing waits any more.
func (q *queue) drained() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle == nil {
		q.idle = make(chan struct{})
		close(q.idle)
	}
	return q.idle
}
