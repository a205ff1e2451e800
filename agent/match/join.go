package match

import (
	"cmp"
	"context"
	"slices"
)

// Join returns a Finder of what known and looks find. Where their spans
// overlap, there is one span that covers both, and it has the name of the
// longest that known found: who reads a name that is stored can get the value back.
func Join(known, looks Finder) Finder { return joined{known, looks} }

type joined struct{ known, looks Finder }

func (j joined) Find(ctx context.Context, text []byte) (Result, error) {
	known, err := j.known.Find(ctx, text)
	if err != nil {
		return Result{}, err
	}
	looks, err := j.looks.Find(ctx, text)
	if err != nil {
		return Result{}, err
	}
	r := Result{Spans: unite(known.Spans, looks.Spans), Tail: max(known.Tail, looks.Tail)}
	// No span may reach into the tail from outside.
	for i := len(r.Spans) - 1; i >= 0 && r.Spans[i].End > len(text)-r.Tail; i-- {
		r.Tail = max(r.Tail, len(text)-r.Spans[i].Start)
	}
	return r, nil
}

// unite merges two lists of spans, each in order.
func unite(known, looks []Span) []Span {
	switch {
	case len(looks) == 0:
		return known
	case len(known) == 0:
		return looks
	}
	type named struct {
		Span
		known int // length of the known span that the name is from
	}
	all := make([]named, 0, len(known)+len(looks))
	for _, s := range known {
		all = append(all, named{s, s.End - s.Start})
	}
	for _, s := range looks {
		all = append(all, named{s, 0})
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.Start, b.Start) })
	out := all[:1]
	for _, s := range all[1:] {
		last := &out[len(out)-1]
		if s.Start >= last.End {
			out = append(out, s)
			continue
		}
		last.End = max(last.End, s.End)
		if s.known > last.known {
			last.Name, last.known = s.Name, s.known
		}
	}
	spans := make([]Span, len(out))
	for i, s := range out {
		spans[i] = s.Span
	}
	return spans
}
