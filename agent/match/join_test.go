package match

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// answer is a Finder that says the same of every text.
type answer struct {
	Result
	err error
}

func (a answer) Find(context.Context, []byte) (Result, error) { return a.Result, a.err }

func TestJoin(t *testing.T) {
	text := make([]byte, 100)
	for _, c := range []struct {
		name               string
		known, looks, want Result
	}{
		{"nothing", Result{}, Result{Tail: 3}, Result{Tail: 3}},
		{"one only", Result{Spans: []Span{{1, 5, "A"}}, Tail: 2}, Result{}, Result{Spans: []Span{{1, 5, "A"}}, Tail: 2}},
		{"apart", Result{Spans: []Span{{1, 5, "A"}}}, Result{Spans: []Span{{5, 9, "r-1"}}}, Result{Spans: []Span{{1, 5, "A"}, {5, 9, "r-1"}}}},
		{"the same", Result{Spans: []Span{{1, 5, "A"}}}, Result{Spans: []Span{{1, 5, "r-1"}}}, Result{Spans: []Span{{1, 5, "A"}}}},
		{"a part is known", Result{Spans: []Span{{4, 6, "A"}}}, Result{Spans: []Span{{1, 9, "r-1"}}}, Result{Spans: []Span{{1, 9, "A"}}}},
		{"several parts", Result{Spans: []Span{{0, 2, "A"}, {3, 7, "B"}, {8, 11, "A"}}}, Result{Spans: []Span{{1, 9, "r-1"}}}, Result{Spans: []Span{{0, 11, "B"}}}},
		{"into the tail", Result{Spans: []Span{{80, 95, "A"}}}, Result{Spans: []Span{{70, 85, "r-1"}}, Tail: 10}, Result{Spans: []Span{{70, 95, "A"}}, Tail: 30}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Join(answer{Result: c.known}, answer{Result: c.looks}).Find(t.Context(), text)
			if err != nil || !slices.Equal(got.Spans, c.want.Spans) || got.Tail != c.want.Tail {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestJoinFails(t *testing.T) {
	broken := errors.New("broken")
	for _, j := range []Finder{Join(answer{err: broken}, answer{}), Join(answer{}, answer{err: broken})} {
		if _, err := j.Find(t.Context(), nil); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}
