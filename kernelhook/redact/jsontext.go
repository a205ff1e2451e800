package redact

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// minText is the length in bytes below which no text can hold a match by
// itself: the matcher knows no value shorter than this.
const minText = 8

// leaf is one string of a JSON text, by its place in the source.
type leaf struct {
	start, end int    // of the literal, without its quotes
	name       bool   // a member's name, not a value
	depth      int    // 1: a member of the root object
	key        string // the name of the member that it is the value of
	object     int    // offset of the { around it, -1 in a list
	member     int    // offset of that member's name
}

// errNotJSON is what leaves says of a text that it cannot find its way through.
var errNotJSON = errors.New("not JSON")

// maxDepth is how deep JSON may be nested.
const maxDepth = 10_000

// level is an open object or list.
type level struct {
	object bool
	open   int // offset of its { or [
	member int // offset of the name last read
	key    []byte
	name   bool // a name comes next
}

// leaves calls visit for every string of the JSON text b, in order. It decodes
// nothing and checks only what it needs to tell strings, names and nesting: a
// library that checks everything took a quarter of the time that 200 MB of
// output need. What else Python writes, such as NaN, is no obstacle.
func leaves(b []byte, visit func(leaf)) error {
	stack := make([]level, 1, 8)
	for i := 0; i < len(b); {
		top := &stack[len(stack)-1]
		switch b[i] {
		case '"':
			end := closingQuote(b, i+1)
			if end < 0 {
				return errNotJSON
			}
			l := leaf{start: i + 1, end: end, depth: len(stack) - 1, object: -1}
			if top.object && top.name {
				l.name, top.name = true, false
				top.key, top.member = b[i+1:end], i
			} else if top.object {
				l.key, l.object, l.member = string(top.key), top.open, top.member
			}
			visit(l)
			i = end
		case '{', '[':
			if len(stack) > maxDepth {
				return errNotJSON
			}
			stack = append(stack, level{object: b[i] == '{', name: true, open: i})
		case '}', ']':
			if len(stack) == 1 || top.object != (b[i] == '}') {
				return errNotJSON
			}
			stack = stack[:len(stack)-1]
		case ',':
			top.name = true
		}
		i++
	}
	if len(stack) != 1 {
		return errNotJSON
	}
	return nil
}

// closingQuote returns the offset of the quote that ends the string whose
// inside begins at start, or -1.
func closingQuote(b []byte, start int) int {
	for at := start; ; {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		end := at + n
		slashes := 0
		for end-slashes > at && b[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		at = end + 1
	}
}

// unit reads one character of the inside of a JSON string literal: its length
// in the source and the bytes that it stands for. What is no valid escape
// stands for itself.
func unit(raw []byte, buf *[4]byte) (n int, text []byte) {
	if raw[0] != '\\' || len(raw) == 1 {
		return 1, raw[:1]
	}
	switch raw[1] {
	case 'b':
		buf[0] = '\b'
	case 'f':
		buf[0] = '\f'
	case 'n':
		buf[0] = '\n'
	case 'r':
		buf[0] = '\r'
	case 't':
		buf[0] = '\t'
	case 'u':
		r, ok := hex4(raw)
		if !ok {
			return 1, raw[:1]
		}
		n = 6
		if utf16.IsSurrogate(r) {
			low, _ := hex4(raw[6:])
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				n = 12
			}
		}
		return n, utf8.AppendRune(buf[:0], r)
	default:
		buf[0] = raw[1]
	}
	return 2, buf[:1]
}

func hex4(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(v), err == nil
}

// unescape appends what raw, the inside of a JSON string literal, stands for
// until dst has at least limit bytes or raw ends. It returns how far it read.
func unescape(dst, raw []byte, limit int) ([]byte, int) {
	var buf [4]byte
	at := 0
	for at < len(raw) && len(dst) < limit {
		plain := raw[at:min(len(raw), at+limit-len(dst))]
		if i := bytes.IndexByte(plain, '\\'); i >= 0 {
			plain = plain[:i]
		}
		dst = append(dst, plain...)
		if at += len(plain); at < len(raw) && raw[at] == '\\' && len(dst) < limit {
			n, text := unit(raw[at:], &buf)
			dst = append(dst, text...)
			at += n
		}
	}
	return dst, at
}

// sourceOffset walks raw from the source offset at, which is the text offset
// text, to the text offset want. It returns the source offsets of the start
// and the end of the character that holds want (both the same between two
// characters) and the text offset of the start.
func sourceOffset(raw []byte, at, text, want int) (start, end, textStart int) {
	var buf [4]byte
	for text < want && at < len(raw) {
		plain := raw[at:min(len(raw), at+want-text)]
		if i := bytes.IndexByte(plain, '\\'); i >= 0 {
			plain = plain[:i]
		}
		at, text = at+len(plain), text+len(plain)
		if text < want && at < len(raw) {
			n, t := unit(raw[at:], &buf)
			if text+len(t) > want {
				return at, at + n, text
			}
			at, text = at+n, text+len(t)
		}
	}
	return at, at, text
}

// wholeRunes widens raw[start:end] so that it cuts no UTF-8 sequence in two.
func wholeRunes(raw []byte, start, end int) (int, int) {
	for i := 0; i < utf8.UTFMax-1 && start > 0 && start < len(raw) && !utf8.RuneStart(raw[start]); i++ {
		start--
	}
	for i := 0; i < utf8.UTFMax-1 && end < len(raw) && !utf8.RuneStart(raw[end]); i++ {
		end++
	}
	return start, end
}

// quoteInside returns s as the inside of a JSON string literal.
func quoteInside(s string) []byte {
	lit, err := jsontext.AppendQuote(nil, s)
	if err != nil { // invalid UTF-8, which AppendQuote has replaced
		lit, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return lit[1 : len(lit)-1]
}

// binaryMime reports whether the data of a mimetype is base64 and makes no
// sense with a piece cut out.
func binaryMime(key string) bool {
	kind, sub, ok := strings.Cut(key, "/")
	switch {
	case !ok || strings.HasSuffix(sub, "xml") || strings.HasSuffix(sub, "json"):
		return false
	case kind == "image" || kind == "audio" || kind == "video" || kind == "font":
		return true
	}
	return key == "application/pdf" || key == "application/octet-stream"
}

// decodeBase64 returns the bytes behind the inside of a JSON string literal, as
// far as they are base64.
func decodeBase64(raw []byte) []byte {
	text, _ := unescape(nil, raw, 2*len(raw))
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, _ := base64.StdEncoding.Decode(out, text) // passes over \r and \n
	return out[:n]
}

// member is one member of a JSON object, by offsets in the source.
type member struct {
	key                      string
	start, valueStart, close int
}

// members lists the members of the object that starts at open.
func members(b []byte, open int) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(b[open:]), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var out []member
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		m := member{key: string(name[1 : len(name)-1]), start: open + int(dec.InputOffset()) - len(name)}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		m.close = open + int(dec.InputOffset())
		m.valueStart = m.close - len(value)
		out = append(out, m)
	}
	return out, nil
}
