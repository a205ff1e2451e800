package detect

import (
	"bytes"
	"math"
)

var (
	isToken  = charSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/=~") // of the secrets of most formats
	isBase64 = charSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=")
	isWord   = charSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
	isLabel  = charSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
	isHex    = charSet("0123456789abcdefABCDEF")
)

func charSet(chars string) (set [256]bool) {
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLower(c byte) bool  { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isLower(c | 0x20) }
func isAlnum(c byte) bool  { return isLetter(c) || isDigit(c) }
func isBlank(c byte) bool  { return c == ' ' || c == '\t' }
func isSpace(c byte) bool  { return c == ' ' || '\t' <= c && c <= '\r' }

// entropy is Shannon's, in bits a byte.
func entropy(b []byte) float64 {
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	h := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(b))
			h -= p * math.Log2(p)
		}
	}
	return h
}

// shape is what a value is made of.
type shape struct {
	lower, upper, digit, sign, space, other int
	turns                                   int // between letters and digits
}

func shapeOf(b []byte) (s shape) {
	for i, c := range b {
		switch {
		case isLower(c):
			s.lower++
		case isUpper(c):
			s.upper++
		case isDigit(c):
			s.digit++
		case isSpace(c):
			s.space++
		case c > ' ' && c < 0x7f:
			s.sign++
		default:
			s.other++
		}
		if i > 0 && (isDigit(c) && isLetter(b[i-1]) || isLetter(c) && isDigit(b[i-1])) {
			s.turns++
		}
	}
	return s
}

func (s shape) letters() int { return s.lower + s.upper }

// classes is how many of lower, upper, digits and signs there are.
func (s shape) classes() (n int) {
	for _, k := range []int{s.lower, s.upper, s.digit, s.sign} {
		if k > 0 {
			n++
		}
	}
	return n
}

// random reports whether b looks as if made by a machine: names and numbers
// have long pieces of letters and of digits, keys change between the two.
func random(b []byte) bool {
	if len(b) < 16 || len(b) > 4096 || entropy(b) < 3 {
		return false
	}
	if isUUID(b) {
		return true
	}
	piece := longestPiece(b)
	s := shapeOf(piece)
	if len(piece) < 12 || s.space+s.other > 0 {
		return false
	}
	return s.digit >= 2 && s.letters() >= 2 && s.turns >= 3 || len(piece) >= 24 && s.digit > 0 && mixesCase(piece)
}

// mixesCase reports whether letters change their case as no names do: in
// camelCase a small letter seldom stands alone between two capitals, nor two capitals together.
func mixesCase(b []byte) bool {
	alone, together, changes := 0, 0, 0
	for i := 1; i < len(b); i++ {
		if isUpper(b[i-1]) && isLower(b[i]) || isLower(b[i-1]) && isUpper(b[i]) {
			changes++
		}
		if isUpper(b[i-1]) && isUpper(b[i]) {
			together++
		}
		if i >= 2 && isUpper(b[i-2]) && isLower(b[i-1]) && isUpper(b[i]) {
			alone++
		}
	}
	return alone >= 2 && together >= 2 && changes*4 >= len(b)
}

// longestPiece returns the longest piece of b without separators.
func longestPiece(b []byte) (longest []byte) {
	for len(b) > 0 {
		n := bytes.IndexAny(b, "-_./: ,=|\\")
		if n < 0 {
			n = len(b)
		}
		if n > len(longest) {
			longest = b[:n]
		}
		b = b[min(n+1, len(b)):]
	}
	return longest
}

func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isHex[c] {
			return false
		}
	}
	return true
}

// maxLine is how far a line is looked at: some outputs are one line of megabytes.
const maxLine = 4096

// lineOf returns the line of text that [start, end) is in, or lines, but no
// more than maxLine bytes before and behind.
func lineOf(text []byte, start, end int) (from, to int) {
	near := max(0, start-maxLine)
	from = near + bytes.LastIndexByte(text[near:start], '\n') + 1
	to = min(len(text), end+maxLine)
	if i := bytes.IndexByte(text[end:to], '\n'); i >= 0 {
		to = end + i
	}
	return from, to
}
