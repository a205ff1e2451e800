package notebook

import (
	"bytes"
	"strconv"
)

// NotNotebookError says why some bytes are not a notebook, and never repeats any of them.
type NotNotebookError struct {
	Line     int // from 1
	Reason   string
	Conflict bool // git's conflict markers are in it; Line is the first one's
}

func (e *NotNotebookError) Error() string {
	return "line " + strconv.Itoa(e.Line) + ": not a notebook: " + e.Reason
}

// newError returns the error for src, whose byte at pos cannot be there.
func newError(src []byte, pos int, reason string) error {
	for _, marker := range []string{"<<<<<<< ", "||||||| ", ">>>>>>> "} {
		if at := lineWith(src, marker); at >= 0 {
			return &NotNotebookError{Line: 1 + bytes.Count(src[:at], newline), Reason: "it holds conflict markers", Conflict: true}
		}
	}
	return &NotNotebookError{Line: 1 + bytes.Count(src[:min(pos, len(src))], newline), Reason: reason}
}

var newline = []byte{'\n'}

// lineWith returns the offset of the first line that begins with marker, -1 for none.
func lineWith(src []byte, marker string) int {
	if bytes.HasPrefix(src, []byte(marker)) {
		return 0
	}
	if at := bytes.Index(src, []byte("\n"+marker)); at >= 0 {
		return at + 1
	}
	return -1
}
