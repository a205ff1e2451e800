package nbstrip

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModes(t *testing.T) {
	f := finder{"KEY": rand.Text(), "OTHER_KEY": rand.Text()}
	cells := func(list ...string) string {
		return "{\"cells\": [" + strings.Join(list, ",\n ") + "\n], \"metadata\": {\"a\": 1e-5}}\n"
	}
	out := func(text string) string { return `{"output_type": "stream", "text": ["` + text + `", "x"]}` }
	cell := func(tags, source string, outs ...string) string {
		return `{"metadata": {"tags": [` + tags + `]}, "outputs": [ ` + strings.Join(outs, " , ") + ` ], "source": "` + source + `"}`
	}
	clean, leaky, other := out("clean"), out("a @KEY@"), out("@OTHER_KEY@")
	image := func(bundle string) string { return `{"output_type": "display_data", "data": {` + bundle + `}}` }
	for _, c := range []struct {
		name      string
		o         Options
		src, want string
		dropped   []Dropped
	}{
		{
			name: "redact", src: cells(cell("", "x", leaky, clean)), want: cells(cell("", "x", out("a [nbhush:KEY]"), clean)),
		},
		{
			name: "first output", o: Options{Mode: DropOutput},
			src: cells(cell("", "x", leaky, clean, clean)), want: cells(cell("", "x", clean, clean)),
			dropped: []Dropped{{0, "output", 1}},
		},
		{
			name: "last two outputs", o: Options{Mode: DropOutput},
			src: cells(cell("", "x"), cell("", "x", clean, leaky, other)), want: cells(cell("", "x"), cell("", "x", clean)),
			dropped: []Dropped{{1, "output", 2}, {1, "output", 2}},
		},
		{
			name: "all outputs", o: Options{Mode: DropOutput},
			src: cells(`{"outputs": [ ` + leaky + `, ` + leaky + `]}`), want: cells(`{"outputs": []}`),
			dropped: []Dropped{{0, "output", 1}, {0, "output", 1}},
		},
		{
			name: "a source has no output", o: Options{Mode: DropOutput},
			src: cells(cell("", "y = '@KEY@'", clean)), want: cells(cell("", "y = '[nbhush:KEY]'", clean)),
		},
		{
			name: "cells", o: Options{Mode: DropCell},
			src:  cells(cell("", "@KEY@"), cell("", "x"), cell("", "x", leaky), cell("", "x", other)),
			want: cells(cell("", "x")), dropped: []Dropped{{0, "cell", 1}, {2, "cell", 3}, {3, "cell", 4}},
		},
		{
			name: "in no cell", o: Options{Mode: DropCell},
			src: `{"cells": [], "metadata": {"k": "@KEY@"}}`, want: `{"cells": [], "metadata": {"k": "[nbhush:KEY]"}}`,
		},
		{
			name: "worksheets", o: Options{Mode: DropCell},
			src:  `{"worksheets": [{"cells": [{"input": "@KEY@"}, 3]}, {"cells": [{"input": "x"}, {"input": "@KEY@"}]}]}`,
			want: `{"worksheets": [{"cells": [3]}, {"cells": [{"input": "x"}]}]}`, dropped: []Dropped{{0, "cell", 1}, {2, "cell", 1}},
		},
		{
			name: "images in outputs that go and stay", o: Options{Rules: []Rule{{"OTHER_*", DropOutput}}},
			src:     cells(cell("", "x", image(`"image/png": "@OTHER_KEY@"`), image(`"image/png": "@KEY@", "text/plain": "x"`))),
			want:    cells(cell("", "x", image(`"text/plain": "x"`))),
			dropped: []Dropped{{0, "output", 1}, {0, "image/png", 1}},
		},
		{
			name: "rules and tags", o: Options{
				Rules: []Rule{{"OTHER_*", DropCell}, {"*", DropOutput}},
				Tags:  map[string]Mode{"keep": Redact, "private": DropCell},
			},
			src:     cells(cell("", "x", other), cell("", "x", leaky), cell(`"keep"`, "x", other), cell(`"keep", "private"`, "x", leaky)),
			want:    cells(`{"metadata": {"tags": []}, "outputs": [], "source": "x"}`, cell(`"keep"`, "x", out("[nbhush:OTHER_KEY]"))),
			dropped: []Dropped{{0, "cell", 1}, {1, "output", 2}, {3, "cell", 4}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.NewReplacer("@KEY@", f["KEY"], "@OTHER_KEY@", f["OTHER_KEY"]).Replace(c.src)
			res, err := Strip(t.Context(), []byte(src), f, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, string(res.Out)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if d := cmp.Diff(c.dropped, res.Dropped); d != "" {
				t.Errorf("dropped (-want +got):\n%s", d)
			}
			if again, err := Strip(t.Context(), res.Out, f, c.o); err != nil || again.Changed() || !json.Valid(res.Out) {
				t.Errorf("not idempotent, or no JSON (%v)", err)
			}
		})
	}
}

func TestModeNames(t *testing.T) {
	for _, m := range []Mode{Redact, DropOutput, DropCell} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := ParseMode("drop"); err == nil {
		t.Error("drop is no mode")
	}
	for _, o := range []Options{{Mode: 99}, {Rules: []Rule{{"[", Redact}}}, {Rules: []Rule{{"*", -1}}}, {Tags: map[string]Mode{"x": 7}}} {
		if _, err := Strip(t.Context(), note("x"), finder{}, o); err == nil {
			t.Errorf("%s: no error", fmt.Sprint(o))
		}
	}
}

// FuzzModes: whatever mode, what Strip returns holds no value, is JSON if it
// was, and stripping it again changes nothing.
func FuzzModes(f *testing.F) {
	for _, seed := range []string{
		`{"cells": [{"outputs": [{"text": "@"}, {"data": {"image/png": "@"}}], "source": ["@"]}, {"source": "@"}]}`,
		`{"worksheets": [{"cells": [{"input": "@", "outputs": ["@", {"png": "@"}]}]}], "metadata": {"@": "@", "cells": ["@"]}}`,
		`{"cells": [{"metadata": {"tags": ["a", "b"]}, "outputs": [[{"@": 1}], {"text": ["@", "@"]}], "attachments": {"x": {"image/png": "@"}}}]}`,
	} {
		f.Add(seed, uint8(1))
		f.Add(seed, uint8(2))
	}
	value := finder{"KEY": rand.Text()}
	f.Fuzz(func(t *testing.T, src string, bits uint8) {
		o := Options{Mode: Mode(bits % 3), Tags: map[string]Mode{"a": Mode(bits / 3 % 3), "b": Mode(bits / 9 % 3)}}
		was := []byte(strings.ReplaceAll(src, "@", value["KEY"]))
		res, err := Strip(t.Context(), was, value, o)
		if err != nil {
			return
		}
		if json.Valid(was) && !json.Valid(res.Out) {
			t.Fatalf("no JSON: %s", res.Out)
		}
		again, err := Strip(t.Context(), res.Out, value, o)
		if err != nil || again.Changed() {
			t.Fatalf("not idempotent (%v): %s", err, res.Out)
		}
	})
}
