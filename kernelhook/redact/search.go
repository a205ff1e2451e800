package redact

import (
	"context"
	"slices"
	"sync"

	"github.com/nbhush/nbhush/agent/match"
)

// Text is decoded and searched window bytes at a time. While the agent searches
// some windows the next is decoded, which begins with the last overlap bytes of
// the one before: more than its tail, unless a very long value begins there. As many
// as maxAsked are with the agent at a time, so that it need not wait for this process to wake.
const (
	window   = 1 << 20
	overlap  = 4 << 10
	maxAsked = 3
)

// piece is a stretch of text to be searched.
type piece struct {
	raw   []byte // the text, or the inside of the JSON string literal that stands for it
	json  bool   // raw is the inside of a literal
	joins bool   // the text goes on where the text of the piece before ends
	sent  bool   // already delivered: context only
	from  int    // offset in raw where the search begins

	at   int   // offset in the whole text of where raw[from:] begins; set by search
	hits []hit // what was found in it, in order; search appends
}

// hit is a stretch of a piece that has to go.
type hit struct {
	start, end int // in raw
	name       string
	rest       bool // its beginning is in an earlier hit: no second placeholder
}

// separator keeps matches from reaching over two pieces that do not join. A
// span that does so all the same is cut at it.
const separator = 0

// search finds the spans in all pieces as one text. It returns the length of
// that text and of the end of it which later text could still change.
func (r *Redactor) search(ctx context.Context, pieces []*piece) (length, tail int, err error) {
	total := 0
	for _, p := range pieces {
		total += len(p.raw) - p.from + 1
	}
	s := searcher{Redactor: r, ctx: ctx, limit: window}
	defer s.end()
	s.buf = s.buffer(min(total, window+overlap))
	for i, p := range pieces {
		if i > 0 && !p.joins {
			s.buf = append(s.buf, separator)
		}
		p.at = s.base + len(s.buf)
		s.add(p)
	}
	return s.finish(pieces)
}

// finish waits for all answers and gives the pieces, all of which were added, their
// hits. It returns what search does.
func (s *searcher) finish(pieces []*piece) (length, tail int, err error) {
	s.settle()
	if s.err != nil {
		return 0, 0, s.err
	}
	spans, tail, err := s.look(s.ctx, s.buf)
	if err != nil {
		return 0, 0, err
	}
	length = s.base + len(s.buf)
	s.take(spans, s.base, length)
	assign(pieces, s.spans, length)
	return length, tail, nil
}

// buffers are for the text of small searches, up to keepBuffer bytes; longer ones
// get memory that the Finder lends.
var buffers sync.Pool

const (
	keepBuffer = 256 << 10
	lendFrom   = 32 << 10
)

// searcher searches a text that comes in parts.
type searcher struct {
	*Redactor
	ctx   context.Context
	buf   []byte // the end of the text, which was not searched yet
	base  int    // offset of buf in the whole text
	limit int    // length from which on buf is searched
	spans []found
	done  int   // offset up to which spans are final
	err   error // nothing is known any more

	asked []asked // the windows before buf; the last overlap bytes of each are the next one's first
	spare [][]byte
	kept  *[]byte  // of buffers
	lent  []func() // give back what is lent
}

// asked is a window that is searched.
type asked struct {
	text   []byte
	base   int // offset in the whole text
	answer chan answer
}

// buffer returns an empty buffer for about n bytes.
func (s *searcher) buffer(n int) []byte {
	if l, ok := s.Finder.(match.Lender); ok && n >= lendFrom {
		if text, giveBack := l.Lend(); giveBack != nil {
			s.lent = append(s.lent, giveBack)
			return text
		}
	}
	if n > keepBuffer || s.kept != nil {
		return make([]byte, 0, n)
	}
	if s.kept, _ = buffers.Get().(*[]byte); s.kept == nil {
		s.kept = new([]byte)
	}
	return slices.Grow((*s.kept)[:0], n)
}

// end gives all buffers back, when nobody reads them any more.
func (s *searcher) end() {
	s.settle()
	for _, giveBack := range s.lent {
		giveBack()
	}
	if s.kept == nil {
		return
	}
	if *s.kept = s.buf; cap(s.buf) <= keepBuffer {
		buffers.Put(s.kept)
	}
}

// answer is what look returned for a window.
type answer struct {
	spans []found
	tail  int
	err   error
}

// add appends p's text to buf, and has buf searched whenever it is full.
func (s *searcher) add(p *piece) {
	for at := p.from; at < len(p.raw) && s.err == nil; {
		if p.json {
			var n int
			s.buf, n = unescape(s.buf, p.raw[at:], s.limit)
			at += n
		} else {
			n := min(len(p.raw)-at, max(0, s.limit-len(s.buf)))
			s.buf = append(s.buf, p.raw[at:at+n]...)
			at += n
		}
		if len(s.buf) >= s.limit {
			s.ask()
		}
	}
}

