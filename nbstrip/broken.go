package nbstrip

import (
	"bytes"
	"context"
	"math"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// maxText is the largest file that is searched as text, in bytes: offsets have
// 31 bits, and what came as UTF-16 may grow by half.
const maxText = math.MaxInt32 / 2

// checkText passes src, which is no notebook, if f finds nothing in it: neither
// as it is nor with the escapes of JSON decoded.
func checkText(ctx context.Context, src []byte, f match.Finder, o Options, cause *notebook.NotNotebookError) (Result, error) {
	if len(src) > maxText {
		return Result{}, &UnsafeError{Line: 1, Cause: cause}
	}
	s := newSearcher(ctx, f, 0)
	text := fromUTF16(src)
	whole := func() []byte { return text }
	spans, err := s.findBytes(text)
	if err != nil {
		return Result{}, err
	}
	spans = o.exceptSpans(spans, false, whole)
	if bytes.IndexByte(text, '\\') >= 0 && len(spans) == 0 {
		if spans, err = s.findEscaped(text); err != nil {
			return Result{}, err
		}
		spans = o.exceptSpans(spans, false, whole)
	}
	if len(spans) == 0 {
		return Result{Out: src}, nil
	}
	e := &UnsafeError{Cause: cause, Line: (&lines{src: text}).of(spans[0].Start)}
	for _, span := range spans {
		if !slices.Contains(e.Names, span.Name) {
			e.Names = append(e.Names, span.Name)
		}
	}
	return Result{}, e
}

// findEscaped returns what is in text once its escapes are decoded, as spans of text.
func (s *searcher) findEscaped(text []byte) ([]match.Span, error) {
	t := notebook.Raw(text)
	spans, err := s.findText(t)
	if err != nil || len(spans) == 0 {
		return nil, err
	}
	m := t.Map()
	for i, span := range spans {
		ranges := m.Ranges(span.Start, span.End)
		spans[i].Start, spans[i].End = ranges[0].Start, ranges[len(ranges)-1].End
	}
	return spans, nil
}

// fromUTF16 returns text as UTF-8 if it begins with the byte order mark of
// UTF-16, as files that came out of a Windows console do; otherwise text itself.
func fromUTF16(text []byte) []byte {
	var order func(a, b byte) uint16
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = func(a, b byte) uint16 { return uint16(b)<<8 | uint16(a) }
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = func(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }
	default:
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 2; i+1 < len(text); i += 2 {
		r := rune(order(text[i], text[i+1]))
		if utf16.IsSurrogate(r) && i+3 < len(text) {
			if pair := utf16.DecodeRune(r, rune(order(text[i+2], text[i+3]))); pair != utf8.RuneError {
				r = pair
				i += 2
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
