package match

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// form is one value in one encoding, while a Set is built.
type form struct {
	text []byte
	// at[i] is where the encoding of byte i of the value begins in text, and
	// at[len(value)] is len(text). It is nil for base64, where a character
	// has bits of two bytes.
	at []int32
	// heft is the weight of each byte of text, in halves of a byte.
	heft []uint8
	// class tells what forms are worth comparing: two of one class have long
	// stretches in common.
	class class
	edge  edge
}

type class uint8

const (
	classText class = iota
	classHex
	classHEX
	classBase64 // and the two after it, by alignment
)

// edge is what base64 characters of a form depend on text beside the value.
// The form's text ends with such a character, as it is when nothing follows,
// and padding; pad is their number. Of the characters before the text and in
// the place of the last one, only the bits of the masks belong to the value.
type edge struct {
	pad                  uint8
	leftMask, leftBits   uint8
	rightMask, rightBits uint8
}

// core is the length of the part of f that depends on the value alone. A
// match of it is a match of the whole value.
func (f *form) core() int { return len(f.text) - int(f.edge.pad) }

// encoder appends the encoding of the first character of src to dst and
// returns dst and the number of bytes of src that it has encoded, at least 1.
type encoder struct {
	encode func(dst, src []byte) ([]byte, int)
	// most is the greatest weight of one encoded byte of a value, in bytes.
	most int
}

// textEncoders are the encodings that leave most of a value legible, and the
// value itself. Two encoders in a row are an encoding of an encoding.
var textEncoders = [][]encoder{
	{{encodeRaw, 1}},
	{jsonEncoder(false, false)},
	{jsonEncoder(false, true)},
	{jsonEncoder(true, false)},
	{jsonEncoder(true, true)},
	{jsonEncoder(false, false), jsonEncoder(false, false)},
	{jsonEncoder(false, true), jsonEncoder(false, true)},
	{jsonEncoder(true, false), jsonEncoder(true, false)},
	{jsonEncoder(true, true), jsonEncoder(true, true)},
	{urlEncoder("_.-~/", false, upper)},
	{urlEncoder("_.-~/", false, lower)}, // Python's quote
	{urlEncoder("_.-~", false, upper)},
	{urlEncoder("_.-~", false, lower)}, // with safe=''
	{urlEncoder("_.-~", true, upper)},
	{urlEncoder("_.-~", true, lower)}, // quote_plus
	{urlEncoder("-_.!~*'()", false, upper)},
	{urlEncoder("-_.!~*'()", false, lower)}, // encodeURIComponent
	{htmlEncoder("", "")},
	{htmlEncoder("&quot;", "")},
	{htmlEncoder("&quot;", "&#x27;")},
	{htmlEncoder("&quot;", "&#39;")},
	{htmlEncoder("&#34;", "&#39;")},
	{reprEncoder(false, false)},
	{reprEncoder(true, false)},
	{reprEncoder(false, true)},
	{reprEncoder(true, true)},
	{bytesEncoder(false)},
	{bytesEncoder(true)},
}

const (
	lower = "0123456789abcdef"
	upper = "0123456789ABCDEF"
	// growth is how many times longer than a text its encoding is, at most.
	growth = 6
)

// formsOf returns the distinct forms of a value. heft is the weight of its
// bytes, in halves. The caller owns the forms and wipes their text.
func formsOf(value []byte, heft []uint8) []form {
	var fs []form
	var room scratch
	defer room.wipe()
	add := func(f form) {
		f.trimLines()
		known := slices.ContainsFunc(fs, func(g form) bool { return g.edge == f.edge && bytes.Equal(g.text, f.text) })
		if known || f.core() < MinLen {
			clear(f.text)
			return
		}
		dropRuns(f.text, f.heft)
		fs = append(fs, f)
	}
	whole := value
	for {
		isText := utf8.Valid(value)
		for _, chain := range textEncoders {
			add(room.encodeText(value, heft, chain, isText))
		}
		add(encodeHex(value, heft, lower, classHex, isText))
		add(encodeHex(value, heft, upper, classHEX, isText))
		for shift := range 3 {
			add(encodeBase64(value, heft, base64.StdEncoding, shift))
			add(encodeBase64(value, heft, base64.URLEncoding, shift))
		}
		value = bytes.TrimRight(whole, "\r\n")
		if len(value) == len(whole) {
			return fs
		}
		whole = value
	}
}

// scratch is room for the steps of encodeText.
type scratch struct {
	text [2][]byte
	at   []int32
}

