package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asNbstripout returns a folder with a link to nbhush that is called nbstripout.
// It is a built one: the program of the tests does not know that name.
func asNbstripout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, err := builtProgram()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "nbstripout")); err != nil {
		t.Skip("no symbolic links here")
	}
	return dir
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
