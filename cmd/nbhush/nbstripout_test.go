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

// asNbstripout returns a folder with nbhush and a link to it that is called
// nbstripout. It is built: the program of the tests does not know that name.
func asNbstripout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "nbhush")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.Symlink(program, filepath.Join(dir, "nbstripout")); err != nil {
		t.Skip("no symbolic links here")
	}
	return dir
}

// TestNbstripoutEndToEnd runs nbstripout's end-to-end tests on a link to
// nbhush, in the checkout of nbstripout that NBHUSH_TEST_NBSTRIPOUT names: its
// source distribution lacks their notebooks.
func TestNbstripoutEndToEnd(t *testing.T) {
	python := testPython(t)
	dir := os.Getenv("NBHUSH_TEST_NBSTRIPOUT")
	if dir == "" {
		t.Skip("NBHUSH_TEST_NBSTRIPOUT names no checkout of nbstripout 0.9.1")
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

// TestNbstripoutOwnTests runs the tests of nbstripout's source distribution that
// call it by name. Three more look for "python -m nbstripout" in the settings.
func TestNbstripoutOwnTests(t *testing.T) {
	python := testPython(t)
	dir := t.TempDir()
	out, err := exec.Command(python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--no-binary", "nbstripout", "--dest", dir, "nbstripout=="+nbstripoutVersion).CombinedOutput()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Skipf("the source distribution of nbstripout cannot be had: %s", out)
	}
	archive := filepath.Join(dir, "nbstripout-"+nbstripoutVersion+".tar.gz")
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(python, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-c", os.DevNull, "--rootdir=.",
		"--basetemp="+filepath.Join(t.TempDir(), "pytest"), "tests/test_git_integration.py", "tests/test_diff_from_bash_subshells.py",
		"-k", "(diff or uninstall or extrakeys) and not different_python")
	cmd.Dir = strings.TrimSuffix(archive, ".tar.gz")
	cmd.Env = append(os.Environ(), "PATH="+asNbstripout(t)+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1",
		"GIT_CONFIG_NOSYSTEM=1", "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if out, err = cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("8 passed")) {
		t.Errorf("%v\n%s", err, out)
	}
}
