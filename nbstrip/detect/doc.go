// Package detect finds secrets by their look, for those that nobody stored.
//
//	text ──> automaton of all keywords ──> rules ──> findings ──> match.Spans
//	 │        (long base64 is skipped)       │           ^
//	 │                                       └ own: formats, URLs, calls, labels
//	 │                                       └ gitleaks': expressions, entropy, allow-lists
//	 └──> views: without colours, tags, escapes; strings joined; base64, hex,
//	      URLs decoded ──> the same again, mapped back to the text's bytes
//
// gitleaks' rules are read from its module and compiled when a text first has
// one of their keywords. A rule of this package does not load without its own
// true and false positives, which the tests try.
//
// Who uses it joins it with the Finder of known values, see match.Join: in the
// agent, where the rules stay warm, or in a process of its own. What is to be
// left in says a comment on the line; a cell's tag and the fingerprints of an
// IgnoreFile are seen to by nbstrip.
//
// A span covers the secret and nothing but the secret: of a URL the password,
// of an assignment what is inside the quotes. Of a secret in an encoding it
// covers the characters that hold a part of it.
package detect
