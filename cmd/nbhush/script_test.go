package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nbhush/nbhush/agent/provider/peers"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"nbhush": main,
	})
}

// tests are those of this package, with a directory that lasts as long as they do.
type tests struct{ *testing.M }

var testDir string

func (m tests) Run() int {
	dir, err := os.MkdirTemp("", "nb")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	testDir = dir
	return m.M.Run()
}

// builtProgram is the path of nbhush as install.sh builds it, made once for all
// tests; nbhush-hook and nbhush-outputs lie beside it.
var builtProgram = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", testDir, ".", "../nbhush-hook").CombinedOutput()
	if err == nil {
		out, err = exec.Command("sh", "../nbhush-outputs/build.sh", filepath.Join(testDir, "nbhush-outputs"), "-s -w").CombinedOutput()
	}
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return filepath.Join(testDir, "nbhush"), nil
})

// program is builtProgram's path, for a test that is not run with -short.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program")
	}
	path, err := builtProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScripts runs testdata/script, the manual by example. Each script has a
// home, a git configuration and an agent of its own; random values are in
// $VALUE and $OTHER, files called value and other.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               setupScript,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"holds":   holds,
			"openbao": openBao,
		},
	})
}

func setupScript(env *testscript.Env) error {
	// A short path: sockets lie below it.
	base, err := os.MkdirTemp("", "nb")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(base) })
	env.Defer(func() {
		// The script's agent, if it started one.
		cmd := exec.Command(filepath.Join(filepath.SplitList(env.Getenv("PATH"))[0], "nbhush"), "agent", "stop")
		cmd.Env = env.Vars
		_ = cmd.Run()
	})
	value, other := randomValue(), randomValue()
	for name, content := range map[string]string{"value": value, "other": other} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(filepath.Join(base, "config"), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(base, "config", "config.toml"), []byte("store = \"vault\"\n"), 0o600); err != nil {
		return err
	}
	env.Vars = append(
		env.Vars,
		"HOME="+home,
		"NBHUSH_HOME="+base,
		"XDG_CONFIG_HOME="+filepath.Join(home, ".config"),
		"XDG_RUNTIME_DIR="+base,
		"DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(base, "no-bus"),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"VALUE="+value, "OTHER="+other,
		"PYTHON="+os.Getenv("NBHUSH_TEST_PYTHON"),
		"SESSION="+filepath.Join(repository, "testdata", "python", "session.py"),
		"NO_COLOR=1",
	)
	return compilers(env)
}

// compilers tells a script, whose home is its own, where Go and Rust have theirs:
// kernels of them compile.
func compilers(env *testscript.Env) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	for name, path := range map[string]string{
		"GOCACHE": filepath.Join(cache, "go-build"), "RUSTUP_HOME": filepath.Join(home, ".rustup"), "CARGO_HOME": filepath.Join(home, ".cargo"),
	} {
		env.Setenv(name, cmp.Or(os.Getenv(name), path))
	}
	return nil
}

// condition knows [jupyter]: NBHUSH_TEST_PYTHON names a Python that has Jupyter.
// In CI that is no question.
func condition(cond string) (bool, error) {
	if cond == "jupyter" {
		_, err := exec.LookPath(os.Getenv("NBHUSH_TEST_PYTHON"))
		return os.Getenv("CI") == "true" || err == nil && os.Getenv("NBHUSH_TEST_PYTHON") != "", nil
	}
	if cond == "keyring" {
		_, err := exec.LookPath("dbus-run-session")
		_, err2 := exec.LookPath("gnome-keyring-daemon")
		return os.Getenv("CI") == "true" || err == nil && err2 == nil, nil
	}
	if cond == "peers" {
		_, err := peers.Program("bao")
		return os.Getenv("CI") == "true" || err == nil, nil
	}
	return false, nil
}

// openBao starts a server that holds $VALUE at secret/team/db#password, and
// writes project/nbhush.toml, which names it, token, and the program bao, which
// is the server's own as root.
func openBao(ts *testscript.TestScript, _ bool, _ []string) {
	dir := ts.MkAbs(".")
	s, err := peers.OpenBao(dir)
	ts.Check(err)
	ts.Defer(s.Stop)
	ts.Check(os.WriteFile(filepath.Join(dir, "token"), []byte(s.Token), 0o600))
	bao, err := peers.Program("bao")
	ts.Check(err)
	root := fmt.Sprintf("#!/bin/sh\nHOME='%s' BAO_ADDR='%s' BAO_CACERT='%s' BAO_TOKEN='%s' exec '%s' \"$@\"\n", dir, s.Address, s.CA, s.Token, bao)
	ts.Check(os.WriteFile(filepath.Join(dir, "bao"), []byte(root), 0o700))
	cmd := exec.Command(filepath.Join(dir, "bao"), "kv", "put", "-mount=secret", "team/db", "password=-")
	cmd.Stdin = strings.NewReader(ts.Getenv("VALUE"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		ts.Fatalf("put the value: %v\n%s", err, out)
	}
	text := fmt.Sprintf(`[secrets]
DB = "openbao://secret/team/db#password"
[providers.openbao]
address = %q
ca = %q
token = "store://BAO_TOKEN"
`, s.Address, s.CA)
	for _, name := range []string{"nbhush.toml", "approved.toml"} {
		ts.Check(os.WriteFile(filepath.Join(dir, "project", name), []byte(text), 0o600))
	}
}

// holds says whether files (or stdout, stderr) hold a secret that the script
// knows, or twelve bytes of it, in any encoding: ! holds stdout leaky.ipynb. Of a
// folder each file counts.
func holds(ts *testscript.TestScript, neg bool, args []string) {
	n := newNeedles(ts.Getenv("VALUE"), ts.Getenv("OTHER"))
	look := func(name string, text []byte) {
		found := n.find(text) >= 0
		if found == neg {
			ts.Fatalf("%s: holds a value: %v", name, found)
		}
	}
	for _, arg := range args {
		root := ts.MkAbs(arg)
		if st, err := os.Stat(root); err != nil || !st.IsDir() {
			look(arg, []byte(ts.ReadFile(arg)))
			continue
		}
		ts.Check(filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				var text []byte
				if text, err = os.ReadFile(path); err == nil {
					look(path, text)
				}
			}
			if path != root && errors.Is(err, fs.ErrNotExist) {
				return nil // whatever ends takes its files along
			}
			return err
		}))
	}
}

// randomValue looks like an API key: one in four thousand would have a single digit
// or none, and then it looks like a name.
func randomValue() string {
	for {
		v := "nk-" + strings.ToLower(rand.Text()) + rand.Text()
		if len(v)-len(strings.Map(notDigit, v)) >= 4 {
			return v
		}
	}
}

func notDigit(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}
