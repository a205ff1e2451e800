package match

import (
	"context"
	"io"
)

// Redactor is a writer that passes text on with secrets replaced by their
// placeholders. However the text is cut into writes, the output is the same.
// It is not safe for concurrent use.
type Redactor struct {
	finder Finder
	to     io.Writer
	held   []byte
}

// NewRedactor returns a Redactor that writes to w what f lets through.
func NewRedactor(f Finder, w io.Writer) *Redactor { return &Redactor{finder: f, to: w} }

// Write implements io.Writer. It holds back what may belong to a match that
// later text completes.
func (r *Redactor) Write(p []byte) (int, error) {
	r.held = append(r.held, p...)
	if err := r.release(false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what Write held back, as if the text ended here.
func (r *Redactor) Flush() error { return r.release(true) }

// Close is Flush. It does not close the writer below.
func (r *Redactor) Close() error { return r.release(true) }

func (r *Redactor) release(all bool) error {
	res, err := r.finder.Find(context.Background(), r.held)
	if err != nil {
		return err
	}
	end, spans := len(r.held), res.Spans
	if !all {
		end -= res.Tail
		for len(spans) > 0 && spans[len(spans)-1].End > end {
			spans = spans[:len(spans)-1]
		}
	}
	_, err = r.to.Write(Replace(nil, r.held[:end], spans))
	r.held = append(r.held[:0], r.held[end:]...)
	return err
}
