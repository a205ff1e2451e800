package redact

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

// Hold is the longest time that a message waits for the rest of what may be a value.
const Hold = 20 * time.Millisecond

// maxStreams is the number of streams whose end is remembered.
const maxStreams = 256

// Stage redacts the messages of iopub, in order, with values that go over
// several stream messages. It is safe for concurrent use.
type Stage struct {
	redactor *Redactor
	send     func(wire.Message)

	holding atomic.Int32 // messages that wait; read without mu
	mu      sync.Mutex
	queue   []*waiting // in the order in which they leave
	streams map[streamKey]*stream
	timer   *time.Timer
}

// streamKey names what one text goes over: a stream of one request.
type streamKey struct{ parent, name string }

// stream is a text over several messages.
type stream struct {
	left []byte     // the end of what was sent, if it may be the start of a value
	open []*waiting // messages whose end may be, in order
	told bool       // that text was withheld
}

// waiting is a message on its way.
type waiting struct {
	doc      *document
	stream   *stream // nil if it is not one, or nothing is open any more
	deadline time.Time
	err      error // why it has to be withheld
	quiet    bool  // its stream has said so before
	ready    bool
}

// NewStage returns a Stage that gives messages to send, one at a time. Close ends it.
func NewStage(r *Redactor, send func(wire.Message)) *Stage {
	s := &Stage{redactor: r, send: send, streams: map[streamKey]*stream{}}
	s.timer = time.AfterFunc(time.Hour, s.expire)
	return s
}

// Push takes messages that arrived together and sends on what need not wait.
// The frames must stay as they are until they were sent.
func (s *Stage) Push(ctx context.Context, batch []wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i := 0; i < len(batch); {
		n := s.take(batch[i:], now)
		s.search(ctx, s.queue[len(s.queue)-n:])
		i += n
		if last := s.queue[len(s.queue)-1]; last.ready {
			s.endedBy(last)
		}
	}
	s.drain()
}

// take queues messages up to one that ends a stream.
func (s *Stage) take(batch []wire.Message, now time.Time) int {
	for i, m := range batch {
		h, _ := wire.ScanHeader(m.Header())
		s.enqueue(read(m, h.MsgType), now)
		if h.MsgType == "status" {
			return i + 1
		}
	}
	return len(batch)
}

// enqueue adds a message to the queue, and to the open ones of its stream if it is of one.
func (s *Stage) enqueue(d *document, now time.Time) *waiting {
	w := &waiting{doc: d}
	s.queue = append(s.queue, w)
	if d.text != nil {
		w.deadline = now.Add(Hold)
		w.stream = s.streamOf(d)
		w.stream.open = append(w.stream.open, w)
	}
	return w
}

func (s *Stage) streamOf(d *document) *stream {
	h, _ := wire.ScanHeader(d.m.Parent())
	key := streamKey{h.MsgID, d.name}
	st := s.streams[key]
	if st == nil {
		if len(s.streams) >= maxStreams {
			s.forget()
		}
		st = new(stream)
		s.streams[key] = st
	}
	return st
}

// forget drops the streams that nothing waits for.
func (s *Stage) forget() {
	for k, st := range s.streams {
		if len(st.open) == 0 {
			delete(s.streams, k)
		}
	}
}

// search asks about the texts of the new messages: those of no stream together
// with those of one stream in one question, as a rule the only one.
func (s *Stage) search(ctx context.Context, fresh []*waiting) {
	var alone []*waiting
	var pieces []*piece
	var streams []*stream
	for _, w := range fresh {
		if st := w.stream; st != nil && st.open[len(st.open)-1] == w {
			streams = append(streams, st)
		}
		asked := len(pieces)
		for _, p := range w.doc.pieces {
			if p != w.doc.text {
				pieces = append(pieces, &p.piece)
			}
		}
		if len(pieces) > asked {
			alone = append(alone, w)
		} else {
			w.ready = w.stream == nil
		}
	}
	if len(streams) == 0 && len(pieces) > 0 {
		_, _, err := s.redactor.search(ctx, pieces)
		settle(alone, err)
	}
	for i, st := range streams {
		if i > 0 {
			pieces, alone = nil, nil
		}
		s.searchStream(ctx, pieces, alone, st)
	}
}

// settle notes the outcome for messages that have text beside that of a stream.
func settle(alone []*waiting, err error) {
	for _, w := range alone {
		w.err = err
		w.ready = w.stream == nil
	}
}

