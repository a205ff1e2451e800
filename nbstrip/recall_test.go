package nbstrip

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/nbstrip/detect"
	"github.com/nbhush/nbhush/nbstrip/detect/corpus"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

var (
	report = flag.Bool("report", false, "print the recall by kind and by place, and the findings in real notebooks without their values")
	seed   = flag.Uint64("seed", 0, "of the corpus; 0 for a new one")
	beside = flag.String("beside", "", "a file with what .ci/detect printed about the same corpus")
)

// covered is how much of a planted secret was found.
type covered int

const (
	missed covered = iota
	partly
	more // the whole secret, and something beside it
	whole
)

// planted returns where want is in text, which it may be with JSON's escapes; -1 if it is not there.
func planted(want string, text []byte) (start, end int) {
	start = bytes.Index(text, []byte(want))
	if start < 0 && json.Unmarshal([]byte(`"`+want+`"`), &want) == nil {
		start = bytes.Index(text, []byte(want))
	}
	return start, start + len(want)
}

// coverage says how much of the sample's secret f finds by way of Strip.
func coverage(t testing.TB, s corpus.Sample, f match.Finder) covered {
	t.Helper()
	search := newSearcher(context.Background(), f, len(s.Notebook))
	nb, err := notebook.ScanTexts(s.Notebook, search.add)
	if err != nil {
		t.Fatal(err)
	}
	hits, err := search.finish(nb)
	if err != nil {
		t.Fatal(err)
	}
	spans := map[int][]match.Span{}
	for _, h := range hits {
		spans[h.text] = h.spans
	}
	best, there := missed, false
	for i, text := range nb.Texts() {
		decoded := text.AppendTo(nil)
		start, end := planted(s.Want, decoded)
		if start < 0 {
			continue
		}
		there = true
		c := coverageOf(spans[i], start, end)
		if s.Also != "" {
			start, end = planted(s.Also, decoded)
			c = min(c, coverageOf(spans[i], start, end))
		}
		best = max(best, c)
	}
	if !there {
		t.Fatalf("%s in %s: the secret is not in the notebook", s.Kind, s.Place)
	}
	return best
}

func coverageOf(spans []match.Span, start, end int) covered {
	at, found := start, missed
	exact := true
	for _, span := range spans {
		if span.End <= start || span.Start >= end {
			continue
		}
		found = partly
		exact = exact && span.Start >= start && span.End <= end
		if span.Start <= at {
			at = max(at, span.End)
		}
	}
	switch {
	case at >= end && exact:
		return whole
	case at >= end:
		return more
	}
	return found
}

// tally counts samples.
type tally [whole + 1]int

func (y *tally) all() int         { return y[missed] + y[partly] + y[more] + y[whole] }
func (y *tally) percent() float64 { return 100 * float64(y[more]+y[whole]) / float64(y.all()) }

// table is the recall by kind, by place and in all.
type table struct {
	kinds, places map[string]*tally
	total         tally
}

func newTable() *table { return &table{kinds: map[string]*tally{}, places: map[string]*tally{}} }

func (tb *table) add(s corpus.Sample, c covered) {
	for _, y := range []*tally{at(tb.kinds, s.Kind), at(tb.places, s.Place), &tb.total} {
		y[c]++
	}
}

func at(m map[string]*tally, name string) *tally {
	if m[name] == nil {
		m[name] = &tally{}
	}
	return m[name]
}

// samples calls each with a part of the corpus of a new seed, in which there
// are all places that have the secret in pieces; in the report with all of it.
func samples(t testing.TB, each func(corpus.Sample)) {
	t.Helper()
	n, seed := 0, *seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	for s := range corpus.Samples(seed) {
		if n++; *report || s.Apart || n%17 == 0 {
			each(s)
		}
	}
}

// TestRecallByLook: secrets that nobody stored are found as a whole.
func TestRecallByLook(t *testing.T) {
	d, tb := detect.New(nil), newTable()
	samples(t, func(s corpus.Sample) { tb.add(s, coverage(t, s, d)) })
	if len(tb.kinds) < 50 || len(tb.places) < 50 {
		t.Errorf("%d kinds in %d places", len(tb.kinds), len(tb.places))
	}
	if got := tb.total.percent(); got < 92 {
		t.Errorf("%.1f %% found as a whole", got)
	}
	if *report {
		tb.print(os.Stdout, readTable(t, *beside))
	}
}

