// Package nbstrip takes secrets out of notebooks and leaves every other byte
// as it was.
//
//	src ── notebook.Scan ──> texts ── batches of 1 MiB ──> match.Finder
//	 │          │                                              │ spans, names
//	 │          └ not a notebook: searched as text,            v
//	 │            clean passes, else UnsafeError         edits of src's bytes
//	 └──────────────────── notebook.Splice <───────────────────┘
//	                              │
//	                              │ by Options also without whole outputs or cells
//	                           Result: Out, Findings, Dropped; never a value
package nbstrip
