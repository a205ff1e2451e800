package outputs

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// original runs nbstripout's own function on each case and compares what it
// writes with what it would write of our result: equal but for the form.
const original = `
import json, sys, warnings, nbformat
from nbstripout._utils import strip_output
from nbstripout import _nbstripout
warnings.simplefilter("ignore")
import logging; logging.disable(logging.CRITICAL)
writes = lambda nb: nbformat.versions[nbformat.reader.get_version(nb)[0]].writes_json(nb)
same = 0
for line in sys.stdin:
    c = json.loads(line)
    def load(path):
        text = open(path, encoding="utf-8").read()
        nb = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
        for cell, raw in zip(nb.get("cells", []), json.loads(text).get("cells", [])):
            if "id" in raw: cell["id"] = raw["id"]  # nbformat makes some up
            else: cell.pop("id", None)
        return nb
    try:  # what it cannot read itself
        nb = load(c["src"])
        if "worksheets" in nb and c["args"].get("drop_empty_cells"): continue  # it drops all code cells
        want = writes(strip_output(nb, **c["args"]))
    except Exception: continue
    got = writes(load(c["out"]))
    if got != want:
        import difflib
        print(c["src"], c["args"])
        print("\n".join(list(difflib.unified_diff(want.splitlines(), got.splitlines(), lineterm="", n=1))[:20]))
        sys.exit(1)
    same += 1
print("same", same)
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
	paths, err := filepath.Glob("../../testdata/notebooks/*/in.ipynb")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden notebooks (%v)", err)
	}
	if dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS"); dir != "" {
		more, _ := filepath.Glob(filepath.Join(dir, "*.ipynb"))
		paths = append(paths, more...)
	}
	dir := t.TempDir()
	made := filepath.Join(dir, "made.ipynb")
	if err := os.WriteFile(made, []byte(trials), 0o600); err != nil {
		t.Fatal(err)
	}
	var input bytes.Buffer
	cases := 0
	for _, path := range append(paths, made) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range variants(DefaultKeys()) {
			out, err := Strip(src, v.o)
			if err != nil {
				break
			}
			file := filepath.Join(dir, strconv.Itoa(cases)+".ipynb")
			if err := os.WriteFile(file, out, 0o600); err != nil {
				t.Fatal(err)
			}
			line, _ := json.Marshal(map[string]any{"src": path, "out": file, "args": v.args})
			input.Write(append(line, '\n'))
			cases++
		}
	}
	cmd := exec.Command(python, "-c", original)
	cmd.Stdin = &input
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(got), "same ")))
	if n < 8*10 {
		t.Errorf("only %d of %d compared: %s", n, cases, got)
	}
	t.Logf("%d of %d equal", n, cases)
}

// variant is the same wish for both.
type variant struct {
	o    Options
	args map[string]any
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