// TestRecallStored: those that are stored are found everywhere, and most of
// them also where a program puts them together from pieces.
func TestRecallStored(t *testing.T) {
	d, tb := detect.New(nil), newTable()
	var apart tally
	samples(t, func(s corpus.Sample) {
		set := match.New([]match.Known{{Name: "STORED", Value: secret.New([]byte(s.Secret))}})
		defer set.Wipe()
		c := coverage(t, s, match.Join(set, d))
		if s.Apart {
			apart[c]++
			return
		}
		if tb.add(s, c); c < more {
			t.Errorf("%s in %s: not found as a whole", s.Kind, s.Place)
		}
	})
	if got := apart.percent(); got <= 95 {
		t.Errorf("%.1f %% of those in pieces found as a whole", got)
	}
	if *report {
		fmt.Printf("\nstored: full %.1f %%, in pieces %.1f %%\n", tb.total.percent(), apart.percent())
	}
}

// readTable reads what .ci/detect printed; without a file there is no table.
func readTable(t *testing.T, file string) *table {
	t.Helper()
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tb := newTable()
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 {
			tb.add(corpus.Sample{Kind: f[0], Place: f[1]}, covered(slices.Index([]string{"missed", "partly", "more", "whole"}, f[2])))
		}
	}
	return tb
}

// print writes the table, beside another one with the same samples if there is one.
func (tb *table) print(w io.Writer, other *table) {
	for _, part := range []struct {
		name       string
		ours, them map[string]*tally
	}{{"kind", tb.kinds, other.of("kind")}, {"place", tb.places, other.of("place")}} {
		fmt.Fprintf(w, "\n%-24s %8s %7s %7s %9s\n", part.name, "full", "exact", "partly", "gitleaks")
		names := slices.SortedFunc(maps.Keys(part.ours), func(a, b string) int {
			return cmp.Or(cmp.Compare(part.ours[a].percent(), part.ours[b].percent()), strings.Compare(a, b))
		})
		for _, name := range names {
			y := part.ours[name]
			fmt.Fprintf(w, "%-24s %8.1f %7.1f %7.1f", name, y.percent(), 100*float64(y[whole])/float64(y.all()), 100*float64(y[partly])/float64(y.all()))
			if o := part.them[name]; o != nil {
				fmt.Fprintf(w, " %9.1f", o.percent())
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprintf(w, "\n%d kinds in %d places: full %.1f %%, exact %.1f %%", len(tb.kinds), len(tb.places), tb.total.percent(), 100*float64(tb.total[whole])/float64(tb.total.all()))
	if other != nil {
		fmt.Fprintf(w, "; gitleaks' library on the same files: full %.1f %%", other.total.percent())
	}
	fmt.Fprintln(w)
}

func (tb *table) of(part string) map[string]*tally {
	switch {
	case tb == nil:
		return nil
	case part == "kind":
		return tb.kinds
	}
	return tb.places
}

// mask is the shape of a secret: letters are a, digits 0.
func mask(b []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r|0x20 && r|0x20 <= 'z':
			return 'a'
		case '0' <= r && r <= '9':
			return '0'
		}
		return r
	}, string(b))
}

// TestFindingsInRealNotebooks: in notebooks that people published there is next
// to nothing that looks like a secret.
func TestFindingsInRealNotebooks(t *testing.T) {
	dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS")
	if dir == "" {
		t.Skip("NBHUSH_TEST_NOTEBOOKS names no folder of notebooks")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no notebooks: %v", err)
	}
	d, found := detect.New(nil), 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		res, err := Strip(t.Context(), src, d, Options{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		found += len(res.Findings)
		for _, f := range res.Findings {
			if line := bytes.SplitN(src, []byte("\n"), f.Line+1)[f.Line-1]; *report {
				fmt.Printf("%s:%d %s in %s of cell %d: %.200s\n", filepath.Base(file), f.Line, f.Name[:len(f.Name)-5], f.Where, f.Cell, mask(bytes.TrimSpace(line)))
			}
		}
	}
	if found*300 > len(files) {
		t.Errorf("%d findings in %d notebooks", found, len(files))
	}
}
