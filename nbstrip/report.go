package nbstrip

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// Result is what Strip did. It never holds a value outside of Out.
type Result struct {
	// Out is the stripped notebook. It is src itself when nothing changed.
	Out []byte
	// Findings are the secrets found, in the order of the file.
	Findings []Finding
	// Dropped are the bundles' entries that could not be edited in part, in the order of the file.
	Dropped []Dropped
}

// Changed reports whether Out differs from the source.
func (r Result) Changed() bool { return len(r.Findings) > 0 }

// Finding is one place that held the value called Name, or a fragment of it, or
// what looks like a secret; the Name is then that of a rule with a few digits.
type Finding struct {
	Name  string        `json:"name"`
	Cell  int           `json:"cell"` // index from 0, -1 outside of every cell
	Where notebook.Part `json:"where"`
	Line  int           `json:"line"` // of the source, from 1
	// Fingerprint, for a detect.IgnoreFile, of what was found by its look. Options ask for it.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Dropped is an entry of a MIME bundle, an output or a cell that was taken out
// whole. Its findings are among the Findings.
type Dropped struct {
	Cell int    `json:"cell"`
	Mime string `json:"mime"` // such as image/png; the class alone, image/*, for types that are not well known; or output, or cell
	Line int    `json:"line"`
}

// UnsafeError says that a file which is no readable notebook holds secrets, or
// is too large to be searched. It was not changed: there is no telling what an
// edit would break.
type UnsafeError struct {
	Line  int      // of the first secret, from 1
	Names []string // of the secrets, each once, in the order of the file; none if it was too large
	Cause *notebook.NotNotebookError
}

func (e *UnsafeError) Error() string {
	if len(e.Names) == 0 {
		return fmt.Sprintf("the file is too large to be searched: %v", e.Cause)
	}
	return fmt.Sprintf("line %d: the value of %s is in a file that cannot be stripped: %v", e.Line, strings.Join(e.Names, ", "), e.Cause)
}

// Unwrap returns the reason why the file is not a notebook.
func (e *UnsafeError) Unwrap() error { return e.Cause }

// Hint says what the user can do about it.
func (e *UnsafeError) Hint() string {
	switch {
	case e.Cause.Conflict:
		return "resolve the conflict, then add the file again"
	case len(e.Names) == 0:
		return "make it smaller, or keep it under a name that does not end in .ipynb"
	}
	return fmt.Sprintf("open the file in an editor and take the value out of line %d, then try again", e.Line)
}

// lines counts lines; offsets are asked for in ascending order.
type lines struct {
	src      []byte
	at, line int
}

// of returns the line, from 1, of the byte at offset.
func (l *lines) of(offset int) int {
	l.line += bytes.Count(l.src[l.at:offset], []byte{'\n'})
	l.at = offset
	return l.line + 1
}
