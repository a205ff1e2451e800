package api

import (
	"encoding/binary"
	"errors"

	"github.com/nbhush/nbhush/agent/match"
)

var errResult = errors.New("malformed match result")

// AppendResult appends r in the form of the stream:
//
//	tail uint32 | count uint32 | count × (start uint32 | end uint32 | name length uint8 | name)
func AppendResult(dst []byte, r match.Result) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Tail))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.Spans)))
	for _, s := range r.Spans {
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.Start))
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.End))
		dst = append(dst, byte(len(s.Name)))
		dst = append(dst, s.Name...)
	}
	return dst
}

// ParseResult reads what AppendResult wrote about a text of textLen bytes, and
// refuses what cannot be true of it, so that no caller slices out of range.
func ParseResult(b []byte, textLen int) (match.Result, error) {
	var r match.Result
	if len(b) < 8 {
		return r, errResult
	}
	tail, count := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
	b = b[8:]
	if tail > textLen || count > len(b)/9 {
		return r, errResult
	}
	r.Tail = tail
	at := 0
	for range count {
		if len(b) < 9 || len(b) < 9+int(b[8]) {
			return r, errResult
		}
		s := match.Span{
			Start: int(binary.BigEndian.Uint32(b)),
			End:   int(binary.BigEndian.Uint32(b[4:])),
			Name:  string(b[9 : 9+int(b[8])]),
		}
		if s.Start < at || s.End <= s.Start || s.End > textLen {
			return r, errResult
		}
		at = s.End
		r.Spans = append(r.Spans, s)
		b = b[9+len(s.Name):]
	}
	if len(b) != 0 {
		return r, errResult
	}
	return r, nil
}
