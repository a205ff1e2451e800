// Package audit is the log of who asked for which secret and what came of it.
//
//	Entry ──clean──▶ one line of JSON ──one write──▶ audit.jsonl
//	                     ▲                               │
//	                     └── prev: SHA-256 of the line before ──▶ Verify
//
//	line 1   {"version":1,"time":…,"genesis":"random"}
//	line 2   {"time":…,"seq":1,"who":…,"op":"get",…,"prev":"SHA-256 of line 1"}
//	line 3   {"time":…,"seq":2,…,"prev":"SHA-256 of line 2, its prev included"}
//
// A hash is of the line's bytes without its newline. Hence a line that was
// changed, taken out, put in or moved breaks the chain at the line after it.
//
// # Invariants
//
//   - No value: an Entry has no field for one. Its texts, some of which a kernel
//     chooses, are capped and have nothing but printable characters.
//   - Several processes may append: each line is written by one write to a file
//     opened with O_APPEND, under a lock.
//   - What Append confirmed is not lost when the process is killed. Everything
//     but a granted get is also on the disk by then. A granted get, which
//     happens in the middle of a user's cell, reaches the disk with the next
//     other entry, with Close, or when the system flushes, and may be lost with
//     the machine's power.
//   - Half a line at the end, which a crash leaves, is put aside into
//     audit.jsonl.torn and the chain goes on behind the last whole line.
//
// # What it does not do
//
// The chain has no key. It shows accidents and edits by hand; whoever may
// write the file can change its last line, which no other line speaks for
// yet, cut lines off its end, or compute a whole new chain.
package audit
