package redact

import (
	"context"
	"slices"
	"sync"

	"github.com/nbhush/nbhush/agent/match"
)

// window is how much text is decoded and searched at a time, in bytes. Text
// that may be the start of a match moves on to the next window.
const window = 1 << 20

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
	rest       bool // its beginning is in an earlier piece: no second placeholder
}

// separator keeps matches from reaching over two pieces that do not join. A
// span that does so all the same is cut at it.
const separator = 0

// search finds the spans in all pieces as one text. It returns the length of
// that text and of the end of it which later text could still change.
func search(ctx context.Context, f match.Finder, pieces []*piece) (length, tail int, err error) {
	total := 0
	for _, p := range pieces {
		total += len(p.raw) - p.from + 1
	}
	s := searcher{finder: f}
	kept, _ := buffers.Get().(*[]byte)
	if kept != nil {
		s.buf = (*kept)[:0]
	} else {
		kept = new([]byte)
	}
	defer func() {
		if *kept = s.buf; cap(s.buf) <= keepBuffer {
			buffers.Put(kept)
		}
	}()
	s.buf = slices.Grow(s.buf, min(total, window+window/4))
	for i, p := range pieces {
		if i > 0 && !p.joins {
			s.buf = append(s.buf, separator)
		}
		p.at = s.base + len(s.buf)
		if err := s.add(ctx, p); err != nil {
			return 0, 0, err
		}
	}
	res, err := f.Find(ctx, s.buf)
	if err != nil {
		return 0, 0, err
	}
	s.take(res.Spans, len(s.buf))
	length = s.base + len(s.buf)
	assign(pieces, s.spans, length)
	return length, min(max(res.Tail, 0), len(s.buf)), nil
}

// buffers are for the text of small searches, up to keepBuffer bytes.
var buffers sync.Pool

const keepBuffer = 256 << 10

type searcher struct {
	finder match.Finder
	buf    []byte
	base   int // offset of buf in the whole text
	spans  []match.Span
}

// add appends p's text to buf, searching and emptying buf whenever it is full.
func (s *searcher) add(ctx context.Context, p *piece) error {
	limit := window
	for at := p.from; at < len(p.raw); {
		if p.json {
			var n int
			s.buf, n = unescape(s.buf, p.raw[at:], limit)
			at += n
		} else {
			n := min(len(p.raw)-at, max(0, limit-len(s.buf)))
			s.buf = append(s.buf, p.raw[at:at+n]...)
			at += n
		}
		if len(s.buf) < limit {
			continue
		}
		res, err := s.finder.Find(ctx, s.buf)
		if err != nil {
			return err
		}
		keep := min(max(res.Tail, 0), len(s.buf))
		s.take(res.Spans, len(s.buf)-keep)
		s.base += len(s.buf) - keep
		s.buf = append(s.buf[:0], s.buf[len(s.buf)-keep:]...)
		limit = len(s.buf) + window
	}
	return nil
}

// take keeps the spans that end by limit, an offset in buf.
func (s *searcher) take(spans []match.Span, limit int) {
	for _, sp := range spans {
		if sp.End <= limit {
			sp.Start += s.base
			sp.End += s.base
			s.spans = append(s.spans, sp)
		}
	}
}

// assign gives every piece its share of the spans; the whole text ends at end.
func assign(pieces []*piece, spans []match.Span, end int) {
	for i, p := range pieces {
		stop := end
		if i+1 < len(pieces) {
			stop = pieces[i+1].at
			if !pieces[i+1].joins {
				stop--
			}
		}
		k, _ := slices.BinarySearchFunc(spans, p.at, func(s match.Span, at int) int {
			if s.End <= at {
				return -1
			}
			return 1
		})
		raw, text := p.from, 0
		for ; k < len(spans) && spans[k].Start < stop; k++ {
			sp := spans[k]
			h := hit{name: sp.Name, rest: sp.Start < p.at && p.joins && !pieces[i-1].sent}
			first, last := max(sp.Start, p.at)-p.at, min(sp.End, stop)-p.at
			if last <= first {
				continue
			}
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