// ask has buf searched and begins the next one.
func (s *searcher) ask() {
	if len(s.asked) == maxAsked {
		s.settleFirst()
	}
	if len(s.buf) < s.limit || s.err != nil {
		return // it begins earlier now, and takes more
	}
	w := asked{s.buf, s.base, make(chan answer, 1)}
	go func() {
		spans, tail, err := s.look(s.ctx, w.text)
		w.answer <- answer{spans, tail, err}
	}()
	s.asked = append(s.asked, w)
	s.base += len(w.text) - overlap
	s.limit = window
	s.buf = append(s.empty(), w.text[len(w.text)-overlap:]...)
}

// empty returns an empty buffer for a window.
func (s *searcher) empty() []byte {
	if n := len(s.spare); n > 0 {
		b := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return b[:0]
	}
	return s.buffer(window + overlap)
}

// settle waits for the answers about all windows before buf.
func (s *searcher) settle() {
	for len(s.asked) > 0 {
		s.settleFirst()
	}
}

// settleFirst waits for the answer about the first window that is searched. Where
// that leaves more open than the next one begins with, buf begins there from now on.
func (s *searcher) settleFirst() {
	w := s.asked[0]
	a := <-w.answer
	s.asked = slices.Delete(s.asked, 0, 1)
	s.spare = append(s.spare, w.text)
	if s.err != nil {
		return
	}
	if s.err = a.err; s.err != nil {
		return
	}
	end := w.base + len(w.text)
	s.take(a.spans, w.base, end-a.tail)
	if end-s.done <= overlap {
		return
	}
	text := slices.Clone(w.text[s.done-w.base:])
	for _, next := range s.asked {
		if a := <-next.answer; a.err != nil {
			s.err = a.err
		}
		text = append(text, next.text[overlap:]...)
		s.spare = append(s.spare, next.text)
	}
	s.asked = s.asked[:0]
	text = append(text, s.buf[overlap:]...)
	s.spare = append(s.spare, s.buf)
	s.buf, s.base, s.limit = text, s.done, len(text)+window
}

// take keeps what was found in a window that begins at the offset base of the
// whole text: from where spans are final up to end, where they are now.
func (s *searcher) take(spans []found, base, end int) {
	for _, sp := range spans {
		sp.start, sp.end, sp.head = max(base+sp.start, s.done), base+sp.end, base+sp.head
		if sp.start < sp.end && sp.end <= end {
			s.spans = append(s.spans, sp)
		}
	}
	s.done = max(s.done, end)
}

// assign gives every piece its share of the spans; the whole text ends at end.
// A value has one placeholder in each text of pieces that join.
func assign(pieces []*piece, spans []found, end int) {
	if len(spans) == 0 {
		return
	}
	placed := map[int]bool{} // by the heads of values
	for i, p := range pieces {
		if !p.joins {
			clear(placed)
		}
		stop := end
		if i+1 < len(pieces) {
			stop = pieces[i+1].at
			if !pieces[i+1].joins {
				stop--
			}
		}
		k, _ := slices.BinarySearchFunc(spans, p.at, func(s found, at int) int {
			if s.end <= at {
				return -1
			}
			return 1
		})
		raw, text := p.from, 0
		for ; k < len(spans) && spans[k].start < stop; k++ {
			sp := spans[k]
			first, last := max(sp.start, p.at)-p.at, min(sp.end, stop)-p.at
			if last <= first {
				continue
			}
			h := hit{name: sp.name, rest: placed[sp.head]}
			placed[sp.head] = placed[sp.head] || !p.sent
			if !p.json {
				h.start, h.end = p.from+first, p.from+last
			} else {
				h.start, _, text = sourceOffset(p.raw, raw, text, first)
				raw = h.start
				_, h.end, _ = sourceOffset(p.raw, raw, text, last)
				h.start, h.end = wholeRunes(p.raw, h.start, h.end)
			}
			p.hits = append(p.hits, h)
		}
	}
}

// edits returns what replaces the hits by placeholders in a source where p.raw
// begins at offset.
func (p *piece) edits(offset int) []edit {
	var out []edit
	for _, h := range p.hits {
		e := edit{start: offset + h.start, end: offset + h.end}
		if !h.rest {
			e.text = quoteInside(match.Placeholder(h.name))
		}
		// Two hits can touch the same character; it goes once.
		if n := len(out); n > 0 && e.start < out[n-1].end {
			e.start = out[n-1].end
			e.end = max(e.start, e.end)
		}
		out = append(out, e)
	}
	return out
}

// edit replaces source[start:end] by text.
type edit struct {
	start, end int
	text       []byte
}

// splice returns src with the edits done. Edits that begin before the end of
// an earlier one are inside of it and left out.
func splice(src []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(src)+len(edits)*16)
	at := 0
	for _, e := range edits {
		if e.start < at {
			continue
		}
		out = append(out, src[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	return append(out, src[at:]...)
}
