package kernelhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rig is a place with an agent, in which scripts start kernels behind the hook.
type rig struct {
	t           *testing.T
	run, agent  string
	python      string
	values      map[string]testValue
	log         bytes.Buffer // stdout of the hooks and stderr of everything
	environment []string
}

// newRig makes random values: TOKEN is granted at the start, ASKED can be asked
// for, OTHER is known and denied.
func newRig(t *testing.T) *rig {
	t.Helper()
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON, a python3 with ipykernel and nbclient, is not set")
	}
	dir, err := os.MkdirTemp("", "kh") // t.TempDir is too deep for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{t: t, run: filepath.Join(dir, "run"), agent: filepath.Join(dir, "agent"), python: python}
	r.values = map[string]testValue{
		"TOKEN": {Value: "t0-" + rand.Text(), Granted: true, Allowed: true},
		"ASKED": {Value: "a0-" + rand.Text(), Allowed: true},
		"OTHER": {Value: "o0-" + rand.Text()},
	}
	if err := os.Mkdir(r.agent, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r.values)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.agent, "values.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// script runs testdata/name and returns the objects that it printed, one by one.
func (r *rig) script(name string, args ...string) []map[string]any {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	hook, err := json.Marshal([]string{self, "hook", r.run, r.agent})
	if err != nil {
		r.t.Fatal(err)
	}
	limit, done := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer done()
	cmd := exec.CommandContext(limit, r.python, append([]string{filepath.Join("testdata", name)}, args...)...)
	cmd.Env = append(os.Environ(), "NBHUSH_TEST_HOOK="+string(hook), "NBHUSH_TEST_AGENT="+r.agent,
		"PYTHONDONTWRITEBYTECODE=1", "IPYTHONDIR="+filepath.Join(filepath.Dir(r.run), "ipython"),
		"JUPYTER_RUNTIME_DIR="+filepath.Join(filepath.Dir(r.run), "jupyter"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &r.log
	err = cmd.Run()
	var told []map[string]any
	for line := range strings.Lines(out.String()) {
		o := map[string]any{}
		if json.Unmarshal([]byte(line), &o) != nil {
			r.log.WriteString(line) // what a kernel printed on its own stdout
			continue
		}
		told = append(told, o)
	}
	if err != nil {
		r.t.Fatalf("%s: %v\n%s\n%v", name, err, r.log.String(), told)
	}
	r.clean(out.String())
	return told
}

// clean fails if a value is in text or in the log, which never holds one.
func (r *rig) clean(text string) {
	r.t.Helper()
	for name, v := range r.values {
		if strings.Contains(text+r.log.String(), v.Value) {
			r.t.Errorf("the value of %s was delivered", name)
		}
	}
}

// gone fails if a hook left something behind.
func (r *rig) gone() {
	r.t.Helper()
	left, err := os.ReadDir(r.run)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range left {
		r.t.Errorf("%s is left", e.Name())
	}
}

// same fails if what a script told is not want, which is JSON.
func same(t *testing.T, told map[string]any, want string) {
	t.Helper()
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(told)
	norm, _ := json.Marshal(w)
	if !bytes.Equal(got, norm) {
		t.Errorf("got  %s\nwant %s", got, norm)
	}
}

// A cell reads a secret from its environment, or asks for it, and prints it.
func TestFirstCell(t *testing.T) {
	r := newRig(t)
	told := r.script("first.py")
	same(t, told[0], `{"stream":"T=[nbhush:TOKEN]\n","result":"42","count":1,"types":["status","execute_input","stream","execute_result","status"]}`)
	same(t, told[1], `{"result":"[nbhush:ASKED]","stream":"True\n"}`)
	same(t, told[2], `{"end":false}`)
	r.gone()
}
