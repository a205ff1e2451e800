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
	aloneSize = 1 << 17
	// separator stands between two texts of a batch. It is no part of any
	// UTF-8, so matches across it are rare; that there may be some is what again is for.
	separator = "\xff"
)

// role is what a text is to its neighbours in a batch.
type role uint8

const (
	single role = iota // nothing
	name               // of a member
	value              // of the member whose name is before it
)

// glue is what stands between two texts of a batch. Members of an object stand
// together, as in the file: that a value belongs to "password" says what it is.
var glue = [3][3]string{
	single: {single: separator, name: separator + `"`},
	name:   {single: `"` + separator, name: `": {"`, value: `": "`},
	value:  {single: `"` + separator, name: `", "`},
}

// roleAfter returns the role of t behind a text of the role before.
func roleAfter(before role, t notebook.Text) role {
	switch {
	case t.Name:
		return name
	case before == name && !t.Lines && !t.Binary:
		return value
	}
	return single
}

var errFinder = errors.New("the finder returned spans that are not in the text")

// hit is a text, by its index, and what was found in it.
type hit struct {
	text   int
	spans  []match.Span
	prints []string // of the spans, where they are asked for
}

// searcher searches texts while they are scanned.
//
// What it finds in a text is what f finds in that text alone. Short texts go to
// f in batches; when a span reaches over an end of a text, every text that it
// touches is searched again on its own, since the span may hide another one.
// Long texts go in pieces that overlap by the Tail of match.Result.
//
// One goroutine calls f, so that scanning and decoding go on while the agent
// searches. A notebook of one batch does not start it.
type searcher struct {
	ctx    context.Context
	f      match.Finder
	limits limits

	filling *batch
	spare   chan *batch
	jobs    chan job // nil until the goroutine is started
	done    chan struct{}

	// These belong to the goroutine until done is closed.
	window []byte // of a long text, decoded
	hits   []hit
	again  []int // texts
	err    error
}

// limits are batchSize and aloneSize, which tests make smaller.
type limits struct{ batch, alone int }

// batch is texts with glue between them.
type batch struct {
	buf     []byte
	members []member
	last    role
}

// member is a text of a batch: buf[start:end].
type member struct{ text, start, end int }

// job is a batch, or else one text.
type job struct {
	batch *batch
	index int
	text  notebook.Text
}

// newSearcher returns a searcher for texts of together size bytes at most.
func newSearcher(ctx context.Context, f match.Finder, size int) *searcher {
	s := &searcher{ctx: ctx, f: f, limits: limits{batchSize, aloneSize}, spare: make(chan *batch, 1)}
	s.filling = &batch{buf: make([]byte, 0, min(batchSize, size))}
	s.spare <- &batch{}
	return s
}

// add takes the text with index i.
func (s *searcher) add(i int, t notebook.Text) {
	r := t.Range()
	size := r.End - r.Start
	if size > s.limits.alone {
		s.send(job{index: i, text: t})
		return
	}
	if len(s.filling.buf)+size > s.limits.batch {
		s.send(job{batch: s.filling})
		s.filling = <-s.spare
		s.filling.buf = slices.Grow(s.filling.buf, s.limits.batch)
	}
	b := s.filling
	next := roleAfter(b.last, t)
	b.buf = append(b.buf, glue[b.last][next]...)
	start := len(b.buf)
	b.buf = t.AppendTo(b.buf)
	b.members = append(b.members, member{i, start, len(b.buf)})
	b.last = next
}

// send gives j to the goroutine.
func (s *searcher) send(j job) {
	if s.jobs == nil {
		s.jobs, s.done = make(chan job), make(chan struct{})
		go func() {
			defer close(s.done)
			for j := range s.jobs {
				s.do(j)
			}
		}()
	}
	s.jobs <- j
}

// do searches what j has, unless an earlier search failed.
func (s *searcher) do(j job) {
	switch {
	case j.batch == nil:
		s.alone(j.index, j.text)
	case s.err == nil:
		var res match.Result
		res, s.err = s.find(j.batch.buf)
		s.assign(j.batch.members, res.Spans)
	}
	if b := j.batch; b != nil {
		b.buf, b.members, b.last = b.buf[:0], b.members[:0], single
		s.spare <- b
	}
}

// finish returns the texts of nb in which something was found, in order. It
// must be called, with nil if there is no notebook, to end the goroutine.
func (s *searcher) finish(nb *notebook.Notebook) ([]hit, error) {
	if s.jobs != nil {
		close(s.jobs)
		<-s.done
	}
	if nb == nil {
		return nil, nil
	}
	<-s.spare
	s.do(job{batch: s.filling})
	for _, i := range s.again {
		s.alone(i, nb.Text(i))
	}
	slices.SortFunc(s.hits, func(a, b hit) int { return a.text - b.text })
	return s.hits, s.err
}

// assign makes hits of the spans of a batch, and notes the texts that a span
// reaches into from outside.
func (s *searcher) assign(members []member, spans []match.Span) {
	for _, m := range members {
		if len(spans) == 0 {
			return
		}
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
			s.again = append(s.again, m.text)
		case len(own) > 0:
			s.hits = append(s.hits, hit{text: m.text, spans: own})
		}
		for len(spans) > 0 && spans[0].End <= m.end+1 {
			spans = spans[1:] // it ends in the glue
		}
	}
}

// alone searches one text, unless an earlier search failed.
func (s *searcher) alone(i int, t notebook.Text) {
	if s.err != nil {
		return
	}
	var spans []match.Span
	if spans, s.err = s.findText(t); len(spans) > 0 {
		s.hits = append(s.hits, hit{text: i, spans: spans})
	}
}

func (s *searcher) findText(t notebook.Text) ([]match.Span, error) {
	if b, ok := t.Verbatim(); ok {
		return s.findBytes(b)
	}
	r := t.Reader()
	return s.windows(func(window []byte, keep int) ([]byte, bool) {
		n := copy(s.window, window[len(window)-keep:])
		s.window = r.Append(s.window[:n], s.limits.batch)
		return s.window, !r.More()
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
