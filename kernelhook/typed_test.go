package kernelhook

import (
	"bytes"
	"crypto/rand"
	mrand "math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
)

func TestTyped(t *testing.T) {
	var known typed
	found := match.Result{Spans: []match.Span{{Start: 0, End: 5, Name: "A"}}, Tail: 1}
	value := rand.Text()
	text := []byte("12345 " + value + " end")
	got, err := known.find(t.Context(), text, found)
	if err != nil || !cmp.Equal(got, found) {
		t.Errorf("before anything was typed: %v, %v", got, err)
	}
	v := secret.New([]byte(value))
	known.add("", v)
	v.Wipe() // the caller's
	known.add("", secret.New([]byte("short")))
	got, err = known.find(t.Context(), text, found)
	want := append(found.Spans, match.Span{Start: 6, End: 6 + len(value), Name: typedName})
	if err != nil || !cmp.Equal(got.Spans, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for range 2 * maxTyped {
		known.add("", secret.New([]byte(rand.Text())))
	}
	if got, _ := known.find(t.Context(), text, found); len(known.values) != maxTyped || len(got.Spans) != 1 {
		t.Errorf("%d values are kept, %v", len(known.values), got)
	}
	known.close()
	if got, err := known.find(t.Context(), text, found); err != nil || !cmp.Equal(got, found) {
		t.Errorf("after the end: %v, %v", got, err)
	}
}

// What two finders found together covers what each found and nothing else, in
// order, with a tail that begins inside of no span.
func TestMergeResults(t *testing.T) {
	const length = 60
	random := func(name string) match.Result {
		r := match.Result{Tail: mrand.IntN(length)}
		for at := mrand.IntN(20); at < length-1; {
			s := match.Span{Start: at, End: min(length, at+1+mrand.IntN(12)), Name: name}
			r.Spans = append(r.Spans, s)
			at = s.End + mrand.IntN(15)
		}
		return r
	}
	cover := func(rs ...match.Result) []byte {
		c := bytes.Repeat([]byte{'.'}, length)
		for _, r := range rs {
			for _, s := range r.Spans {
				for i := s.Start; i < s.End; i++ {
					c[i] = 'x'
				}
			}
		}
		return c
	}
	for range 2000 {
		a, b := random("A"), random("B")
		got := merge(a, b, length)
		if !bytes.Equal(cover(got), cover(a, b)) {
			t.Fatalf("%v and %v: %v", a, b, got)
		}
		at := 0
		for _, s := range got.Spans {
			if s.Start < at || s.End > length-got.Tail && s.Start < length-got.Tail {
				t.Fatalf("%v and %v: %v", a, b, got)
			}
			at = s.End
			if s.Name == "B" && bytes.Contains(cover(a)[s.Start:s.End], []byte("x")) {
				t.Fatalf("%v and %v: %v has the name of the second", a, b, s)
			}
		}
		if got.Tail < max(a.Tail, b.Tail) {
			t.Fatalf("a tail of %d for %d and %d", got.Tail, a.Tail, b.Tail)
		}
	}
}
