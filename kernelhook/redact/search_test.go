package redact

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
)

// What is found in a long text is what a search of all of it at once finds,
// wherever the values stand: over the ends of windows, and with tails that are
// longer than what windows have in common.
func TestSearchOfLongTexts(t *testing.T) {
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[mathrand.IntN(64)]
		}
		return b
	}
	short, long := []byte(rand.Text()), random(60<<10)
	set := match.New([]match.Known{
		{Name: "SHORT", Value: secret.New(bytes.Clone(short))},
		{Name: "LONG", Value: secret.New(bytes.Clone(long))},
	})
	for range 4 {
		text := bytes.Repeat([]byte("a line that is no secret \\ \"\n"), 5*window/29)
		for n := 1; n <= 5; n++ {
			value := long
			if mathrand.IntN(2) == 0 {
				value = short
			}
			at := n*(window-overlap) - mathrand.IntN(len(value)+2*overlap)
			copy(text[at:], value[:len(value)-mathrand.IntN(2)*len(value)/3])
		}
		want, err := set.Find(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		raw := quoteInside(string(text))
		cut := mathrand.IntN(len(raw) / 30)
		cut += bytes.Index(raw[cut:], []byte(`\n`)) // between two characters
		pieces := []*piece{{raw: raw[:cut], json: true}, {raw: raw[cut:], json: true, joins: true}}
		length, _, err := (&Redactor{Finder: set}).search(t.Context(), pieces)
		if err != nil || length != len(text) {
			t.Fatalf("length %d, want %d; %v", length, len(text), err)
		}
		var found []match.Span
		for _, p := range pieces {
			for _, h := range p.hits {
				before, _ := unescape(nil, p.raw[:h.start], len(raw))
				inside, _ := unescape(nil, p.raw[h.start:h.end], len(raw))
				start := p.at + len(before)
				found = append(found, match.Span{Start: start, End: start + len(inside), Name: h.name})
			}
		}
		if d := cmp.Diff(want.Spans, found); d != "" {
			t.Errorf("in parts (-whole +parts):\n%s", d)
		}
	}
}

// A window that cannot be searched fails the whole, whichever it is.
func TestSearchOfLongTextsFails(t *testing.T) {
	text := make([]byte, 4*window)
	for failing := range 5 {
		asked := 0
		f := finderFunc(func(context.Context, []byte) (match.Result, error) {
			if asked++; asked > failing {
				return match.Result{}, errors.New("away")
			}
			return match.Result{}, nil
		})
		if _, _, err := (&Redactor{Finder: f}).search(t.Context(), []*piece{{raw: text}}); err == nil {
			t.Errorf("no error although only %d questions were answered", failing)
		}
	}
}

type finderFunc func(context.Context, []byte) (match.Result, error)

func (f finderFunc) Find(ctx context.Context, text []byte) (match.Result, error) { return f(ctx, text) }