func (r *scratch) wipe() {
	for _, t := range r.text {
		clear(t[:cap(t)])
	}
}

// encodeText runs value through encoders, one after the other.
func (r *scratch) encodeText(value []byte, heft []uint8, chain []encoder, isText bool) form {
	f := form{class: classText, at: make([]int32, len(value)+1)}
	for i := range f.at {
		f.at[i] = int32(i)
	}
	src := value
	for n, e := range chain {
		if cap(r.text[n]) < growth*len(src) {
			clear(r.text[n])
			r.text[n] = make([]byte, 0, growth*len(src))
		}
		if len(r.at) <= len(src) {
			r.at = make([]int32, len(src)+1)
		}
		text := r.text[n][:0]
		for i := 0; i < len(src); {
			var k int
			r.at[i] = int32(len(text))
			text, k = e.encode(text, src[i:])
			for j := 1; j <= k; j++ {
				r.at[i+j] = int32(len(text))
			}
			i += k
		}
		for i := range f.at {
			f.at[i] = r.at[f.at[i]]
		}
		src = text
	}
	f.text = bytes.Clone(src)
	f.heft = carry(value, heft, f.at, chain[len(chain)-1].most, isText)
	return f
}

func encodeHex(value []byte, heft []uint8, digits string, c class, isText bool) form {
	f := form{class: c, text: make([]byte, 0, 2*len(value)), at: make([]int32, len(value)+1)}
	for i, b := range value {
		f.text = append(f.text, digits[b>>4], digits[b&15])
		f.at[i+1] = int32(len(f.text))
	}
	f.heft = carry(value, heft, f.at, 2, isText)
	return f
}

// carry returns the weights of an encoding from those of the value. Each
// encoded byte weighs what its byte of the value does, but those of one byte
// at most most times as much, and those of a character that is not ASCII no
// more than the character: \u043f is one letter, not six.
func carry(value []byte, heft []uint8, at []int32, most int, isText bool) []uint8 {
	out := make([]uint8, at[len(value)])
	for i := 0; i < len(value); {
		sum, end := int(heft[i]), i+1
		for end < len(value) && at[end] == at[end+1] { // encoded with byte i
			sum += int(heft[end])
			end++
		}
		w, left := int(heft[i]), sum
		if value[i] < utf8.RuneSelf || !isText {
			left = w * most
		}
		for j := at[i]; j < at[end]; j++ {
			out[j] = uint8(max(0, min(w, left)))
			left -= w
		}
		i = end
	}
	return out
}

// encodeBase64 encodes value as it is encoded behind shift other bytes, and
// before the end or more text.
func encodeBase64(value []byte, heft []uint8, enc *base64.Encoding, shift int) form {
	src := make([]byte, shift+len(value))
	copy(src[shift:], value)
	text := make([]byte, enc.EncodedLen(len(src)))
	enc.Encode(text, src)
	clear(src)

	first, end := (8*shift+5)/6, 8*len(src)/6 // of the characters that depend on value alone
	f := form{class: classBase64 + class(shift), text: text[first:]}
	f.edge.pad = uint8(len(text) - end)
	if first > 0 {
		f.edge.leftMask = 1<<(6*first-8*shift) - 1
		f.edge.leftBits = sextet(text[first-1]) & f.edge.leftMask
	}
	if known := 8*len(src) - 6*end; known > 0 {
		f.edge.rightMask = 0x3F &^ (1<<(6-known) - 1)
		f.edge.rightBits = sextet(text[end]) & f.edge.rightMask
	}
	f.heft = make([]uint8, len(f.text))
	for i := range f.heft {
		bit := 6*(first+i) - 8*shift
		if bit < 8*len(value) {
			f.heft[i] = max(heft[bit/8], heft[min((bit+5)/8, len(value)-1)])
		}
	}
	clear(text[:first])
	return f
}

// sextet returns the six bits that c stands for in base64, either alphabet,
// or 0xFF.
func sextet(c byte) uint8 {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A'
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26
	case '0' <= c && c <= '9':
		return c - '0' + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return 0xFF
}

// trimLines cuts off what a match of f would leave out: see shortLines.
func (f *form) trimLines() {
	lo, hi := shortLines(f.text)
	if lo == 0 && hi == len(f.text) {
		return
	}
	clear(f.text[:lo])
	clear(f.text[hi:])
	f.text, f.heft = f.text[lo:hi], f.heft[lo:hi]
	for i := range f.at {
		f.at[i] = min(max(f.at[i]-int32(lo), 0), int32(hi-lo))
	}
}

