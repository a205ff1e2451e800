package api

import (
	"reflect"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
)

func TestResultRoundTrip(t *testing.T) {
	for _, want := range []match.Result{
		{},
		{Tail: 7},
		{Tail: 3, Spans: []match.Span{{Start: 0, End: 4, Name: "A"}, {Start: 4, End: 100, Name: "LONGER_NAME"}}},
	} {
		got, err := ParseResult(AppendResult(nil, want), 100)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

func FuzzParseResult(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(AppendResult(nil, match.Result{Tail: 3, Spans: []match.Span{{Start: 0, End: 4, Name: "A"}}}), 10)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		r, err := ParseResult(b, n)
		if err != nil {
			return
		}
		at := 0
		for _, s := range r.Spans {
			if s.Start < at || s.End <= s.Start || s.End > n {
				t.Fatalf("span %v of a text of %d bytes after %d", s, n, at)
			}
			at = s.End
		}
		if r.Tail < 0 || r.Tail > n {
			t.Fatalf("tail %d of %d", r.Tail, n)
		}
	})
}
