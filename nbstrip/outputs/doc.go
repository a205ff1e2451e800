// Package outputs takes outputs, counts and passing metadata out of notebooks,
// as nbstripout 0.9 does, flag for flag, and leaves every other byte as it was,
// unless it is asked for the form in which nbstripout writes notebooks anew.
//
//	src ── notebook.Parse ──> tree ── Strip marks what goes ──> edits ── notebook.Splice ──> out
//	                            │                                           │
//	                            │                        under nbstripout's name: Form ──> out, as nbstripout writes it
//	                            └ the insides of outputs are checked, not kept
//
// It looks for no secrets: that is what package nbstrip does, before or after.
//
// Where nbstripout's behaviour is a slip that loses what its manual promises to
// keep, or keeps what it promises to drop, the manual counts: each of several
// tags drops its cells, and only cells whose source is empty are dropped as
// empty, also in nbformat 3, which calls a source input.
package outputs
