package outputs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// nb puts cells into a notebook.
func nb(cells string) string {
	return `{"cells": [` + cells + `], "metadata": {"a": 1}, "nbformat": 4, "nbformat_minor": 5}`
}

func TestStrip(t *testing.T) {
	const out = `{"output_type": "stream", "name": "stdout", "text": ["12345"]}`
	const result = `{"output_type": "execute_result", "execution_count": 7, "data": {"text/plain": "1"}}`
	for _, c := range []struct {
		name string
		o    Options
		src  string
		want string // "" if nothing changes
	}{
		{name: "outputs and count", src: nb(`{"outputs": [ ` + out + `,` + result + `
 ],	"execution_count" :3 }`), want: nb(`{"outputs": [],	"execution_count" :null }`)},
		{name: "nothing to do", src: nb(`{"outputs": [], "execution_count": null, "metadata": {}}`)},
		{
			name: "exponents, escapes, duplicates stay", src: nb(`{"source": "\u0041\/", "x": 1e-5, "x": 1.10, "y": NaN, "execution_count": -0}`),
			want: nb(`{"source": "\u0041\/", "x": 1e-5, "x": 1.10, "y": NaN, "execution_count": null}`),
		},
		{name: "both of two outputs", src: nb(`{"outputs": [` + out + `], "outputs": [` + out + `]}`), want: nb(`{"outputs": [], "outputs": []}`)},
		{
			name: "keep output", o: Options{KeepOutput: true}, src: nb(`{"outputs": [` + result + `]}`),
			want: nb(`{"outputs": [{"output_type": "execute_result", "execution_count": null, "data": {"text/plain": "1"}}]}`),
		},
		{name: "keep both", o: Options{KeepOutput: true, KeepCount: true}, src: nb(`{"outputs": [` + result + `], "execution_count": 2}`)},
		{name: "ids", src: nb(`{"id": "a1b2"}, {"id": "1"}`), want: nb(`{"id": "0"}, {"id": "1"}`)},
		{name: "ids kept", o: Options{KeepID: true}, src: nb(`{"id": "a1b2"}`)},
		{name: "ids of what is left", o: Options{DropTags: []string{"x", "y"}}, src: nb(`{"id": "a", "metadata": {"tags": ["x"]}},
 {"id": "b"}, {"id": "c", "metadata": {"tags": ["y"]}}`), want: nb(`{"id": "0"}`)},
		{name: "empty cells", o: Options{DropEmptyCells: true}, src: nb(`{"source": [" \n", "\u00a0"]}, {"source": "x"}, {"source": []}, {}`), want: nb(`{"source": "x"}`)},
		{
			name: "empty cells of nbformat 3", o: Options{DropEmptyCells: true}, src: `{"worksheets": [{"cells": [{"input": "x"}, {"input": ""}]}]}`,
			want: `{"worksheets": [{"cells": [{"input": "x"}]}]}`,
		},
		{name: "keep_output tag", src: nb(`{"metadata": {"tags": ["keep_output"]}, "outputs": [` + out + `]}`)},
		{name: "keep_output metadata", src: nb(`{"metadata": {"keep_output": true}, "outputs": [` + out + `]}`)},
		{
			name: "init_cell first", src: nb(`{"metadata": {"keep_output": true, "init_cell": 0}, "outputs": [` + out + `]}`),
			want: nb(`{"metadata": {"keep_output": true, "init_cell": 0}, "outputs": []}`),
		},
		{name: "init_cell", src: nb(`{"metadata": {"init_cell": true}, "outputs": [` + out + `]}`)},
		{
			name: "strip init cells", o: Options{StripInitCells: true}, src: nb(`{"metadata": {"init_cell": true}, "outputs": [` + out + `]}`),
			want: nb(`{"metadata": {"init_cell": true}, "outputs": []}`),
		},
		{
			name: "keep_output of the notebook", src: `{"cells": [{"outputs": [` + out + `]}, {"metadata": {"keep_output": false}, "outputs": [` + out + `]}], "metadata": {"keep_output": true}}`,
			want: `{"cells": [{"outputs": [` + out + `]}, {"metadata": {"keep_output": false}, "outputs": []}], "metadata": {"keep_output": true}}`,
		},
		{
			name: "metadata", src: nb(`{"metadata": {"collapsed": true, "a": 1, "scrolled": [1], "hidden": 0, "b": 2, "execution": {"x": 1}}}, {"metadata": {"collapsed": false}}`),
			want: nb(`{"metadata": {"a": 1, "b": 2}}, {"metadata": {}}`),
		},
		{
			name: "keys", o: Options{ExtraKeys: []string{"metadata.a", "cell.metadata.x.y", "cell.metadata.p/q.r", "bad"}, KeepKeys: []string{"cell.metadata.hidden"}},
			src:  `{"cells": [{"metadata": {"hidden": 1, "x": {"y": 1, "z": 2}, "p/q.r": 3}}], "metadata": {"a": 1}}`,
			want: `{"cells": [{"metadata": {"hidden": 1, "x": {"z": 2}}}], "metadata": {}}`,
		},
		{
			name: "only", o: Options{OnlyKeys: []string{"metadata.kernelspec", "cell.metadata.tags"}}, src: `{"metadata": {"x": 1, "kernelspec": {}}, "cells": [{"metadata": {"tags": [], "y": 2}}]}`,
			want: `{"metadata": {"kernelspec": {}}, "cells": [{"metadata": {"tags": []}}]}`,
		},
		{
			name: "max size", o: Options{MaxSize: 16, KeepCount: true}, src: nb(`{"outputs": [` + out + `, {"output_type": "stream", "name": "x", "text": "éééé"}]}`),
			want: nb(`{"outputs": [{"output_type": "stream", "name": "x", "text": "éééé"}]}`),
		},
		{
			name: "max size of numbers", o: Options{MaxSize: 8}, src: nb(`{"outputs": [{"x": 1e5}, {"x": 1e6}, {"x": [NaN, -Infinity]}, {"x": [-Infinity, -Infinity, false]}]}`),
			want: nb(`{"outputs": [{"x": 1e5}, {"x": [NaN, -Infinity]}]}`),
		},
		{name: "keep types", o: Options{KeepTypes: []string{"stream:stdout"}}, src: nb(`{"outputs": [` + result + `,` + out + `]}`), want: nb(`{"outputs": [` + out + `]}`)},
		{name: "drop types", o: Options{KeepOutput: true, KeepCount: true, DropTypes: []string{"stream"}}, src: nb(`{"outputs": [` + out + `,` + result + `,` + out + `]}`), want: nb(`{"outputs": [` + result + `]}`)},
		{name: "outputs with nothing in them", src: nb(`{"outputs": [{"a": [""]}, ` + out + `, {}]}`), want: nb(`{"outputs": [{"a": [""]}, {}]}`)},
		{
			name: "keys inside of what is not looked at first", o: Options{ExtraKeys: []string{"metadata.a.b.c", "cell.outputs.x", "cell.source.y"}},
			src:  `{"metadata": {"a": {"b": {"c": 1, "d": 2}}}, "cells": [{"outputs": {"x": 1, "z": 2}, "source": {"y": 1}}]}`,
			want: `{"metadata": {"a": {"b": {"d": 2}}}, "cells": [{"outputs": {"z": 2}, "source": {}}]}`,
		},
		{name: "zeppelin", src: `{"paragraphs": [{"results": {"code": 1}, "text": "\u0027"}, {"results": {}}]}`, want: `{"paragraphs": [{"results": {}, "text": "\u0027"}, {"results": {}}]}`},
		{
			name: "strange places", src: `{"cells": [1, {"outputs": 3, "metadata": 4, "id": {}}, {"outputs": [5]}], "metadata": [], "worksheets": {}}`,
			want: `{"cells": [1, {"outputs": 3, "metadata": 4, "id": "0"}, {"outputs": []}], "metadata": [], "worksheets": {}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.want
			if want == "" {
				want = c.src
			}
			got, err := Strip([]byte(c.src), c.o)
			if err != nil || string(got) != want {
				t.Fatalf("got  %s (%v)\nwant %s", got, err, want)
			}
			again, err := Strip(got, c.o)
			if err != nil || &again[0] != &got[0] {
				t.Errorf("a second time: %s (%v)", again, err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	if _, err := Strip([]byte(nb(`{"metadata": {"keep_output": false, "tags": ["keep_output"]}}`)), Options{}); !errors.Is(err, ErrContradiction) {
		t.Errorf("contradiction: %v", err)
	}
	for _, src := range []string{"", "[]", `{"cells": [}`, nb("") + "x", "<<<<<<< ours\n"} {
		if out, err := Strip([]byte(src), Options{}); !errors.As(err, new(*notebook.NotNotebookError)) || out != nil {
			t.Errorf("%q: %v", src, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int{"0": 0, "50": 50, "1k": 1000, "2M": 2e6, "1G": 1e9} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "k", "1x", "1.5k", "99999999999999G"} {
		if _, err := ParseSize(s); err == nil {
			t.Errorf("%q is a size", s)
		}
	}
}

// TestStripperForgets strips one notebook after the other with one Stripper.
func TestStripperForgets(t *testing.T) {
	s := New(Options{})
	for _, c := range [][2]string{
		{nb(`{"id": "x", "outputs": [{"text": "long long long"}], "metadata": {"scrolled": true, "keep_output": false}}`), nb(`{"id": "0", "outputs": [], "metadata": {"keep_output": false}}`)},
		{`{"cells": [{"outputs": [1]}], "metadata": {"keep_output": true}}`, `{"cells": [{"outputs": [1]}], "metadata": {"keep_output": true}}`},
		{"[", ""},
		{nb(`{"outputs": [2]}`), nb(`{"outputs": []}`)},
	} {
		got, err := s.Strip([]byte(c[0]))
		if string(got) != c[1] || (err != nil) != (c[1] == "") {
			t.Errorf("%s (%v), want %s", got, err, c[1])
		}
	}
}

// goldens returns the paths of the golden notebooks.
func goldens(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob("../../testdata/notebooks/*/in.ipynb")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no golden notebooks (%v)", err)
	}
	return paths
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// FuzzStrip: no edits return the source; the result is clean and JSON still.
func FuzzStrip(f *testing.F) {
	for _, path := range goldens(f) {
		src := readFile(f, path)
		f.Add(src, uint8(0))
		f.Add(src, uint8(0xff))
	}
	f.Fuzz(func(t *testing.T, src []byte, bits uint8) {
		o := Options{KeepOutput: bits&1 != 0, KeepCount: bits&2 != 0, KeepID: bits&4 != 0, DropEmptyCells: bits&8 != 0, StripInitCells: bits&16 != 0}
		if bits&32 != 0 {
			o.ExtraKeys, o.DropTags, o.DropTypes = []string{"metadata.a.b", "cell.metadata.x", "cell.source"}, []string{"a"}, []string{"error", "stream:stderr"}
		}
		if bits&64 != 0 {
			o.MaxSize, o.KeepTypes = 40, []string{"stream"}
		}
		before := bytes.Clone(src)
		out, err := Strip(src, o)
		if !bytes.Equal(src, before) {
			t.Fatal("the source was changed")
		}
		if err != nil {
			return
		}
		again, err := Strip(out, o)
		if bits&32 != 0 && bits&8 != 0 {
			return // a source that went makes the cell empty
		}
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("not idempotent (%v):\n%s\n%s", err, out, again)
		}
	})
}
