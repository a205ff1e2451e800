// Package corpus makes notebooks with one planted secret each, to measure how
// much of it a detector finds.
//
//	kinds: a value in its provider's format ──┐
//	                                          ├─> Samples ──> a notebook, what of it is secret
//	places: where people leave such values ───┘
//
// Every value is random and made when it is asked for; none was ever issued.
// The same seed makes the same notebooks. Kinds and places know nothing of the
// rules that look for them.
package corpus
