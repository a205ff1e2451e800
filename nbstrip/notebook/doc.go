// Package notebook reads .ipynb files without rewriting them: it finds where
// things are in the bytes, and Splice changes those bytes and no other.
//
//	src ── Scan ──> Notebook ── Texts ──> Text ── Reader ──> decoded text, to be searched
//	 │                 │                   │                        │ spans
//	 │                 └ Cells: ranges     └── Map ── Ranges <──────┘
//	 │                                                   │ ranges of src
//	 └───────────────────── Splice <─── []Edit <─────────┘
//
// What is read is what git can store and Python's json module, which Jupyter
// uses, may read: RFC 8259 and besides a byte order mark, duplicate names, NaN
// and Infinity, lone surrogates, invalid UTF-8, numbers of any length and names
// that nobody knows. No value is converted, so none can lose its precision or
// its form. Notebooks of nbformat 2 to 4 are known.
//
// A Text is what a person would read: the lines of a source, of a stream or of
// a MIME entry joined, and every other string, object names included, on its
// own. Names and words that nbformat itself prescribes ("cell_type", "code")
// are not texts: they hold nothing, and a notebook without them is none.
//
// The package imports nothing of the project and holds no state.
package notebook
