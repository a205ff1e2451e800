//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstall runs install.sh as a new user does: twice, then its uninstall.
// Every file of the home that was there before is as it was, to the byte.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	t.Parallel()
	w := newWorld(t)
	w.mkdir(".config/git")
	w.mkdir(".jupyter")
	w.write(".gitconfig", "[user]\n\tname = Somebody\n# a comment at the end, no newline")
	w.write(".config/git/attributes", "*.png binary\r\n")
	w.write(".jupyter/jupyter_config.py", "c = get_config()\nc.ServerApp.open_browser = False")
	before := w.snapshot()

	install := func(args ...string) string {
		t.Helper()
		root, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		cmd := w.command("", "sh", append([]string{filepath.Join(root, "install.sh")}, args...)...)
		cmd.Env = append(cmd.Env, goEnv(t)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("install.sh %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	install("--dry-run")
	if after := w.snapshot(); !equal(t, before, after) {
		t.Fatal("--dry-run changed something")
	}
	first := install()
	for _, want := range []string{"built nbhush", "secrets are kept in the vault", "searched every git object"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first run does not say %q:\n%s", want, first)
		}
	}
	installed := w.snapshot()
	if second := install("--no-demo"); !strings.Contains(second, "already") {
		t.Errorf("the second run does not say what was there already:\n%s", second)
	}
	if again := w.snapshot(); !equal(t, only(installed, before), only(again, before)) {
		t.Error("the second run changed a file")
	}
	nbhush := filepath.Join(w.dir, ".local/bin/nbhush")
	if out, err := w.command("", nbhush, "doctor").Output(); err != nil {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	cmd := w.command("", nbhush, "set", "KEPT")
	cmd.Stdin = strings.NewReader(randomValue())
	w.run(cmd)

	install("--uninstall")
	if after := w.snapshot(); !equal(t, before, only(after, before)) {
		t.Error("uninstall did not put every file back")
	}
	if _, err := os.Stat(nbhush); err == nil {
		t.Error("the program is still there")
	}
	if _, err := os.Stat(filepath.Join(w.dir, ".local/share/nbhush/vault.age")); err != nil {
		t.Errorf("the secrets did not stay: %v", err)
	}
	install("--no-demo")
	install("--uninstall", "--purge")
	for path := range w.snapshot() {
		if strings.Contains(path, "nbhush") {
			t.Errorf("%s was left behind", path)
		}
	}
}

// goEnv lets a home of its own use the caches of this one.
func goEnv(t *testing.T) (env []string) {
	t.Helper()
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY", "GOTOOLCHAIN"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// snapshot reads every file of the home but the test's own program.
func (w *world) snapshot() map[string]string {
	w.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Dir(w.program) {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			files[path] = string(b)
			return err
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return files
}

// only returns what m holds of the files in of.
func only(m, of map[string]string) map[string]string {
	r := map[string]string{}
	for path := range of {
		if content, ok := m[path]; ok {
			r[path] = content
		}
	}
	return r
}

func equal(t *testing.T, want, got map[string]string) bool {
	t.Helper()
	same := len(want) == len(got)
	for path, content := range want {
		if c, ok := got[path]; !ok || c != content {
			t.Logf("%s differs:\nwant %q\ngot  %q", path, content, c)
			same = false
		}
	}
	return same
}
