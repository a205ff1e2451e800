package redact

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
)

// What is found in a long text is what a search of all of it at once finds,
// wherever the values stand: over the ends of windows, and with tails that are
// longer than what windows have in common.
func TestSearchOfLongTexts(t *testing.T) {
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

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[mathrand.IntN(64)]
	}
	return b
}

// A window that cannot be searched fails the whole, whichever it is.
func TestSearchOfLongTextsFails(t *testing.T) {
	text := make([]byte, 4*window)
	for failing := range 5 {
		var asked atomic.Int32
		f := finderFunc(func(context.Context, []byte) (match.Result, error) {
			if int(asked.Add(1)) > failing {
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

// lender lends memory, overwrites what comes back, and complains about a search
// in what is not lent any more.
type lender struct {
	match.Finder
	t testing.TB

	mu   sync.Mutex
	free [][]byte
	lent int
	used atomic.Int32 // searches of lent memory
}

func (l *lender) Lend() ([]byte, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) == 0 {
		return nil, nil
	}
	room := l.free[0]
	l.free = l.free[1:]
	l.lent++
	given := false
	return room[:0], func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if given {
			l.t.Error("given back twice")
		}
		given = true
		full := room[:cap(room)]
		for i := range full {
			full[i] = '!'
		}
		l.free = append(l.free, room)
		l.lent--
	}
}

func (l *lender) Find(ctx context.Context, text []byte) (match.Result, error) {
	l.used.Add(1)
	return l.Finder.Find(ctx, text)
}

// With memory that the Finder lends a search finds the same, and gives all of it back.
func TestSearchInLentMemory(t *testing.T) {
	short, long := []byte(rand.Text()), random(60<<10)
	set := match.New([]match.Known{
		{Name: "SHORT", Value: secret.New(bytes.Clone(short))},
		{Name: "LONG", Value: secret.New(bytes.Clone(long))},
	})
	for _, n := range []int{100, lendFrom, window, 3 * window} {
		text := bytes.Repeat([]byte("a line that is no secret \\ \"\n"), n/29+10)
		for at := 7; at < len(text); at += window - overlap - 11 {
			copy(text[at:], long)
			copy(text[max(at-200, 0):], short)
		}
		raw := quoteInside(string(text))
		search := func(f match.Finder) []hit {
			pieces := []*piece{{raw: raw, json: true}}
			if _, _, err := (&Redactor{Finder: f}).search(t.Context(), pieces); err != nil {
				t.Fatal(err)
			}
			return pieces[0].hits
		}
		want := search(set)
		if len(want) == 0 {
			t.Errorf("%d bytes: nothing was found", n)
		}
		for rooms := range 4 {
			l := &lender{Finder: set, t: t}
			for range rooms {
				l.free = append(l.free, make([]byte, 0, window+64<<10))
			}
			if d := cmp.Diff(want, search(l), cmp.AllowUnexported(hit{})); d != "" {
				t.Errorf("%d bytes, %d rooms (-own memory +lent):\n%s", n, rooms, d)
			}
			if l.lent != 0 || len(l.free) != rooms {
				t.Fatalf("%d bytes: %d of %d rooms were not given back", n, l.lent, rooms)
			}
		}
	}
	// Also when a window could not be searched.
	failing := &lender{t: t, free: [][]byte{make([]byte, 0, 2*window), make([]byte, 0, 2*window)}}
	failing.Finder = finderFunc(func(context.Context, []byte) (match.Result, error) {
		if failing.used.Load() >= 2 {
			return match.Result{}, errors.New("away")
		}
		return match.Result{}, nil
	})
	if _, _, err := (&Redactor{Finder: failing}).search(t.Context(), []*piece{{raw: make([]byte, 4*window)}}); err == nil || failing.lent != 0 {
		t.Errorf("error %v, %d rooms were not given back", err, failing.lent)
	}
}
