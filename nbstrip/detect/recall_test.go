package detect

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/nbstrip/detect/corpus"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

var report = flag.Bool("report", false, "print the recall by kind and by place")

// input is a text as a stripper gives it to a Detector.
type input struct {
	kind Kind
	text []byte
	file string
}

// inputs cuts a notebook into texts: what is decoded, and metadata and JSON
// outputs as they stand.
func inputs(t testing.TB, src []byte) (all []input) {
	nb, err := notebook.Scan(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range nb.Texts() {
		if text.Binary || text.Part == notebook.InMetadata {
			continue
		}
		kind := Plain
		b := text.AppendTo(nil)
		switch {
		case text.Part == notebook.InSource:
			kind = Source
		case bytes.HasPrefix(bytes.TrimSpace(b), []byte("<")):
			kind = HTML
		}
		all = append(all, input{kind: kind, text: b})
	}
	var whole struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	_ = json.Unmarshal(src, &whole)
	all = append(all, input{kind: Metadata, text: whole.Metadata})
	for _, c := range nb.Cells {
		all = append(all, input{kind: Metadata, text: src[c.Metadata.Start:c.Metadata.End]})
		for _, o := range c.Outputs {
			for _, e := range o.Data {
				if strings.Contains(e.Mime, "json") {
					all = append(all, input{kind: JSON, text: src[e.Value.Start:e.Value.End]})
				}
			}
		}
	}
	return all
}

// outcome is what a detector made of a sample.
type outcome int

const (
	missed outcome = iota
	partly
	more // the whole secret, and something beside it
	whole
)

func try(t testing.TB, d *Detector, s corpus.Sample) outcome {
	best, planted := missed, false
	for _, in := range inputs(t, s.Notebook) {
		at := bytes.Index(in.text, []byte(s.Want))
		if at < 0 {
			continue
		}
		planted = true
		res, err := d.FindIn(context.Background(), in.kind, in.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range res.Spans {
			switch end := at + len(s.Want); {
			case span.Start == at && span.End == end:
				best = max(best, whole)
			case span.Start <= at && end <= span.End:
				best = max(best, more)
			case span.Start < end && at < span.End:
				best = max(best, partly)
			}
		}
	}
	if !planted {
		t.Fatalf("%s in %s: the secret is not in the notebook", s.Kind, s.Place)
	}
	return best
}

type tally struct{ whole, more, partly, all int }

func (y *tally) add(o outcome) {
	y.all++
	switch o {
	case whole:
		y.whole++
	case more:
		y.more++
	case partly:
		y.partly++
	}
}

func (y *tally) percent() float64 { return 100 * float64(y.whole+y.more) / float64(y.all) }

// TestRecall holds how much of the corpus is found, as a whole.
func TestRecall(t *testing.T) {
	d := New(nil)
	var all tally
	kinds, places := map[string]*tally{}, map[string]*tally{}
	missing := map[string]int{}
	n := 0
	for s := range corpus.Samples(20261121) {
		if n++; testing.Short() && n%7 != 0 {
			continue
		}
		o := try(t, d, s)
		all.add(o)
		for table, name := range map[*map[string]*tally]string{&kinds: s.Kind, &places: s.Place} {
			if (*table)[name] == nil {
				(*table)[name] = &tally{}
			}
			(*table)[name].add(o)
		}
		if o < more {
			missing[s.Place+" "+s.Kind]++
		}
	}
	if len(kinds) < 50 || len(places) < 50 {
		t.Errorf("%d kinds in %d places", len(kinds), len(places))
	}
	if *report {
		print := func(title string, table map[string]*tally) {
			fmt.Printf("\n%-24s %6s %7s %7s\n", title, "full", "exact", "partly")
			var names []string
			for k := range table {
				names = append(names, k)
			}
			slices.SortFunc(names, func(a, b string) int {
				return int(1000*(table[a].percent()-table[b].percent())) + strings.Compare(a, b)
			})
			for _, k := range names {
				y := table[k]
				fmt.Printf("%-24s %6.1f %7.1f %7.1f\n", k, y.percent(), 100*float64(y.whole)/float64(y.all), 100*float64(y.partly)/float64(y.all))
			}
		}
		print("kind", kinds)
		print("place", places)
		fmt.Printf("\n%d kinds in %d places: full %.1f %%, exact %.1f %%\n", len(kinds), len(places), all.percent(), 100*float64(all.whole)/float64(all.all))
	}
	if got := all.percent(); got < 92 {
		t.Errorf("%.1f %% found as a whole", got)
	}
}
