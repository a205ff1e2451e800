package notebook

import (
	"math"
	"math/bits"
	"strconv"
)

// maxDepth is how deep arrays and objects may nest; Python's parser gives up earlier.
const maxDepth = 10_000

// maxSize is the largest source, in bytes: offsets are kept in 31 bits.
const maxSize = math.MaxInt32

// lexer walks over the JSON text src and checks its grammar. Its methods
// expect pos at the first byte of what they read and leave it behind the last.
type lexer struct {
	src   []byte
	pos   int
	depth int
}

func (l *lexer) fail(reason string) error {
	return newError(l.src, l.pos, reason)
}

// peek skips white space and returns the byte at pos, 0 at the end of src.
func (l *lexer) peek() byte {
	if l.pos < len(l.src) && l.src[l.pos] > ' ' {
		return l.src[l.pos]
	}
	return l.space()
}

func (l *lexer) space() byte {
	const spaces = 0x2020202020202020
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; c {
		case ' ', '\r', '\t':
			l.pos++
		case '\n':
			for l.pos++; l.pos+8 <= len(l.src); l.pos += 8 { // the indent
				if m := word(l.src[l.pos:]) ^ spaces; m != 0 {
					l.pos += bits.TrailingZeros64(m) / 8
					break
				}
			}
		default:
			return c
		}
	}
	return 0
}

// expect skips white space and the byte c.
func (l *lexer) expect(c byte) error {
	if l.peek() != c {
		return l.unexpected(quoted(c))
	}
	l.pos++
	return nil
}

func (l *lexer) unexpected(want string) error {
	if l.pos >= len(l.src) {
		return l.fail("the file ends where " + want + " should be")
	}
	return l.fail(want + " should be where something else is")
}

func quoted(c byte) string { return strconv.QuoteRune(rune(c)) }

// str reads a string.
func (l *lexer) str() (span, error) {
	l.pos++
	start := l.pos
	var escaped uint32
	for {
		if l.pos < len(l.src) && l.src[l.pos] != '"' { // often it comes behind an escape
			l.pos = special(l.src, l.pos)
		}
		if l.pos >= len(l.src) {
			return span{}, l.fail("the file ends inside a string")
		}
		switch l.src[l.pos] {
		case '"':
			l.pos++
			return span{uint32(start), uint32(l.pos-1) | escaped}, nil
		case '\\':
			escaped = escapedBit
			if l.pos+1 < len(l.src) && escapes[l.src[l.pos+1]] != 0 {
				l.pos += 2
				continue
			}
			_, n := Unescape(l.src[l.pos:])
			if n == 0 {
				return span{}, l.fail("a string holds an unknown escape")
			}
			l.pos += n
		default:
			return span{}, l.fail("a string holds a control character")
		}
	}
}

