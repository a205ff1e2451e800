package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestGitIgnored(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git(dir, "init", "-q")
	write(".gitignore", "data/\n*.out.ipynb\n!kept.out.ipynb\n\"a b\"*\n")
	write("sub/.gitignore", "deep\n")
	for _, name := range []string{"a.ipynb", "x.out.ipynb", "kept.out.ipynb", "tracked.out.ipynb", "data/a.ipynb", "sub/deep/a.ipynb", "other/a.ipynb", "\"a b\".ipynb"} {
		write(name, "{}")
	}
	git(dir, "add", "-f", "tracked.out.ipynb")
	git(filepath.Join(dir, "other"), "init", "-q")

	g := newGitIgnored(t.Context(), dir)
	for range 2 {
		for _, c := range []struct {
			path string
			want bool
		}{
			{"a.ipynb", false},
			{"x.out.ipynb", true},
			{"kept.out.ipynb", false},
			{"tracked.out.ipynb", false},
			{"data", true},
			{"data/a.ipynb", true},
			{"sub", false},
			{"sub/deep", true},
			{"other/a.ipynb", false},
			{"../elsewhere", false}, // git ends at that
			{"\"a b\".ipynb", true},
			{"there is none.out.ipynb", true},
		} {
			if got := g.has(filepath.Join(dir, c.path)); got != c.want {
				t.Errorf("%s: %v", c.path, got)
			}
		}
	}
	if newGitIgnored(t.Context(), filepath.Join(dir, "data")) != nil {
		t.Error("an ignored folder that is named is left out")
	}
	if g := newGitIgnored(t.Context(), t.TempDir()); g.has("/etc/passwd") {
		t.Error("something is ignored outside of a work tree")
	}
}
