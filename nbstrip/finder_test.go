package nbstrip

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"github.com/nbhush/nbhush/agent/match"
)

// finder finds values, by their names, as they are and in base64. It is slow and plain.
type finder map[string]string

func (f finder) Find(_ context.Context, text []byte) (match.Result, error) {
	var r match.Result
	longest := 0
	for name, value := range f {
		for _, form := range forms(value) {
			longest = max(longest, len(form))
			for at := 0; ; at++ {
				i := bytes.Index(text[at:], []byte(form))
				if i < 0 {
					break
				}
				at += i
				r.Spans = append(r.Spans, match.Span{Start: at, End: at + len(form), Name: name})
			}
		}
	}
	r.Spans = disjoint(r.Spans)
	r.Tail = min(len(text), max(longest-1, 0))
	for _, s := range r.Spans {
		if s.End > len(text)-r.Tail {
			r.Tail = max(r.Tail, len(text)-s.Start)
		}
	}
	return r, nil
}

// forms returns value and what of it stays the same in base64 at each alignment.
func forms(value string) []string {
	all := []string{value}
	for pad := range 3 {
		b := base64.StdEncoding.EncodeToString(append(make([]byte, pad), value...))
		from, to := []int{0, 2, 3}[pad], len(b)-[]int{0, 3, 2}[(pad+len(value))%3]
		if to-from >= 8 {
			all = append(all, b[from:to])
		}
	}
	return all
}

// disjoint sorts spans and joins those that overlap.
func disjoint(spans []match.Span) []match.Span {
	slices.SortFunc(spans, func(a, b match.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Name, b.Name))
	})
	var out []match.Span
	for _, s := range spans {
		if last := len(out) - 1; last >= 0 && s.Start < out[last].End {
			out[last].End = max(out[last].End, s.End)
		} else {
			out = append(out, s)
		}
	}
	return out
}