// searchStream asks about pieces, which belong to the messages alone, and the open text of st.
func (s *Stage) searchStream(ctx context.Context, pieces []*piece, alone []*waiting, st *stream) {
	from := len(pieces)
	if len(st.left) > 0 {
		pieces = append(pieces, &piece{raw: st.left, sent: true})
	}
	for _, w := range st.open {
		p := &w.doc.text.piece
		p.joins = len(pieces) > from
		// What was found in the open part may be longer now.
		p.hits = slices.DeleteFunc(p.hits, func(h hit) bool { return h.start >= p.from })
		pieces = append(pieces, p)
	}
	length, tail, err := s.redactor.search(ctx, pieces)
	settle(alone, err)
	st.searched(pieces[from:], length, tail, err)
}

// searched goes on with what search returned for the open text of st, which
// begins with the first of pieces if something is left.
func (st *stream) searched(pieces []*piece, length, tail int, err error) {
	if err != nil {
		for _, w := range st.open {
			w.err, w.quiet = err, st.told
			st.told = true
		}
		st.close()
		return
	}
	if len(st.left) > 0 {
		st.left = st.left[min(len(st.left), max(0, length-tail-pieces[0].at)):]
	}
	st.advance(length, length-tail)
}

// advance makes ready what later text cannot change: all text before open. The
// whole text ends at length.
func (st *stream) advance(length, open int) {
	for len(st.open) > 0 {
		w, end := st.open[0], length
		if len(st.open) > 1 {
			end = st.open[1].doc.text.at
		}
		if end > open {
			if p := &w.doc.text.piece; open > p.at {
				p.from, _, _ = sourceOffset(p.raw, p.from, 0, open-p.at)
			}
			return
		}
		w.ready, w.stream = true, nil
		st.open = st.open[1:]
	}
}

// release makes the first open message ready although its end may be the start
// of a value; the rest of that value is then still cut from the next message.
func (st *stream) release() {
	w := st.open[0]
	p := &w.doc.text.piece
	st.left, _ = unescape(bytes.Clone(st.left), p.raw[p.from:], len(st.left)+len(p.raw))
	w.ready, w.stream = true, nil
	st.open = st.open[1:]
}

// close makes everything ready and ends the text.
func (st *stream) close() {
	for _, w := range st.open {
		w.ready, w.stream = true, nil
	}
	st.open, st.left = nil, nil
}

// endedBy closes the streams of the request that w, a status, says is done.
func (s *Stage) endedBy(w *waiting) {
	if w.doc.msgType != "status" || len(s.streams) == 0 || !bytes.Contains(w.doc.m.Content(), []byte(`"idle"`)) {
		return
	}
	h, _ := wire.ScanHeader(w.doc.m.Parent())
	for key, st := range s.streams {
		if key.parent == h.MsgID {
			st.close()
			delete(s.streams, key)
		}
	}
}

// drain sends what is ready, up to the first message that is not.
func (s *Stage) drain() {
	n := 0
	for n < len(s.queue) && s.queue[n].ready {
		w := s.queue[n]
		s.queue[n] = nil
		n++
		if w.err != nil {
			s.send(w.doc.withheld(s.redactor.Signer, w.err, w.quiet))
		} else {
			s.send(w.doc.redacted(s.redactor.Signer))
		}
	}
	s.queue = append([]*waiting(nil), s.queue[n:]...)
	s.holding.Store(int32(len(s.queue)))
	if len(s.queue) > 0 {
		s.timer.Reset(time.Until(s.queue[0].deadline))
	}
}

// expire sends on what has waited long enough.
func (s *Stage) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	n := 0
	for n < len(s.queue) && (s.queue[n].ready || !s.queue[n].deadline.After(now)) {
		n++
	}
	s.release(n)
}

// release sends the first n messages of the queue, and those behind them that are ready.
func (s *Stage) release(n int) {
	for _, w := range s.queue[:n] {
		if !w.ready {
			w.stream.release()
		}
	}
	s.drain()
}

// Flush sends on all messages that the request of reply, a message of another
// channel, still has here, so that it does not overtake them.
func (s *Stage) Flush(reply wire.Message) {
	if s.holding.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, _ := wire.ScanHeader(reply.Parent())
	last := -1
	for i, w := range s.queue {
		if h, _ := wire.ScanHeader(w.doc.m.Parent()); h.MsgID == parent.MsgID {
			last = i
		}
	}
	if last < 0 {
		return
	}
	s.release(last + 1)
}

// Close sends on everything that waits.
func (s *Stage) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.release(len(s.queue))
	s.timer.Stop()
}
