// Package nbstrip takes secrets out of notebooks and leaves every other byte
// as it was.
//
//	src ── notebook.Scan ──> texts ── batches of 1 MiB ──> match.Finder
//	 │          │             names and values of            │ spans, names
//	 │          │             members stand together         v
//	 │          │                                      less what is to be ignored
//	 │          └ not a notebook: searched as text,          │
//	 │            clean passes, else UnsafeError       edits of src's bytes
//	 └──────────────────── notebook.Splice <───────────────────┘
//	                              │
//	                              │ by Options also without whole outputs or cells
//	                           Result: Out, Findings, Dropped; never a value
package nbstrip
