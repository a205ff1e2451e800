//go:build nbstripout

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

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
	if err != nil || !bytes.Contains(out, []byte("passed")) {
		t.Errorf("%v\n%s", err, out)
	}
}
