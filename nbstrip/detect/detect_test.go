package detect

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/nbstrip/detect/corpus"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

var _ match.Finder = (*Detector)(nil)

func find(t testing.TB, d *Detector, text string) match.Result {
	t.Helper()
	res, err := d.Find(context.Background(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// checkResult holds what match.Finder promises.
func checkResult(t testing.TB, text []byte, res match.Result) {
	t.Helper()
	at := 0
	for _, s := range res.Spans {
		if s.Start < at || s.End <= s.Start || s.End > len(text) {
			t.Fatalf("span %d to %d of %d bytes, after %d", s.Start, s.End, len(text), at)
		}
		at = s.End
		if tail := len(text) - res.Tail; s.End > tail && s.Start < tail {
			t.Errorf("span %d to %d reaches into the tail, which begins at %d", s.Start, s.End, tail)
		}
	}
	if res.Tail < 0 || res.Tail > len(text) {
		t.Errorf("tail of %d in %d bytes", res.Tail, len(text))
	}
}

// texts returns the decoded texts of a notebook.
func texts(t testing.TB, src []byte) (all [][]byte) {
	t.Helper()
	nb, err := notebook.Scan(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range nb.Texts() {
		if !text.Binary {
			all = append(all, text.AppendTo(nil))
		}
	}
	return all
}

func hexValue(r *rand.Rand, n int) string { return chars(r, n, "0123456789abcdef") }

func seeded() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

func TestNames(t *testing.T) {
	r := seeded()
	one, other := hexValue(r, 40), hexValue(r, 40)
	text := func(v string) string { return `WANDB_API_KEY = "` + v + `"` }
	d, same, foreign := New([]byte("key")), New([]byte("key")), New(nil)

	name := find(t, d, text(one)).Spans[0].Name
	if !strings.HasPrefix(name, "API-KEY-") || len(name) != len("API-KEY-")+4 || strings.Contains(name, one[:4]) {
		t.Errorf("name %q", name)
	}
	if got := find(t, same, "cfg: "+text(one)).Spans[0].Name; got != name {
		t.Errorf("the same secret under the same key is %q and %q", name, got)
	}
	if a, b := find(t, d, text(other)).Spans[0].Name, find(t, foreign, text(one)).Spans[0].Name; a == name && b == name {
		t.Errorf("another secret and another key have the same name %q", name)
	}
	set, err := newRuleSet()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range set.rules {
		if n := len(rule.id) + 5; n > secret.MaxNameLen {
			t.Errorf("the name of %s has %d bytes", rule.id, n)
		}
	}
}

func TestIgnore(t *testing.T) {
	r := seeded()
	a, b := hexValue(r, 32), hexValue(r, 32)
	text := "api_key = '" + a + "'  # nbhush: ignore\nother_api_key = '" + b + "'\n"
	res := find(t, New(nil), text)
	if len(res.Spans) != 1 || text[res.Spans[0].Start:res.Spans[0].End] != b {
		t.Errorf("%d spans; only the second line's secret was to be found", len(res.Spans))
	}
}

// TestIdempotent holds that nothing is found where everything was replaced,
// and that the text around is as it was.
func TestIdempotent(t *testing.T) {
	d := New(nil)
	n := 0
	for s := range corpus.Samples(rand.Uint64()) {
		if n++; n%5 != 0 {
			continue
		}
		for _, text := range texts(t, s.Notebook) {
			res, err := d.Find(context.Background(), text)
			if err != nil {
				t.Fatal(err)
			}
			checkResult(t, text, res)
			clean := match.Replace(nil, text, res.Spans)
			again, err := d.Find(context.Background(), clean)
			if err != nil {
				t.Fatal(err)
			}
			if len(again.Spans) > 0 {
				t.Errorf("%s in %s: %s found after %d spans were replaced", s.Kind, s.Place, again.Spans[0].Name, len(res.Spans))
			}
		}
	}
}

// TestTexts holds that texts joined by 0xFF have the findings that each has alone.
func TestTexts(t *testing.T) {
	d := New(nil)
	var all []byte
	var want []match.Span
	for s := range corpus.Samples(rand.Uint64()) {
		if s.Place != "assign" && s.Place != "print-label" && s.Place != "frame-html" {
			continue
		}
		for _, text := range texts(t, s.Notebook) {
			res, err := d.Find(context.Background(), text)
			if err != nil {
				t.Fatal(err)
			}
			for _, span := range res.Spans {
				want = append(want, match.Span{Start: span.Start + len(all), End: span.End + len(all), Name: span.Name})
			}
			all = append(append(all, text...), separator)
		}
	}
	res, err := d.Find(context.Background(), all)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(res.Spans, want) {
		t.Errorf("%d spans together, %d alone", len(res.Spans), len(want))
	}
}

// TestChunks holds that a text of lines and of a key's block has the same
// findings however it is cut, if what Tail names is searched again.
func TestChunks(t *testing.T) {
	d, r := New([]byte("k")), seeded()
	var b strings.Builder
	for range 30 {
		b.WriteString("log: step of " + hexValue(r, 3) + "\nMISTRAL_API_KEY=" + hexValue(r, 32) + "\npostgresql://jane:" + hexValue(r, 12) + "@db/x done\n")
	}
	b.WriteString("-----BEGIN PRIVATE KEY-----\n" + chars(r, 64, letters) + "\n" + chars(r, 64, letters) + "\n-----END PRIVATE KEY-----\nend\n")
	text := b.String()
	want := find(t, d, text).Spans
	if len(want) < 58 || len(want) > 61 { // one random value in five thousand looks like a made-up one
		t.Fatalf("%d spans", len(want))
	}
	for range 50 {
		var got []match.Span
		at, pending := 0, ""
		for rest := text; ; {
			n := min(len(rest), 1+r.IntN(300))
			pending, rest = pending+rest[:n], rest[n:]
			res := find(t, d, pending)
			checkResult(t, []byte(pending), res)
			settled := len(pending) - res.Tail
			if rest == "" {
				settled = len(pending)
			}
			for _, s := range res.Spans {
				if s.End <= settled {
					got = append(got, match.Span{Start: s.Start + at, End: s.End + at, Name: s.Name})
				}
			}
			at, pending = at+settled, pending[settled:]
			if rest == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d spans, whole %d", len(got), len(want))
		}
	}
}

func TestTailIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"one line":   strings.Repeat("x ", 1<<20),
		"open block": "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("x\n", 1<<20),
		"ended line": strings.Repeat("password is x\n", 1000),
	} {
		if got := find(t, New(nil), text).Tail; got > maxTail {
			t.Errorf("%s: tail of %d", name, got)
		} else if name == "ended line" && got != 0 {
			t.Errorf("%s: tail of %d", name, got)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := New(nil).Find(ctx, []byte("text")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	d, r := New(nil), seeded()
	text := `cohere.Client("` + hexValue(r, 40) + `"); token = "hf_` + chars(r, 34, letters) + `"`
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if n := len(find(t, d, text).Spans); n != 2 {
				t.Errorf("%d spans", n)
			}
		})
	}
	wg.Wait()
}

// TestAutomaton compares with a search for each keyword.
func TestAutomaton(t *testing.T) {
	r := seeded()
	for range 200 {
		var words []string
		for range 1 + r.IntN(20) {
			words = append(words, chars(r, 1+r.IntN(5), "abc_"))
		}
		slices.Sort(words)
		words = slices.Compact(words)
		text := chars(r, r.IntN(200), "aAbBcC_x")
		count := map[int]int{}
		newAutomaton(words).search([]byte(text), 0, len(text), func(k uint16, end int) {
			if !strings.EqualFold(text[end-len(words[k]):end], words[k]) {
				t.Fatalf("%q does not end at %d", words[k], end)
			}
			count[int(k)]++
		})
		for k, w := range words {
			want := 0
			for i := range len(text) - len(w) + 1 {
				if strings.EqualFold(text[i:i+len(w)], w) {
					want++
				}
			}
			if count[k] != want {
				t.Errorf("%q: %d times, not %d", w, count[k], want)
			}
		}
	}
}

// FuzzFind holds what match.Finder promises for any text, and that
// views lead back into the text.
func FuzzFind(f *testing.F) {
	n := 0
	for s := range corpus.Samples(1) {
		if n++; n%97 != 0 {
			continue
		}
		for _, text := range texts(f, s.Notebook) {
			if len(text) > 20 {
				f.Add(text)
			}
		}
		f.Add(s.Notebook)
	}
	d := New(nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		res, err := d.Find(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, text) {
			t.Error("the text was changed")
		}
		checkResult(t, text, res)
	})
}
