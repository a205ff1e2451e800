package notebook

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// Part is the part of a notebook that something is in.
type Part string

// The parts.
const (
	InSource     Part = "source"
	InOutput     Part = "output"
	InMetadata   Part = "metadata" // of a cell or of the notebook
	InAttachment Part = "attachment"
	InOther      Part = "other"
)

// The parts in brief.
const (
	other uint8 = iota
	source
	output
	metadata
	attachment
)

var parts = [...]Part{other: InOther, source: InSource, output: InOutput, metadata: InMetadata, attachment: InAttachment}

// The kinds of texts.
const (
	plain  uint8 = iota
	joined       // a multi-line string
	base64       // a multi-line string that is base64
	key          // an object's name
	number       // a long whole number, without quotes
)

// text is a Text in brief; its strings end where those of the next text begin.
type text struct {
	first      uint32 // index of its first string
	cell       int32
	part, kind uint8
}

// span is the inside of a JSON string, without its quotes. The high bit of end
// says that the string holds escapes.
type span struct{ start, end uint32 }

const escapedBit = 1 << 31

func (s span) bytes(src []byte) []byte { return src[s.start : s.end&^escapedBit] }
func (s span) escaped() bool           { return s.end&escapedBit != 0 }

// word returns the decoded string, which is short.
func (s span) word(src []byte) string {
	if !s.escaped() {
		if w, ok := common(s.bytes(src)); ok {
			return w
		}
		return string(s.bytes(src))
	}
	r := Reader{src: src, strings: []span{s}}
	return string(r.Append(nil, len(src)))
}

// Text is a text as a reader of the notebook sees it: one JSON string, the
// joined items of a list, or a number. It is valid as long as the source is not changed.
type Text struct {
	Part   Part
	Cell   int  // index of the cell, -1 outside of every cell
	Name   bool // it is the name of an object's member
	Number bool // it is a whole number of eight digits or more, which only a string can replace
	Lines  bool // it is what nbformat calls a multi-line string: a source, an output's text
	Binary bool // it is base64 of an image or the like, which cannot be edited in part

	src     []byte
	strings []span
}

// Raw returns src as the text that it would be inside one JSON string: a view
// of broken notebooks in which escapes are decoded. What is no escape stands for itself.
func Raw(src []byte) Text {
	return Text{Part: InOther, Cell: -1, src: src, strings: []span{{0, uint32(len(src)) | escapedBit}}}
}

// Texts returns all texts in the order in which they begin in src.
func (n *Notebook) Texts() iter.Seq2[int, Text] {
	return func(yield func(int, Text) bool) {
		for i := range n.texts {
			if !yield(i, n.Text(i)) {
				return
			}
		}
	}
}

// Text returns the text with index i.
func (n *Notebook) Text(i int) Text {
	t, last := n.texts[i], len(n.strings)
	if i+1 < len(n.texts) {
		last = int(n.texts[i+1].first)
	}
	return Text{
		Part: parts[t.part], Cell: int(t.cell), Name: t.kind == key, Number: t.kind == number,
		Lines: t.kind == joined, Binary: t.kind == base64,
		src: n.src, strings: n.strings[t.first:last],
	}
}

// Range returns where the text is in the source, from its first to its last
// quote, which a number does not have. Its decoded form is never longer.
func (t Text) Range() Range {
	r := Range{int(t.strings[0].start), int(t.strings[len(t.strings)-1].end &^ escapedBit)}
	if !t.Number {
		r.Start--
		r.End++
	}
	return r
}

// Verbatim returns the decoded text as a part of the source, if it is one
// string in which nothing needs to be decoded.
func (t Text) Verbatim() ([]byte, bool) {
	if len(t.strings) != 1 {
		return nil, false
	}
	b := t.strings[0].bytes(t.src)
	if t.Binary {
		b = bytes.TrimSuffix(b, []byte(`\n`))
	}
	if t.strings[0].escaped() && bytes.IndexByte(b, '\\') >= 0 {
		return nil, false
	}
	return b, true
}

// AppendTo appends the whole decoded text to dst.
func (t Text) AppendTo(dst []byte) []byte {
	if b, ok := t.Verbatim(); ok {
		return append(dst, b...)
	}
	r, at := t.Reader(), t.Range()
	return r.Append(dst, at.End-at.Start)
}

// Reader returns a Reader at the start of the text.
func (t Text) Reader() Reader { return Reader{src: t.src, strings: t.strings, binary: t.Binary} }

// Reader decodes a Text piece by piece. Escapes are decoded, a lone surrogate
// becomes U+FFFD, invalid UTF-8 stays as it is. Line feeds and carriage
// returns are left out of a binary text.
type Reader struct {
	src     []byte
	strings []span // what is left
	at      int    // what of the first of them was read
	binary  bool
}

// More reports whether anything is left to read.
func (r *Reader) More() bool {
	for len(r.strings) > 0 && r.at == len(r.strings[0].bytes(r.src)) {
		r.strings, r.at = r.strings[1:], 0
	}
	return len(r.strings) > 0
}

// Append appends decoded text to dst, which grows by at most max bytes and the
// length of a character.
func (r *Reader) Append(dst []byte, max int) []byte {
	for limit := len(dst) + max; len(dst) < limit && r.More(); {
		s := r.strings[0].bytes(r.src)[r.at:]
		if !r.strings[0].escaped() {
			n := min(len(s), limit-len(dst))
			dst = append(dst, s[:n]...)
			r.at += n
			continue
		}
		var n int
		dst, n = decode(dst, s, limit, r.binary)
		r.at += n
	}
	return dst
}

// decode appends to dst what s stands for, until dst has limit bytes or one
// character more, and returns how much of s that was.
func decode(dst, s []byte, limit int, binary bool) ([]byte, int) {
	n := 0
	for n < len(s) && len(dst) < limit {
		if s[n] != '\\' {
			size := verbatim(s[n : n+min(len(s)-n, limit-len(dst))])
			dst = append(dst, s[n:n+size]...)
			n += size
			continue
		}
		char, size := Unescape(s[n:])
		if size == 0 {
			char, size = '\\', 1
		}
		switch {
		case char >= utf8.RuneSelf:
			dst = utf8.AppendRune(dst, char)
		case !binary || char != '\n' && char != '\r':
			dst = append(dst, byte(char))
		}
		n += size
	}
	return dst, n
}

// verbatim returns how many bytes of s, which does not begin with an escape,
// there are before the next backslash.
func verbatim(s []byte) int {
	if i := bytes.IndexByte(s[1:], '\\'); i >= 0 {
		return 1 + i
	}
	return len(s)
}

// Unescape decodes the escape that s begins with; n is its length, 0 for none.
// A surrogate that is alone becomes U+FFFD.
func Unescape(s []byte) (char rune, n int) {
	if s[0] != '\\' || len(s) < 2 {
		return 0, 0
	}
	if c := escapes[s[1]]; c != 0 {
		return rune(c), 2
	}
	return unescapeHex(s)
}

func unescapeHex(s []byte) (char rune, n int) {
	char, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(char) {
		return char, 6
	}
	if low, ok := hex4(s[6:]); ok {
		if pair := utf16.DecodeRune(char, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// escapes holds what a character stands for behind a backslash.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
