//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPreCommit runs the hooks of .pre-commit-hooks.yaml, as they are committed, by pre-commit itself.
func TestPreCommit(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds nbhush as pre-commit does")
	}
	t.Parallel()
	w := newWorld(t)
	program := filepath.Join(filepath.Dir(w.python), "pre-commit")
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("pre-commit"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("there is no pre-commit; run: make test")
			}
			t.Skip("there is no pre-commit; run: make test")
		}
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	head, err := exec.Command("git", "-C", source, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Skip("these sources are no clone, and pre-commit takes nothing else")
	}
	for _, name := range []string{"GOMODCACHE", "GOCACHE"} { // or it would fetch and build everything anew
		dir, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		w.env = append(w.env, name+"="+string(bytes.TrimSpace(dir)))
	}
	w.env = append(w.env, "CGO_ENABLED=0", "PRE_COMMIT_HOME="+filepath.Join(w.dir, "pre-commit"))
	value := rand.Text() + rand.Text()
	w.setSecret("API_KEY", value)
	w.write("project/.pre-commit-config.yaml", fmt.Sprintf("repos:\n- repo: %s\n  rev: %s\n  hooks:\n  - id: nbhush\n  - id: nbhush-check\n  - id: nbhush-outputs\n    args: [--keep-count]\n",
		source, bytes.TrimSpace(head)))
	w.write("project/a.ipynb", `{"cells": [{"cell_type": "code", "execution_count": 7, "id": "0", "metadata": {}, "outputs": [{"name": "stdout"}], "source": ["key = '`+value+`'"]}],
 "metadata": {}, "nbformat": 4, "nbformat_minor": 5}`+"\n")
	w.git("init", "-q")
	w.git("add", ".")
	check := func(wantPass bool, hooks ...string) {
		t.Helper()
		for _, hook := range hooks {
			out, err := w.command("project", program, "run", "--color=never", hook).CombinedOutput()
			if (err == nil) != wantPass || !bytes.Contains(out, []byte("hook id: "+hook)) && !wantPass || bytes.Contains(out, []byte(value)) {
				t.Errorf("%s: %v\n%s", hook, err, bytes.ReplaceAll(out, []byte(value), []byte("VALUE")))
			}
			w.git("add", "a.ipynb") // what is not staged, pre-commit puts aside
		}
	}
	check(false, "nbhush-check", "nbhush", "nbhush-outputs")
	got := string(w.read("project/a.ipynb"))
	const want = `   "execution_count": 7,
   "id": "0",
   "metadata": {},
   "outputs": [],
   "source": [
    "key = '[nbhush:API_KEY]'"
   ]`
	if !strings.Contains(got, want) || strings.Contains(got, value) {
		t.Errorf("the notebook is %s", strings.ReplaceAll(got, value, "VALUE"))
	}
	check(true, "nbhush-check", "nbhush", "nbhush-outputs")
}