// shortLines returns the part of b that is left without lines of fewer than
// MinLen bytes at its start and end, if it has more than one line. Without
// this rule the newline that ends a print would be the start of a match of
// any value with several lines, and would have to wait for what follows.
func shortLines(b []byte) (lo, hi int) {
	hi = len(b)
	for {
		i := bytes.IndexByte(b[lo:min(lo+MinLen, hi)], '\n')
		if i < 0 {
			break
		}
		lo += i + 1
	}
	for {
		i := bytes.LastIndexByte(b[max(lo, hi-MinLen):hi], '\n')
		if i < 0 {
			return lo, hi
		}
		hi = max(lo, hi-MinLen) + i
	}
}

func encodeRaw(dst, src []byte) ([]byte, int) { return append(dst, src[0]), 1 }

// jsonEncoder escapes as in RFC 8259, section 7, and as Python does where that
// leaves a choice: lower-case hex, surrogate escapes for what is not UTF-8.
func jsonEncoder(ascii, slash bool) encoder {
	short := map[byte]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	if slash {
		short['/'] = `\/`
	}
	return encoder{func(dst, src []byte) ([]byte, int) {
		c := src[0]
		if s := short[c]; s != "" {
			return append(dst, s...), 1
		}
		if c < ' ' || ascii && c == 0x7F {
			return fmt.Appendf(dst, `\u%04x`, c), 1
		}
		if !ascii || c < utf8.RuneSelf {
			return append(dst, c), 1
		}
		r, n := utf8.DecodeRune(src)
		switch {
		case r == utf8.RuneError && n == 1:
			return fmt.Appendf(dst, `\udc%02x`, c), 1
		case r > 0xFFFF:
			r -= 0x10000
			return fmt.Appendf(dst, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF), n
		}
		return fmt.Appendf(dst, `\u%04x`, r), n
	}, growth}
}

// urlEncoder escapes as in RFC 3986, section 2.1, all but letters, digits and safe.
func urlEncoder(safe string, plus bool, digits string) encoder {
	return encoder{func(dst, src []byte) ([]byte, int) {
		c := src[0]
		switch {
		case isAlnum(c) || strings.IndexByte(safe, c) >= 0:
			return append(dst, c), 1
		case plus && c == ' ':
			return append(dst, '+'), 1
		}
		return append(dst, '%', digits[c>>4], digits[c&15]), 1
	}, 3}
}

// htmlEncoder replaces &, < and >, and quotes where a replacement is given.
// An entity weighs three bytes at most, as two of them say little.
func htmlEncoder(double, single string) encoder {
	entity := map[byte]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': double, '\'': single}
	return encoder{func(dst, src []byte) ([]byte, int) {
		if s := entity[src[0]]; s != "" {
			return append(dst, s...), 1
		}
		return append(dst, src[0]), 1
	}, 3}
}

// reprEncoder writes what stands between the quotes of Python's repr of a str,
// or of its ascii.
func reprEncoder(quote, ascii bool) encoder {
	return encoder{func(dst, src []byte) ([]byte, int) {
		if src[0] < utf8.RuneSelf {
			return reprASCII(dst, src[0], quote), 1
		}
		r, n := utf8.DecodeRune(src)
		switch {
		case r == utf8.RuneError && n == 1:
			return fmt.Appendf(dst, `\udc%02x`, src[0]), 1
		case unicode.IsPrint(r) && !ascii:
			return append(dst, src[:n]...), n
		case r <= 0xFF:
			return fmt.Appendf(dst, `\x%02x`, r), n
		case r <= 0xFFFF:
			return fmt.Appendf(dst, `\u%04x`, r), n
		}
		return fmt.Appendf(dst, `\U%08x`, r), n
	}, growth}
}

// bytesEncoder writes what stands between the quotes of Python's repr of bytes.
func bytesEncoder(quote bool) encoder {
	return encoder{func(dst, src []byte) ([]byte, int) {
		if src[0] < utf8.RuneSelf {
			return reprASCII(dst, src[0], quote), 1
		}
		return fmt.Appendf(dst, `\x%02x`, src[0]), 1
	}, growth}
}

func reprASCII(dst []byte, c byte, quote bool) []byte {
	switch {
	case c == '\\', c == '\'' && quote:
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\t':
		return append(dst, `\t`...)
	case c < ' ' || c == 0x7F:
		return fmt.Appendf(dst, `\x%02x`, c)
	}
	return append(dst, c)
}

func isAlnum(c byte) bool { return isLetter(c) || isDigit(c) }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
