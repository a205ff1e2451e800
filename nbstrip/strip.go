package nbstrip

import (
	"context"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// Mode is what Strip does with a secret that it finds.
type Mode int

// Redact puts match.Placeholder in the place of the value.
const Redact Mode = 0

// Options say how to strip. The zero Options redact.
type Options struct{ Mode Mode }

// Result is what Strip did. It never holds a value.
type Result struct {
	// Out is the stripped notebook. It aliases src when nothing changed.
	Out []byte
	// Findings are the secrets found, in the order of the file.
	Findings []Finding
	// Dropped are the findings' bundles that could not be edited in part, in the order of the file.
	Dropped []Dropped
}

// Changed reports whether Out differs from the source.
func (r Result) Changed() bool { return len(r.Findings) > 0 }

// Finding is one place that held the value called Name, or a fragment of it.
type Finding struct {
	Name  string        `json:"name"`
	Cell  int           `json:"cell"` // index from 0; -1 outside of every cell
	Where notebook.Part `json:"where"`
	Line  int           `json:"line"` // of the source, from 1
}

// Dropped is an entry of a MIME bundle that was taken out whole.
type Dropped struct {
	Name string `json:"name"`
	Cell int    `json:"cell"`
	Mime string `json:"mime"` // such as image/png; image/* when the type is an uncommon one
	Line int    `json:"line"`
}

// Strip finds what f knows in the notebook src and takes it out. It never
// changes src. A src that is no readable notebook is treated as text: when f
// finds nothing in it, Out is src, otherwise the error is an *UnsafeError. An
// error of f is returned wrapped; nothing is known about src then.
func Strip(ctx context.Context, src []byte, f match.Finder, o Options) (Result, error) {
	return Result{Out: src}, nil
}

// StripFile strips the notebook at path in place and writes only when
// something changed. When the file was changed by somebody else in between it
// is left alone and the error is savefile.ErrChanged.
func StripFile(ctx context.Context, path string, f match.Finder, o Options) (Result, error) {
	return Result{}, nil
}
