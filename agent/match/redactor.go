package match

import (
	"context"
	"errors"
	"io"
)

const (
	// redactBlock is how much text a Redactor searches at once, at most.
	redactBlock = 256 << 10
	// redactDelay is the length of held text from which on a Redactor waits
	// for a quarter more of it before it searches again, so that many small
	// writes behind a long tail do not cost their square.
	redactDelay = 64 << 10
)

// Redactor is a writer that passes text on with secrets replaced by their
// placeholders. However the text is cut into writes, what arrives is the same,
// unless Flush is called within a secret. It is not safe for concurrent use.
//
// When the Finder fails, nothing more is passed on.
type Redactor struct {
	finder Finder
	to     io.Writer
	held   []byte
	wanted int // search when held is as long as this
	err    error
}

// NewRedactor returns a Redactor that passes what f lets through to w.
func NewRedactor(f Finder, w io.Writer) *Redactor { return &Redactor{finder: f, to: w} }

// Write implements io.Writer. It holds back what may belong to a match that
// later text completes: see Result.Tail. It keeps the first error.
func (r *Redactor) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.err == nil {
		k := min(len(p)-n, redactBlock)
		r.held = append(r.held, p[n:n+k]...)
		n += k
		if len(r.held) >= r.wanted {
			r.pass(false)
		}
	}
	return n, r.err
}

// Flush passes on what Write held back, as if the text ended here.
func (r *Redactor) Flush() error {
	if r.err == nil && len(r.held) > 0 {
		r.pass(true)
	}
	return r.err
}

// Close is Flush; later writes fail. It does not close the writer below.
func (r *Redactor) Close() error {
	if errors.Is(r.err, io.ErrClosedPipe) {
		return nil
	}
	err := r.Flush()
	clear(r.held)
	r.held, r.err = nil, io.ErrClosedPipe
	return err
}

// pass searches what is held and passes on all of it or all but the tail.
func (r *Redactor) pass(all bool) {
	found, err := r.finder.Find(context.Background(), r.held)
	if err != nil {
		r.err = err
		return
	}
	end, spans := len(r.held), found.Spans
	if !all {
		end -= found.Tail
		for len(spans) > 0 && spans[len(spans)-1].End > end {
			spans = spans[:len(spans)-1]
		}
	}
	if end > 0 {
		_, r.err = r.to.Write(Replace(make([]byte, 0, end), r.held[:end], spans))
	}
	rest := copy(r.held, r.held[end:])
	clear(r.held[rest:])
	r.held = r.held[:rest]
	r.wanted = 0
	if rest >= redactDelay {
		r.wanted = rest + rest/4
	}
}
