package wire

import (
	"encoding/json"
	"unicode/utf8"
)

// Header is what the hook needs of a header, section "Message header".
type Header struct {
	MsgType, MsgID, Session string
}

// ScanHeader reads the members of a header that Header has. It checks only
// what it needs in order to find them: of a valid JSON object it says what
// encoding/json would say, with a member that is no string read as ""; of
// anything else it says something, or false. It does not keep b.
func ScanHeader(b []byte) (Header, bool) {
	var h Header
	s := scanner{b: b}
	if !s.take('{') {
		return h, false
	}
	if s.take('}') {
		return h, true
	}
	for {
		name, ok := s.text()
		if !ok || !s.take(':') {
			return Header{}, false
		}
		var field *string
		switch string(name) {
		case "msg_type":
			field = &h.MsgType
		case "msg_id":
			field = &h.MsgID
		case "session":
			field = &h.Session
		}
		if !s.member(field) {
			return Header{}, false
		}
		if s.take('}') {
			return h, true
		}
		if !s.take(',') {
			return Header{}, false
		}
	}
}

type scanner struct {
	b  []byte
	at int
}

// take skips white space and then c, if c is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// peek skips white space and returns the byte that is next, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.b) {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// member reads a value into field, or past it where field is nil or the value no string.
func (s *scanner) member(field *string) bool {
	if s.peek() == '"' && field != nil {
		v, ok := s.text()
		*field = string(v)
		return ok
	}
	if field != nil {
		*field = ""
	}
	return s.skip()
}

// raw reads a string literal and returns it with its quotes.
func (s *scanner) raw() (lit []byte, plain, ok bool) {
	if s.peek() != '"' {
		return nil, false, false
	}
	start := s.at
	plain = true
	for s.at++; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '\\':
			plain = false
			s.at++
		case c == '"':
			s.at++
			return s.b[start:s.at], plain, true
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, false, false
}

// text reads a string; what it returns may be part of b.
func (s *scanner) text() ([]byte, bool) {
	lit, plain, ok := s.raw()
	switch {
	case !ok:
		return nil, false
	case plain:
		return lit[1 : len(lit)-1], true
	}
	var v string
	if json.Unmarshal(lit, &v) != nil {
		return nil, false
	}
	return []byte(v), true
}

// skip reads past one value of any kind.
func (s *scanner) skip() bool {
	for depth := 0; ; {
		switch s.peek() {
		case 0:
			return false
		case '"':
			if _, _, ok := s.raw(); !ok {
				return false
			}
		case '{', '[':
			depth++
			s.at++
			continue
		case '}', ']':
			if depth == 0 {
				return false
			}
			depth--
			s.at++
		case ',', ':':
			if depth == 0 {
				return false
			}
			s.at++
			continue
		default:
			s.literal()
		}
		if depth == 0 {
			return true
		}
	}
}

// literal reads past a number, true, false or null.
func (s *scanner) literal() {
	for s.at++; s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n', ',', ':', '{', '}', '[', ']', '"':
			return
		}
	}
}
