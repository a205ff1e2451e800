package nbstrip

import (
	"bytes"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// setOf returns the agent's own Finder for values.
func setOf(values finder) *match.Set {
	var all []match.Known
	for name, value := range values {
		all = append(all, match.Known{Name: secret.Name(name), Value: secret.New([]byte(value))})
	}
	return match.New(all)
}

// TestSetLeavesNothing strips the goldens' templates with the agent's own
// Finder, which knows more forms than goldens are written for.
func TestSetLeavesNothing(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(goldens, "*", "in.ipynb"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden notebooks (%v)", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			values := newValues()
			set := setOf(values)
			res, err := Strip(t.Context(), fill(t, path, values), set, Options{})
			var unsafe *UnsafeError
			if errors.As(err, &unsafe) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Strip(t.Context(), res.Out, set, Options{}); err != nil || again.Changed() {
				t.Errorf("a second run found %v (%v)", again.Findings, err)
			}
			nb, err := notebook.Scan(res.Out)
			if err != nil {
				return // passed as text
			}
			for _, text := range nb.Texts() {
				for name, value := range values {
					if bytes.Contains(text.AppendTo(nil), []byte(value)) {
						t.Errorf("the value of %s is left in %s of cell %d", name, text.Part, text.Cell)
					}
				}
			}
		})
	}
}

// TestLongTexts puts values over every edge of the pieces in which a long text
// is searched: a text of one string, and one that must be decoded.
func TestLongTexts(t *testing.T) {
	value := rand.Text() + rand.Text()
	set := setOf(finder{"A": value})
	for _, escape := range []string{"", `\n`} {
		var src strings.Builder
		src.WriteString(`{"cells": [{"cell_type": "code", "source": "` + escape)
		count := 0
		for src.Len() < 5*batchSize/2 {
			near := (src.Len()+batchSize)/batchSize*batchSize - src.Len() // to the next edge
			if near > 3000 {
				src.WriteString(strings.Repeat("-", near-3000))
			}
			for range 6000 / 59 {
				src.WriteString(value + "-------")
				count++
			}
		}
		src.WriteString(`"}]}`)
		res, err := Strip(t.Context(), []byte(src.String()), set, Options{})
		if err != nil || len(res.Findings) != count {
			t.Fatalf("%d of %d values found (%v)", len(res.Findings), count, err)
		}
		if want := strings.ReplaceAll(src.String(), value, match.Placeholder("A")); string(res.Out) != want {
			t.Error("something else changed")
		}
	}
}