// special returns the index of the first quote, backslash or control character
// at or after i.
func special(src []byte, i int) int {
	if i+8 <= len(src) { // most strings are short
		if m := specials(word(src[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	for ; i+32 <= len(src); i += 32 {
		b := src[i : i+32]
		m0, m1, m2, m3 := specials(word(b)), specials(word(b[8:])), specials(word(b[16:])), specials(word(b[24:]))
		if m0|m1|m2|m3 == 0 {
			continue
		}
		switch {
		case m0 != 0:
			return i + bits.TrailingZeros64(m0)/8
		case m1 != 0:
			return i + 8 + bits.TrailingZeros64(m1)/8
		case m2 != 0:
			return i + 16 + bits.TrailingZeros64(m2)/8
		}
		return i + 24 + bits.TrailingZeros64(m3)/8
	}
	for ; i+8 <= len(src); i += 8 {
		if m := specials(word(src[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(src); i++ {
		if c := src[i]; c < ' ' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(src)
}

// word is binary.LittleEndian.Uint64, whose package needs fifty others.
func word(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// specials returns a word that has the high bit of a byte set where x has a
// quote, backslash or control character. The lowest one that is set is exact; a
// borrow from it can only make a higher one wrong. With its second bit turned a
// byte is below 0x21 if it is a control character or, as 0x20, the quote.
func specials(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	low, slash := x^2*ones, x^'\\'*ones
	return ((low - 0x21*ones) | (slash - ones)) &^ x & highs
}

// hex4 returns the number of the escape \uXXXX at the start of b.
func hex4(b []byte) (v rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}

// scalar reads a number, true, false, null, NaN or Infinity.
func (l *lexer) scalar() error {
	rest := l.src[l.pos:]
	n := numberLen(rest)
	if n == 0 {
		n = wordLen(rest)
	}
	if n == 0 {
		return l.unexpected("a value")
	}
	l.pos += n
	return nil
}

// wordLen returns the length of the word at the start of b, 0 for none that Python's parser knows.
func wordLen(b []byte) int {
	for _, word := range []string{"null", "true", "false", "NaN", "Infinity", "-Infinity"} {
		if len(b) >= len(word) && string(b[:len(word)]) == word {
			return len(word)
		}
	}
	return 0
}

// numberLen returns the length of the number at the start of b (RFC 8259, section 6), 0 for none.
func numberLen(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	n := skipDigits(b, i)
	if n == i || (b[i] == '0' && n > i+1) {
		return 0
	}
	if n < len(b) && b[n] == '.' {
		i = n + 1
		if n = skipDigits(b, i); n == i {
			return 0
		}
	}
	if n < len(b) && b[n]|0x20 == 'e' {
		i = n + 1
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if n = skipDigits(b, i); n == i {
			return 0
		}
	}
	return n
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

// array reads an array; item reads one value of it.
func (l *lexer) array(item func() error) error { return l.list(']', item) }

// object reads an object; member reads one member of it.
func (l *lexer) object(member func() error) error {
	return l.list('}', member)
}

// list reads items with commas between them up to the closing bracket.
func (l *lexer) list(closing byte, item func() error) error {
	more, err := l.enter(closing)
	for more && err == nil {
		if err = item(); err == nil {
			more, err = l.next(closing)
		}
	}
	return err
}

// enter reads the opening bracket of an array or object, and the closing one if there is nothing between.
func (l *lexer) enter(closing byte) (more bool, err error) {
	l.pos++
	if l.depth++; l.depth > maxDepth {
		return false, l.fail("arrays and objects nest deeper than " + strconv.Itoa(maxDepth))
	}
	if l.peek() == closing {
		l.pos++
		l.depth--
		return false, nil
	}
	return true, l.named(closing)
}

// next reads what is behind an item: a comma or the closing bracket.
func (l *lexer) next(closing byte) (more bool, err error) {
	switch l.peek() {
	case ',':
		l.pos++
		return true, l.named(closing)
	case closing:
		l.pos++
		l.depth--
		return false, nil
	}
	return false, l.unexpected("a comma or " + quoted(closing))
}

// named checks that a member of an object begins with a name.
func (l *lexer) named(closing byte) error {
	if closing == '}' && l.peek() != '"' {
		return l.unexpected("a name")
	}
	return nil
}

// skip reads any value. It keeps the brackets that are open itself: to be called for each took longer.
func (l *lexer) skip() error {
	var few [64]byte
	open := few[:0] // what closes them
	for {
		more, err := false, error(nil)
		switch c := l.peek(); c {
		case '"':
			_, err = l.str()
		case '{', '[':
			open = append(open, c+2)
			more, err = l.enter(c + 2)
			if !more {
				open = open[:len(open)-1]
			}
		default:
			err = l.scalar()
		}
		for !more && err == nil {
			if len(open) == 0 {
				return nil
			}
			if more, err = l.next(open[len(open)-1]); !more {
				open = open[:len(open)-1]
			}
		}
		if err == nil && open[len(open)-1] == '}' {
			if _, err = l.str(); err == nil {
				err = l.expect(':')
			}
		}
		if err != nil {
			return err
		}
	}
}
