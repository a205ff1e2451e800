package nbstrip

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

const (
	// batchSize is how many bytes go to the Finder in one call: enough that a
	// round trip to the agent does not count.
	batchSize = 1 << 20
	// aloneSize is the size from which a text goes to the Finder without others, and uncopied if it can.
	aloneSize = 1 << 18
	// separator stands between two texts of a batch. It is no part of any
	// UTF-8, so matches across it are rare; that there may be some is what again is for.
	separator = 0xff
)

var errFinder = errors.New("the finder returned spans that are not in the text")

// hit is a text, by its index, and what was found in it.
type hit struct {
	text  int
	spans []match.Span
}

// searcher searches the texts of nb.
//
// What it finds in a text is what f finds in that text alone. Short texts go to
// f in batches; when a span reaches over an end of a text, every text that it
// touches is searched again on its own, since the span may hide another one.
// Long texts go in pieces that overlap by the Tail of match.Result.
type searcher struct {
	ctx context.Context
	f   match.Finder
	nb  *notebook.Notebook

	limits limits
	buf    []byte
	batch  []member
	hits   []hit
}

// limits are batchSize and aloneSize, which tests make smaller.
type limits struct{ batch, alone int }

func newSearcher(ctx context.Context, f match.Finder, nb *notebook.Notebook) *searcher {
	return &searcher{ctx: ctx, f: f, nb: nb, limits: limits{batchSize, aloneSize}}
}

// member is a text of a batch: buf[start:end].
type member struct{ text, start, end int }

// texts searches all texts and returns those in which something was found, in order.
func (s *searcher) texts() ([]hit, error) {
	for i, t := range s.nb.Texts() {
		if err := s.add(i, t); err != nil {
			return nil, err
		}
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	slices.SortFunc(s.hits, func(a, b hit) int { return a.text - b.text })
	return s.hits, nil
}

func (s *searcher) add(i int, t notebook.Text) error {
	r := t.Range()
	size := r.End - r.Start
	if size > s.limits.alone {
		return s.alone(i, t)
	}
	if len(s.buf)+size > s.limits.batch {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if s.buf == nil {
		s.buf = make([]byte, 0, s.limits.batch)
	}
	start := len(s.buf)
	s.buf = t.AppendTo(s.buf)
	s.batch = append(s.batch, member{i, start, len(s.buf)})
	s.buf = append(s.buf, separator)
	return nil
}

// flush searches the batch and begins a new one.
func (s *searcher) flush() error {
	res, err := s.find(s.buf)
	if err != nil {
		return err
	}
	again := s.assign(res.Spans)
	for _, i := range again {
		if err := s.alone(i, s.nb.Text(i)); err != nil {
			return err
		}
	}
	s.buf, s.batch = s.buf[:0], s.batch[:0]
	return nil
}

// assign makes hits of the spans of the batch, and returns the texts that a
// span reaches into from outside.
func (s *searcher) assign(spans []match.Span) (again []int) {
	for _, m := range s.batch {
		var own []match.Span
		crossed := false
		for len(spans) > 0 && spans[0].Start < m.end {
			span := spans[0]
			crossed = crossed || span.Start < m.start || span.End > m.end
			if span.End > m.end {
				break // the next text needs to see it
			}
			span.Start -= m.start
			span.End -= m.start
			own = append(own, span)
			spans = spans[1:]
		}
		switch {
		case crossed:
			again = append(again, m.text)
		case len(own) > 0:
			s.hits = append(s.hits, hit{m.text, own})
		}
		for len(spans) > 0 && spans[0].End <= m.end+1 {
			spans = spans[1:] // the separator alone
		}
	}
	return again
}

// alone searches one text.
func (s *searcher) alone(i int, t notebook.Text) error {
	spans, err := s.findText(t)
	if err == nil && len(spans) > 0 {
		s.hits = append(s.hits, hit{i, spans})
	}
	return err
}

func (s *searcher) findText(t notebook.Text) ([]match.Span, error) {
	if b, ok := t.Verbatim(); ok {
		return s.findBytes(b)
	}
	r := t.Reader()
	return s.windows(func(window []byte, keep int) ([]byte, bool) {
		n := copy(window, window[len(window)-keep:])
		window = r.Append(window[:n], s.limits.batch)
		return window, !r.More()
	})
}

func (s *searcher) findBytes(b []byte) ([]match.Span, error) {
	at := 0
	return s.windows(func(_ []byte, keep int) ([]byte, bool) {
		start := at - keep
		at = min(at+s.limits.batch, len(b))
		return b[start:at], at == len(b)
	})
}

// windows searches a text window by window. next returns the window that
// follows and begins with the last keep bytes of the one before, and whether it is the last.
func (s *searcher) windows(next func(window []byte, keep int) ([]byte, bool)) (spans []match.Span, err error) {
	var window []byte
	begin, keep := 0, 0 // begin is the offset of the window in the text
	for {
		var last bool
		begin += len(window) - keep
		window, last = next(window, keep)
		res, err := s.find(window)
		if err != nil {
			return nil, err
		}
		keep = res.Tail
		if last {
			keep = 0
		}
		for _, span := range res.Spans {
			if span.End <= len(window)-keep {
				span.Start += begin
				span.End += begin
				spans = append(spans, span)
			}
		}
		if last {
			return spans, nil
		}
	}
}

// find asks f and checks what it says.
func (s *searcher) find(text []byte) (match.Result, error) {
	if len(text) == 0 {
		return match.Result{}, nil
	}
	if err := s.ctx.Err(); err != nil {
		return match.Result{}, err
	}
	res, err := s.f.Find(s.ctx, text)
	if err != nil {
		return match.Result{}, fmt.Errorf("search for secrets: %w", err)
	}
	at := 0
	for _, span := range res.Spans {
		if span.Start < at || span.End <= span.Start || span.End > len(text) {
			return match.Result{}, errFinder
		}
		at = span.End
	}
	if res.Tail < 0 || res.Tail > len(text) {
		return match.Result{}, errFinder
	}
	return res, nil
}
