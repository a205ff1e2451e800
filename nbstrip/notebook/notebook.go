package notebook

import "iter"

// Part is the part of a notebook that something is in.
type Part string

// The parts.
const (
	InSource     Part = "source"
	InOutput     Part = "output"
	InMetadata   Part = "metadata" // of a cell or of the notebook
	InAttachment Part = "attachment"
	InOther      Part = "other"
)

// Notebook is what Scan found in src. It refers to src, which must not change.
// A Notebook may be read by many goroutines.
type Notebook struct {
	Cells []Cell

	src     []byte
	strings []span // in the order of src
	texts   []text // in the order of their first strings
}

// Cell is one cell. A Range that is zero stands for a member that is not there.
type Cell struct {
	Range
	Type     string // cell_type
	ID       string
	Tags     []string // of the metadata
	Metadata Range
	Source   Range // input in nbformat 2 and 3
	Outputs  []Output

	Attachments []Bundle
}

// Output is one output of a code cell.
type Output struct {
	Range
	Type string // output_type
	Data Bundle // for nbformat 2 and 3 all members of the output
}

// Bundle is the members of an object that maps MIME types to data.
type Bundle []Entry

// Entry is one member of a Bundle.
type Entry struct {
	Mime  string // a short name such as png in nbformat 2 and 3
	Name  Range  // with its quotes
	Value Range
}

// span is the inside of a JSON string, without its quotes.
type span struct{ start, end uint32 }

// text is a Text in brief; its strings end where those of the next begin.
type text struct {
	first uint32
	cell  int32
	part  uint8
	kind  uint8
}

// Texts returns all texts in the order in which they begin in src.
func (n *Notebook) Texts() iter.Seq[Text] { return nil }

// Text is a text as a reader of the notebook sees it: one JSON string or the
// joined items of a list.
type Text struct {
	Part   Part
	Cell   int  // index of the cell, -1 outside of every cell
	Name   bool // the name of an object's member
	Binary bool // base64 of an image or the like: it cannot be edited in part
}

// NotNotebookError says why some bytes are not a notebook.
type NotNotebookError struct {
	Line     int // from 1
	Reason   string
	Conflict bool // git's conflict markers are in it
}

func (e *NotNotebookError) Error() string { return e.Reason }

// Scan finds everything in src, or returns a *NotNotebookError.
func Scan(src []byte) (*Notebook, error) { return &Notebook{src: src}, nil }
