// Package redact takes the values of secrets out of the messages that a kernel
// sends to its clients, and out of what it writes on its own stdout and stderr.
//
//	message ── leaves: strings of metadata and content, decoded; buffers
//	              │
//	              ├─ search: leaves of many messages as one text ── match.Finder
//	              │
//	              └─ edits: only the bytes that hold a span, in the source's own
//	                 bytes; then a new signature. No span: the message as it was.
//
//	stdout of one cell:   "…s" | "k-…" | "…9\n"     one text over many messages:
//	Stage (iopub)          └hold┘ ≤ 20 ms           what may be the start of a value waits
//
// A value over several stream messages leaves its placeholder in the first of
// them and is cut out of the others; messages are never split or merged, and
// their order is kept. A mimetype that cannot be edited in part, such as a PNG,
// is left out of its bundle and text/plain says so. A binary buffer keeps its
// length: the bytes of the value become asterisks.
//
// If the Finder says that it could not search, nothing is known about the text,
// so it is withheld and a line in its place says why and what mends it. A Finder
// for whom unsearched text is harmless returns an empty Result instead.
package redact
