// Package match finds known values in text.
//
//	values ── formsOf ──► forms ── plan ──► index of windows     (New, once)
//	            │                                  │
//	          weigh                                ▼
//	                 text ─► every fifth window: in the filter? in the index?
//	                                               │ yes, one in thousands
//	                                               ▼
//	                         extend both ways ─► piece ─► does it count? ─► spans
//	                 text ─► could its end be the start of a piece? ─► tail
//
// # Model
//
// A value has forms: itself; as JSON string of one or two levels, with and
// without escaped slashes and non-ASCII; percent-encoded as by Python's quote,
// quote_plus and by encodeURIComponent; in HTML; as Python's repr of str and
// bytes; in hex; in base64 at the three alignments, both alphabets. A value
// that ends with newlines is also taken without them, and the password of a
// URL also by itself.
//
// A piece is a stretch of text that equals a stretch of a form and that cannot
// be extended at either end. Of a piece with several lines, lines of fewer
// than 8 bytes at its ends are left out. A piece counts if it is the whole
// form, or if it has at least 12 bytes and weighs at least as much as 12 random
// ones. A byte of a form weighs 1; it weighs
//
//   - 0 within text that is well known or public: schemes and hosts of URLs,
//     frames of PEM, prefixes of tokens, fields of service accounts, dates,
//     runs such as 000000 and 123456, and the images of these in base64 and every other encoding;
//     what more than 16 known values, or the same value more than 8 times, have;
//     and user, host and path of a URL with a password of 8 bytes or more;
//   - 1/2 in words of a passphrase and the signs between them, and less in
//     letters beyond ASCII.
//
// What a value repeats over more than 256 bytes is left out of its forms; its
// first repeats are found at each of the others.
//
// Pieces that overlap make one span, which the longest of them names. A base64
// span includes the characters at its ends that hold only some bits of the
// value. Placeholders of the set's own names are never part of a piece, so
// what Replace wrote is not found again.
//
// # Streaming
//
// Result.Tail is the part of the text that more text could still change. With
// it, any way of cutting a text into writes to a Redactor gives the same output. It may be
// longer than needed, never shorter.
//
// # Search
//
// Every piece of 12 bytes has five windows of 8 bytes, one of which starts at
// a place divisible by five. So all windows of all forms are indexed, and one
// window in five of the text is looked up: first in a filter that is small
// enough to stay in the cache. Whole forms of 8 to 11 bytes are found by windows of 4
// bytes. Windows without weight are not indexed, nor those that another form of the same
// value already has: see form.plan for why nothing is missed.
//
// # Limits
//
// Not found are: fragments under 12 bytes and values under 8; values that
// Weakness names; what is beyond the first 64 KiB of a value; values that are
// reversed, spelled with something between their characters, cut by a newline
// or by markup into pieces that are too short, changed in case, compressed,
// encrypted, hashed, or in another encoding, such as base32, UTF-16, or base64 of JSON of the value.
// Escapes other than those above, such as \u0041 for a letter, hide a value.
package match
