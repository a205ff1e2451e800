package nbstrip

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// notebooks returns notebooks by name: the real ones, which are not part of the
// project, in the folder that NBHUSH_TEST_NOTEBOOKS names, or else made-up ones
// of many sizes.
func notebooks(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS")
	if dir == "" {
		for size := 1 << 10; size < 4<<20; size = size*3/2 + 7 {
			all[fmt.Sprintf("made-up, %d bytes", size)] = generate(size)
		}
		return all
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no notebooks in %s (%v)", dir, err)
	}
	for _, path := range paths {
		if all[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestCorpus leaves clean notebooks as they are, and takes a value that was
// planted out and nothing else.
func TestCorpus(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(3, 4))
	planted := map[string]int{}
	all := notebooks(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		src := all[name]
		f := finder{"A": rand.Text() + "\"\n\\é"}
		res, err := Strip(t.Context(), src, f, Options{})
		if err != nil || res.Changed() || !bytes.Equal(res.Out, src) {
			t.Errorf("%s: clean, but %v, %v", name, res.Findings, err)
		}
		nb, err := notebook.Scan(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for range 2 {
			kind := plant(t, src, nb, f, random)
			planted[kind]++
		}
	}
	t.Logf("%d notebooks, values planted: %v", len(all), planted)
}

// plant puts the value of A at a random place of a random text, or across two
// of its strings, and checks that Strip leaves the placeholder there and all else as it was.
func plant(t *testing.T, src []byte, nb *notebook.Notebook, f finder, random *mathrand.Rand) (kind string) {
	t.Helper()
	texts := slices.Collect(func(yield func(notebook.Text) bool) {
		for _, text := range nb.Texts() {
			if !yield(text) {
				return
			}
		}
	})
	text := texts[random.IntN(len(texts))]
	strings := text.Map().Ranges(0, len(src))
	if len(strings) == 0 {
		return "nothing"
	}
	value, label := f["A"], match.Placeholder("A")
	var edits, want []notebook.Edit
	switch i := random.IntN(len(strings)); {
	case text.Binary:
		kind = "binary"
		at := strings[i].Start
		edits = []notebook.Edit{{Start: at, End: at, New: []byte(base64.StdEncoding.EncodeToString([]byte(value)))}}
	case i+1 < len(strings) && random.IntN(2) == 0:
		kind = "across"
		end, begin := strings[i].End, strings[i+1].Start
		edits = []notebook.Edit{{Start: end, End: end, New: []byte(quote(value[:9]))}, {Start: begin, End: begin, New: []byte(quote(value[9:]))}}
		want = []notebook.Edit{{Start: end, End: end, New: []byte(label)}}
	default:
		kind = string(text.Part)
		at := boundary(text, strings[i], random)
		edits = []notebook.Edit{{Start: at, End: at, New: []byte(ascii(value, random.IntN(2) == 0))}}
		want = []notebook.Edit{{Start: at, End: at, New: []byte(label)}}
	}
	leaky := notebook.Splice(src, edits)
	res, err := Strip(t.Context(), leaky, f, Options{})
	if err != nil || len(res.Findings) != 1 {
		t.Fatalf("%s: %v, %v", kind, res.Findings, err)
	}
	checkStripped(t, leaky, res, f)
	if !text.Binary && !bytes.Equal(res.Out, notebook.Splice(src, want)) {
		t.Fatalf("%s: more than the value changed", kind)
	}
	if text.Binary != (len(res.Dropped) == 1) {
		t.Fatalf("%s: dropped %v", kind, res.Dropped)
	}
	return kind
}

// boundary returns the offset of a random character of the text in its string at.
func boundary(text notebook.Text, at notebook.Range, random *mathrand.Rand) int {
	decoded := text.AppendTo(nil)
	for m := text.Map(); ; {
		i := random.IntN(len(decoded))
		if r := m.Ranges(i, i+1)[0]; at.Start <= r.Start && r.End <= at.End {
			return r.Start
		}
	}
}
