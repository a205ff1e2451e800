//go:build nbstripout

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rewritten are the cases of nbstripout's end-to-end tests in which the file
// that it expects also has another form than the one it was made of (indent, order
// of members, escapes). Ours keeps the form, so these are compared by what Python reads.
var rewritten = []struct {
	in, want string
	args     []string
}{
	{"test_metadata_period.ipynb", "test_metadata_period.ipynb.expected", []string{
		"--extra-keys",
		"cell.metadata.application/vnd.databricks.v1+cell metadata.application/vnd.databricks.v1+notebook",
	}},
	{"test_nbformat2.ipynb", "test_nbformat2.ipynb.expected", nil},
	{"test_missing_nbformat.ipynb", "test_missing_nbformat.ipynb.expected", nil},
	{"test_zeppelin.zpln", "test_zeppelin.zpln.expected", []string{"--mode", "zeppelin"}},
}

// TestNbstripoutEndToEnd runs nbstripout's end-to-end tests on a link to
// nbhush-outputs, in the checkout of nbstripout that NBHUSH_TEST_NBSTRIPOUT names: its
// source distribution lacks their notebooks, hence the build tag:
//
//	NBHUSH_TEST_NBSTRIPOUT=… go test -tags nbstripout -run TestNbstripoutEndToEnd ./cmd/nbhush
func TestNbstripoutEndToEnd(t *testing.T) {
	python := testPython(t)
	dir := os.Getenv("NBHUSH_TEST_NBSTRIPOUT")
	if dir == "" {
		t.Fatal("NBHUSH_TEST_NBSTRIPOUT names no checkout of nbstripout 0.9.1")
	}
	exe := filepath.Join(asNbstripout(t), "nbstripout")
	cmd := exec.Command(python, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-c", os.DevNull, "--rootdir=.",
		"--basetemp="+filepath.Join(t.TempDir(), "pytest"), "tests/test_end_to_end.py")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NBSTRIPOUT_EXE="+exe, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if !bytes.Contains(out, []byte("passed")) {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, failed := range regexp.MustCompile(`(?m)^FAILED .*`).FindAllString(string(out), -1) {
		known := false
		for _, r := range rewritten {
			known = known || strings.Contains(failed, "[False-"+r.in+"-"+r.want+"-")
		}
		if !known {
			t.Errorf("%s", failed)
		}
	}
	for _, r := range rewritten {
		folder := filepath.Join(dir, "tests", "e2e_notebooks")
		in, err := os.Open(filepath.Join(folder, r.in))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe, r.args...)
		cmd.Stdin = in
		got, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", r.in, err)
		}
		want, err := os.ReadFile(filepath.Join(folder, r.want))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(readJSON(t, want), readJSON(t, got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", r.in, d)
		}
		_ = in.Close()
	}
}

func readJSON(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
