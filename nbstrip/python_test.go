package nbstrip

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// readers loads pairs of notebooks, before and after, as Jupyter does. What was
// a valid notebook must be one still, and of the same shape unless something was dropped.
const readers = `
import json, nbformat, sys
def shape(x):
    if isinstance(x, dict): return [shape(v) for v in x.values()]
    if isinstance(x, list): return [shape(v) for v in x]
    return "" if isinstance(x, str) else repr(x)
def load(path):
    text = open(path, encoding="utf-8-sig").read()
    nbformat.validate(nbformat.reads(text, as_version=4))
    return shape(json.loads(text))
for before, after, dropped in zip(*[iter(sys.argv[1:])] * 3):
    try: want = load(before)
    except Exception: continue
    got = load(after)
    assert dropped == "dropped" or got == want, after
    print("ok", after)
`

func TestPythonReadsTheResult(t *testing.T) {
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	switch {
	case python == "" && os.Getenv("CI") == "true":
		t.Fatal("NBHUSH_TEST_PYTHON is not set")
	case python == "":
		t.Skip("NBHUSH_TEST_PYTHON names no python3 with nbformat")
	}
	paths, err := filepath.Glob(filepath.Join(goldens, "*", "in.ipynb"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden notebooks (%v)", err)
	}
	values := newValues()
	dir := t.TempDir()
	args := []string{"-c", readers}
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		src := fill(t, path, values)
		res, err := Strip(t.Context(), src, values, Options{})
		if err != nil {
			continue
		}
		before, after, dropped := filepath.Join(dir, name+".before"), filepath.Join(dir, name+".after"), "same"
		if len(res.Dropped) > 0 || name == "digits" {
			dropped = "dropped"
		}
		for path, text := range map[string][]byte{before: src, after: res.Out} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, before, after, dropped)
	}
	out, err := exec.Command(python, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if read := strings.Count(string(out), "ok "); read < 15 {
		t.Errorf("Python read only %d of the notebooks:\n%s", read, out)
	}
}
