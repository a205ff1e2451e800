package outputs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// original runs nbstripout's own functions on each case and compares what they
// write with ours. What they cannot read or write is tried again as Strip left
// it; if they cannot read that either, or write something else the next time,
// ours has kept its form.
const original = `
import collections, io, json, sys, warnings, nbformat, nbformat.validator
from nbstripout._utils import strip_output, strip_zeppelin_output
warnings.simplefilter("ignore")
import logging; logging.disable(logging.CRITICAL)
nbformat.validator.generate_corpus_id = lambda: "made-up"

as_is = lambda nb, **_: nb

def written(src, args, strip=strip_output):
    try:
        text = io.TextIOWrapper(io.BytesIO(src), encoding="utf-8")
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        if args is None:
            nb = json.load(text, object_pairs_hook=collections.OrderedDict)
            json.dump(strip_zeppelin_output(nb), out, indent=2)
            out.write("\n")
        else:
            nbformat.write(strip(nbformat.read(text, as_version=nbformat.NO_CONVERT), **args), out)
        return out.buffer.getvalue()
    except Exception: return None

counts = collections.Counter()
for line in sys.stdin:
    c = json.loads(line)
    src, out, form = (open(c[name], "rb").read() for name in ("src", "out", "form"))
    args, kind = c["args"], "same"
    if b'"worksheets"' in src and (args or {}).get("drop_empty_cells"): continue  # it drops all code cells
    want = written(src, args)
    if want is None: want, kind = written(out, args) and written(out, args, as_is), "same once stripped"
    if want is None and b'"paragraphs"' in src: want, kind = written(src, None), "same as a note"  # we know one when we see it
    if want is None or b'"worksheets"' in src and written(want, args, as_is) != want: want, kind = out, "kept"
    if b'"made-up"' in want: want, kind = form, "made up"  # ids that should have been there, and are to stay
    if form != want:
        import difflib
        print(c["src"], args, kind)
        text = lambda b: b.decode("utf-8", "backslashreplace").splitlines()
        print("\n".join(list(difflib.unified_diff(text(want), text(form), lineterm="", n=1))[:20]))
        sys.exit(1)
    counts[kind] += 1
print(json.dumps(counts))
`

// TestAgainstNbstripout compares with nbstripout itself, over the goldens and the folder that NBHUSH_TEST_NOTEBOOKS names.
func TestAgainstNbstripout(t *testing.T) {
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	switch {
	case python == "" && os.Getenv("CI") == "true":
		t.Fatal("NBHUSH_TEST_PYTHON is not set")
	case python == "":
		t.Skip("NBHUSH_TEST_PYTHON names no python3 with nbstripout")
	}
	paths := goldens(t)
	if dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS"); dir != "" {
		more, _ := filepath.Glob(filepath.Join(dir, "*.ipynb"))
		paths = append(paths, more...)
	}
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	paths = append(paths, file("trials.ipynb", []byte(trials)))
	for i, c := range forms() {
		paths = append(paths, file(fmt.Sprintf("form%d.ipynb", i), []byte(c.src)))
	}
	var input bytes.Buffer
	for i, path := range paths {
		src := readFile(t, path)
		for j, v := range variants(DefaultKeys()) {
			s := New(v.o)
			out, err := s.Strip(src)
			if err != nil {
				break
			}
			out = bytes.Clone(out)
			form, _ := s.Form(out)
			line, err := json.Marshal(map[string]any{
				"src": path, "out": file(fmt.Sprintf("%d-%d.out", i, j), out), "form": file(fmt.Sprintf("%d-%d.form", i, j), form), "args": v.args,
			})
			if err != nil {
				t.Fatal(err)
			}
			input.Write(append(line, '\n'))
		}
	}
	cmd := exec.Command(python, "-c", original)
	cmd.Stdin = &input
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	counts := map[string]int{}
	if err := json.Unmarshal(got, &counts); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	for kind, atLeast := range map[string]int{"same": 500, "same once stripped": 4, "same as a note": 200, "kept": 250} {
		if counts[kind] < atLeast {
			t.Errorf("%q: %d, want %d and more", kind, counts[kind], atLeast)
		}
	}
	t.Logf("%s", got)
}

// variant is the same wish for both.
type variant struct {
	o    Options
	args map[string]any // nil for a Zeppelin note
}

func variants(keys []string) []variant {
	args := func(more map[string]any) map[string]any {
		all := map[string]any{"keep_output": nil, "keep_count": false, "keep_id": false, "extra_keys": keys}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	return []variant{
		{Options{}, args(nil)},
		{Options{KeepOutput: true}, args(map[string]any{"keep_output": true})},
		{Options{KeepCount: true, KeepID: true}, args(map[string]any{"keep_count": true, "keep_id": true})},
		{Options{MaxSize: 300}, args(map[string]any{"max_size": 300})},
		{Options{StripInitCells: true, DropEmptyCells: true}, args(map[string]any{"strip_init_cells": true, "drop_empty_cells": true})},
		{Options{DropTags: []string{"gone"}}, args(map[string]any{"drop_tagged_cells": []string{"gone"}})},
		{Options{KeepTypes: []string{"stream:stderr", "error"}}, args(map[string]any{"keep_output_types": []string{"stream:stderr", "error"}})},
		{Options{KeepOutput: true, DropTypes: []string{"stream", "display_data"}}, args(map[string]any{"keep_output": true, "drop_output_types": []string{"stream", "display_data"}})},
		{Options{Zeppelin: true}, nil},
		{
			Options{ExtraKeys: []string{"metadata.kernelspec.name", "cell.metadata.tags", "cell.source.x", "metadata.language_info"}},
			args(map[string]any{"extra_keys": append(DefaultKeys(), "metadata.kernelspec.name", "cell.metadata.tags", "cell.source.x", "metadata.language_info")}),
		},
	}
}

// trials has every tag and key.
const trials = `{"cells": [
 {"cell_type": "code", "id": "x", "metadata": {"tags": ["keep_output"], "ExecuteTime": {}, "execution": {"a": 1}}, "execution_count": 3, "source": ["1\n", "2"], "outputs": [{"output_type": "stream", "name": "stderr", "text": ["a\n", "b"]}]},
 {"cell_type": "code", "id": "y", "metadata": {"keep_output": true}, "execution_count": 4, "source": "x", "outputs": [{"output_type": "execute_result", "execution_count": 4, "metadata": {}, "data": {"text/plain": ["1"]}}]},
 {"cell_type": "code", "id": "z", "metadata": {"init_cell": true, "trusted": true}, "execution_count": 5, "source": [" \n"], "outputs": [{"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]}]},
 {"cell_type": "markdown", "id": "w", "metadata": {"tags": ["gone"], "collapsed": true, "heading_collapsed": true}, "source": []},
 {"cell_type": "code", "id": "v", "metadata": {"keep_output": false, "scrolled": true, "hidden": true}, "execution_count": 6, "source": [], "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"text/plain": "` + "\u00e9" + `", "application/json": {"a": [1, true, null, false]}}}]}
], "metadata": {"signature": "s", "widgets": {"x": {}}, "kernelspec": {"name": "python3", "display_name": "P"}, "language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
`
