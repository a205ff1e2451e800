package notebook

// Notebook is what Scan found in a source. It refers to the source, which must
// not change. A Notebook may be read by many goroutines.
type Notebook struct {
	Cells []Cell

	src     []byte
	strings []span // of all texts, in the order of src
	texts   []text // in the order of their first strings
}

// Cell is one cell. A Range that is zero stands for a member that is not
// there; of a member that is there twice the last one counts, as in Python.
type Cell struct {
	Range
	Type        string // cell_type
	ID          string
	Tags        []string // of the metadata
	Metadata    Range
	Source      Range // in nbformat 2 and 3 the input
	Outputs     []Output
	Attachments []Bundle
}

// Output is one output of a code cell.
type Output struct {
	Range
	Type string // output_type
	Data Bundle // in nbformat 2 and 3 all members of the output
}

// Bundle is the members of an object that maps MIME types to data.
type Bundle []Entry

// Entry is one member of a Bundle.
type Entry struct {
	Mime  string // in nbformat 2 and 3 a short name such as png
	Name  Range  // with its quotes
	Value Range
}
