package gitfilter

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is a home, a repository in it, and git with this test binary as filter.
type world struct {
	*testing.T
	home, dir string
	program   string
	value     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, home: filepath.Join(base, "it's home"), value: rand.Text()}
	w.dir = filepath.Join(w.home, "r")
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if w.program, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOME": w.home, "XDG_CONFIG_HOME": filepath.Join(w.home, ".config"),
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "", "GIT_TERMINAL_PROMPT": "0",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com",
		"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com",
		"NBHUSH_TEST_FILTER": filepath.Join(base, "value"), "LC_ALL": "C",
		"GORACE": "atexit_sleep_ms=0", // otherwise each filter takes a second to end
	} {
		t.Setenv(name, value)
	}
	if err := os.Unsetenv("GIT_CONFIG_GLOBAL"); err != nil {
		t.Fatal(err)
	}
	w.lock(false)
	w.git("init", "-q", "-b", "main")
	return w
}

// lock makes the filter's Finder fail, or find again.
func (w *world) lock(locked bool) {
	w.Helper()
	file := os.Getenv("NBHUSH_TEST_FILTER")
	if err := os.Remove(file); locked && err != nil {
		w.Fatal(err)
	}
	if !locked {
		if err := os.WriteFile(file, []byte(w.value), 0o600); err != nil {
			w.Fatal(err)
		}
	}
}

// try runs git in the repository.
func (w *world) try(args ...string) (stdout, stderr string, err error) {
	w.Helper()
	var out, words bytes.Buffer
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, &out, &words
	err = cmd.Run()
	return out.String(), words.String(), err
}

func (w *world) git(args ...string) string {
	w.Helper()
	out, words, err := w.try(args...)
	if err != nil {
		w.Fatalf("git %q: %v\n%s", args, err, words)
	}
	return out
}

func (w *world) options(global bool) Options {
	return Options{Global: global, Dir: w.dir, Program: w.program, Getenv: os.Getenv}
}

func (w *world) install(global bool) {
	w.Helper()
	if _, err := Install(w.Context(), w.options(global)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(name, content string) {
	w.Helper()
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(name)))
	if err != nil {
		w.Fatal(err)
	}
	return string(b)
}

// touch makes git look at the content again.
func (w *world) touch(names ...string) {
	w.Helper()
	for _, name := range names {
		when := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(w.dir, name), when, when); err != nil {
			w.Fatal(err)
		}
	}
}

// noObjectHolds searches every object of the repository for the value.
func (w *world) noObjectHolds(value string) {
	w.Helper()
	if strings.Contains(w.git("cat-file", "--batch-all-objects", "--batch"), value) {
		w.Error("a git object holds the value")
	}
}

func TestAddStoresTheCleanNotebook(t *testing.T) {
	for _, way := range []struct{ name, broken string }{
		{"process", "clean"}, // the other one is set to false, to prove which one ran
		{"clean", "smudge"},  // a git before 2.11 knows no process
	} {
		t.Run(way.name, func(t *testing.T) {
			w := newWorld(t)
			w.install(false)
			if way.name == "process" {
				w.git("config", "filter.nbhush.clean", "false")
				w.git("config", "filter.nbhush.smudge", "false")
			} else {
				w.git("config", "--unset", "filter.nbhush.process")
				w.git("config", "filter.nbhush.smudge", "cat")
			}
			src := notebook(w.value)
			w.write("a b.ipynb", src)
			w.write("deep/ü.ipynb", src)
			w.write("other.txt", "x")
			w.git("add", ".")
			for _, name := range []string{"a b.ipynb", "deep/ü.ipynb"} {
				if got, want := w.git("show", ":"+name), notebook("[nbhush:CANARY]"); got != want {
					t.Errorf("%s: %s", name, got)
				}
				if w.read(name) != src {
					t.Errorf("%s was changed", name)
				}
			}
			w.noObjectHolds(w.value)
			if got := w.git("status", "--porcelain"); strings.Contains(got, " M") {
				t.Errorf("status: %s", got)
			}
			w.git("commit", "-q", "-m", "one")
			w.touch("a b.ipynb")
			if got := w.git("diff"); got != "" {
				t.Errorf("diff: %s", got)
			}
			if err := os.Remove(filepath.Join(w.dir, "a b.ipynb")); err != nil {
				t.Fatal(err)
			}
			w.git("checkout", "--", ".")
			if got := w.read("a b.ipynb"); got != notebook("[nbhush:CANARY]") {
				t.Errorf("checked out: %s", got)
			}
		})
	}
}

// TestLocked: nothing unchecked is stored while the agent is locked, and what
// stores nothing goes on to work. Before each case: leaky.ipynb holds the value
// in the work tree and a name in the index; plain.ipynb is equal in both; both
// have a new time, so that git must compare them.
func TestLocked(t *testing.T) {
	for _, c := range []struct {
		name    string
		git     []string
		refused bool
		before  func(*world)
	}{
		{name: "status", git: []string{"status", "--porcelain"}},
		{name: "status by alias", git: []string{"-c", "alias.st=status -sb", "st"}},
		{name: "diff", git: []string{"diff"}},
		{name: "diff HEAD", git: []string{"diff", "HEAD", "--", "leaky.ipynb"}},
		{name: "diff that can be applied", git: []string{"diff", "--binary"}, refused: true},
		{name: "log", git: []string{"log", "-p"}},
		{name: "blame", git: []string{"blame", "leaky.ipynb"}},
		{name: "checkout -b", git: []string{"checkout", "-q", "-b", "new"}},
		{name: "checkout another branch", git: []string{"checkout", "-q", "side"}},
		{name: "checkout files", git: []string{"checkout", "--", "leaky.ipynb"}},
		{name: "switch -m", git: []string{"switch", "-q", "-m", "side"}, refused: true},
		{name: "reset --hard", git: []string{"reset", "-q", "--hard"}},
		{name: "add unchanged", git: []string{"add", "plain.ipynb"}},
		{name: "add", git: []string{"add", "leaky.ipynb"}, refused: true},
		{name: "add all", git: []string{"add", "."}, refused: true},
		{
			name: "add new", git: []string{"add", "new.ipynb"}, refused: true,
			before: func(w *world) { w.write("new.ipynb", notebook("x")) },
		},
		{name: "add -p", git: []string{"add", "-p"}, refused: true},
		{name: "commit -a", git: []string{"commit", "-q", "-a", "-m", "x"}, refused: true},
		{
			name: "commit of the index", git: []string{"commit", "-q", "-m", "x"},
			before: func(w *world) { w.write("t.txt", "x"); w.git("add", "t.txt") },
		},
		{name: "stash", git: []string{"stash"}, refused: true},
		{name: "merge", git: []string{"merge", "-q", "side"}, refused: true},
		{
			name: "merge, clean notebooks", git: []string{"merge", "-q", "side"},
			before: func(w *world) { w.git("checkout", "--", "leaky.ipynb"); w.touch("leaky.ipynb") },
		},
		{name: "rebase", git: []string{"rebase", "-q", "side"}, refused: true},
		{
			name: "rebase, clean notebooks", git: []string{"rebase", "-q", "side"},
			before: func(w *world) { w.git("checkout", "--", "leaky.ipynb"); w.touch("leaky.ipynb") },
		},
		{name: "hash-object", git: []string{"hash-object", "-w", "leaky.ipynb"}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.install(false)
			w.write("leaky.ipynb", notebook(w.value))
			w.write("plain.ipynb", notebook("plain"))
			w.git("add", ".")
			w.git("commit", "-q", "-m", "one")
			w.git("branch", "side")
			w.write("main.txt", "x")
			w.git("add", ".")
			w.git("commit", "-q", "-m", "two")
			w.git("switch", "-q", "side")
			w.write("side.txt", "x")
			w.git("add", ".")
			w.git("commit", "-q", "-m", "three")
			w.git("switch", "-q", "main")
			w.touch("leaky.ipynb", "plain.ipynb")
			if c.before != nil {
				c.before(w)
			}
			index, leaky, head := w.git("ls-files", "-s"), w.read("leaky.ipynb"), w.git("rev-parse", "HEAD")
			w.lock(true)
			out, words, err := w.try(c.git...)
			if (err != nil) != c.refused {
				t.Fatalf("refused: %v, want %v\n%s%s", err, c.refused, out, words)
			}
			if strings.Contains(out+words, w.value) {
				t.Errorf("the value was shown:\n%s%s", out, words)
			}
			if n := strings.Count(words, "agent is locked"); n > 1 {
				t.Errorf("said %d times:\n%s", n, words)
			}
			w.noObjectHolds(w.value)
			if c.refused {
				if !strings.Contains(words, "is not stored: agent is locked") {
					t.Errorf("words: %s", words)
				}
				if d := cmp.Diff(index+leaky+head, w.git("ls-files", "-s")+w.read("leaky.ipynb")+w.git("rev-parse", "HEAD")); d != "" {
					t.Errorf("something happened all the same:\n%s", d)
				}
			}
			w.lock(false)
			if _, words, err := w.try("fsck", "--strict"); err != nil {
				t.Errorf("fsck: %s", words)
			}
		})
	}
}

func TestLockedDiffCannotBeApplied(t *testing.T) {
	w := newWorld(t)
	w.install(false)
	w.write("a.ipynb", notebook("before"))
	w.git("add", ".")
	w.git("commit", "-q", "-m", "one")
	w.write("a.ipynb", notebook(w.value))
	w.lock(true)
	patch := w.git("diff")
	if !strings.Contains(patch, "Binary files") {
		t.Errorf("diff: %s", patch)
	}
	w.write("p", patch)
	if _, _, err := w.try("apply", "--cached", "p"); err == nil {
		t.Error("the patch was applied to the index")
	}
	if got := w.git("status", "--porcelain", "a.ipynb"); got != " M a.ipynb\n" {
		t.Errorf("status: %q", got)
	}
}

func TestConflict(t *testing.T) {
	w := newWorld(t)
	w.install(false)
	w.write("a.ipynb", notebook("base"))
	w.git("add", ".")
	w.git("commit", "-q", "-m", "base")
	w.git("switch", "-q", "-c", "side")
	w.write("a.ipynb", notebook("theirs "+w.value))
	w.git("commit", "-q", "-a", "-m", "theirs")
	w.git("switch", "-q", "main")
	w.write("a.ipynb", notebook("ours"))
	w.git("commit", "-q", "-a", "-m", "ours")
	if _, _, err := w.try("merge", "side"); err == nil {
		t.Fatal("no conflict")
	}
	conflict := w.read("a.ipynb")
	if !strings.Contains(conflict, "<<<<<<<") || strings.Contains(conflict, w.value) {
		t.Fatalf("conflict: %s", conflict)
	}
	w.git("status")
	w.git("diff")
	w.git("add", "a.ipynb") // free of values: text like any other
	if got := w.git("show", ":a.ipynb"); got != conflict {
		t.Errorf("stored: %s", got)
	}

	w.write("a.ipynb", conflict+w.value+"\n")
	_, words, err := w.try("add", "a.ipynb")
	if err == nil || !strings.Contains(words, "line ") || strings.Contains(words, w.value) {
		t.Errorf("add: %v, %s", err, words)
	}
	w.git("status")
	if out := w.git("diff"); strings.Contains(out, w.value) {
		t.Errorf("diff: %s", out)
	}
	if got := w.git("show", ":a.ipynb"); got != conflict {
		t.Errorf("stored after all: %s", got)
	}
	w.noObjectHolds(w.value)
}

func TestGlobalCloneAndWorktree(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.write("a.ipynb", notebook(w.value))
	w.git("add", ".")
	w.git("commit", "-q", "-m", "one")
	first := w.dir
	w.git("clone", "-q", first, filepath.Join(w.home, "clone"))
	w.git("worktree", "add", "-q", filepath.Join(w.home, "tree"))
	w.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", first, "sub")
	for _, dir := range []string{filepath.Join(w.home, "clone"), filepath.Join(w.home, "tree"), filepath.Join(first, "sub")} {
		w.dir = dir
		if got := w.read("a.ipynb"); got != notebook("[nbhush:CANARY]") {
			t.Errorf("%s: %s", dir, got)
		}
		w.write("b.ipynb", notebook(w.value))
		w.git("add", "b.ipynb")
		w.noObjectHolds(w.value)
		// The same for a repository's own settings.
		w.install(false)
		s, err := Inspect(t.Context(), w.options(false))
		if err != nil || !s.Installed || !s.Works || len(s.Problems) > 0 {
			t.Errorf("%s: %+v, %v", dir, s, err)
		}
		if _, err := Uninstall(t.Context(), w.options(false)); err != nil {
			t.Error(err)
		}
	}
}

// TestMissingProgram states what git does when nbhush was removed by hand: it
// neither stores nor checks out notebooks, and one command ends that.
func TestMissingProgram(t *testing.T) {
	w := newWorld(t)
	w.install(true)
	w.write("a.ipynb", notebook(w.value))
	w.git("add", ".")
	w.git("commit", "-q", "-m", "one")
	o := w.options(true)
	o.Program = filepath.Join(w.home, "gone")
	if _, err := Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.write("b.ipynb", notebook(w.value))
	if _, _, err := w.try("add", "b.ipynb"); err == nil {
		t.Error("git add went well")
	}
	if got := w.git("ls-files"); got != "a.ipynb\n" {
		t.Errorf("staged: %s", got)
	}
	w.noObjectHolds(w.value)
	if err := os.Remove(filepath.Join(w.dir, "a.ipynb")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.try("checkout", "--", "a.ipynb"); err == nil {
		t.Error("checkout works by now: say so in the help of nbhush git")
	}
	s, err := Inspect(t.Context(), o)
	if err != nil || s.Works || len(s.Problems) == 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
	w.git("config", "--global", "--remove-section", "filter.nbhush")
	w.git("checkout", "--", "a.ipynb")
	// And the lines that are left do not stand in the way of another install.
	w.install(true)
	if s, err := Inspect(t.Context(), w.options(true)); err != nil || !s.Works || len(s.Problems) > 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
}

// snapshot is every path below dir with its mode and content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		case !d.IsDir():
			var b []byte
			b, err = os.ReadFile(path)
			content = string(b)
		}
		m[path] = info.Mode().String() + " " + content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUninstallRestoresEveryByte(t *testing.T) {
	put := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		global bool
		before func(*testing.T, *world)
	}{
		{"nothing there, global", true, func(*testing.T, *world) {}},
		{"nothing there, local", false, func(*testing.T, *world) {}},
		{"no final newline", false, func(t *testing.T, w *world) {
			put(t, filepath.Join(w.dir, ".gitattributes"), "*.txt text")
			put(t, filepath.Join(w.dir, ".git", "config"), w.read(".git/config")+"[user]\r\n\tname = x")
		}},
		{"own files, global", true, func(t *testing.T, w *world) {
			put(t, filepath.Join(w.home, ".gitconfig"), "# mine\n\n[user]\n\tname = x\n")
			put(t, filepath.Join(w.home, ".config/git/attributes"), "*.ipynb diff=jupyternotebook\n\n")
		}},
		{"xdg config", true, func(t *testing.T, w *world) {
			put(t, filepath.Join(w.home, ".config/git/config"), "[user]\n\tname = x")
		}},
		{"links and a file of one's own", true, func(t *testing.T, w *world) {
			put(t, filepath.Join(w.home, "dot/gitconfig"), "[core]\n\tattributesFile = ~/dot/attr\n")
			put(t, filepath.Join(w.home, "dot/attr"), "")
			if err := os.Symlink("dot/gitconfig", filepath.Join(w.home, ".gitconfig")); err != nil {
				t.Skip("no symbolic links here")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.before(t, w)
			before := snapshot(t, w.home)
			w.install(c.global)
			s, err := Inspect(t.Context(), w.options(c.global))
			if err != nil || !s.Installed || !s.Works || len(s.Problems) > 0 {
				t.Errorf("status: %+v, %v", s, err)
			}
			w.write("a.ipynb", notebook(w.value))
			if got := w.git("check-attr", "filter", "a.ipynb"); !strings.Contains(got, "nbhush") {
				t.Errorf("check-attr: %s", got)
			}
			if err := os.Remove(filepath.Join(w.dir, "a.ipynb")); err != nil {
				t.Fatal(err)
			}

			// Again: nothing to do. Another path: an upgrade in place.
			if changed, err := Install(t.Context(), w.options(c.global)); err != nil || len(changed) > 0 {
				t.Errorf("a second time: %v, %v", changed, err)
			}
			moved := w.options(c.global)
			moved.Program = "/else where/nbhush"
			if changed, err := Install(t.Context(), moved); err != nil || len(changed) != 1 {
				t.Errorf("an upgrade: %v, %v", changed, err)
			}

			if _, err := Uninstall(t.Context(), w.options(c.global)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(before, snapshot(t, w.home)); d != "" {
				t.Errorf("not as before (-before +after):\n%s", d)
			}
			if changed, err := Uninstall(t.Context(), w.options(c.global)); err != nil || len(changed) > 0 {
				t.Errorf("a second time: %v, %v", changed, err)
			}
		})
	}
}

func TestCommittedAttributesStay(t *testing.T) {
	w := newWorld(t)
	w.install(false)
	w.git("add", ".")
	w.git("commit", "-q", "-m", "one")
	clone := filepath.Join(w.home, "clone")
	w.git("clone", "-q", w.dir, clone)
	w.dir = clone
	before := w.read(".gitattributes") + w.read(".git/config")
	w.install(false)
	if _, err := Uninstall(t.Context(), w.options(false)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, w.read(".gitattributes")+w.read(".git/config")); d != "" {
		t.Errorf("not as before:\n%s", d)
	}
}

func TestOtherFilters(t *testing.T) {
	w := newWorld(t)
	w.write(".gitattributes", "*.ipynb filter=nbstripout diff=ipynb\n")
	var hint interface{ Hint() string }
	if _, err := Install(t.Context(), w.options(false)); !errors.As(err, &hint) || !strings.Contains(err.Error(), "nbstripout") {
		t.Fatalf("got %v", err)
	}
	o := w.options(false)
	o.Force = true
	if _, err := Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if s, err := Inspect(t.Context(), o); err != nil || len(s.Others) != 2 || len(s.Problems) > 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
	if got := w.git("check-attr", "diff", "filter", "--", "a.ipynb"); got != "a.ipynb: diff: ipynb\na.ipynb: filter: nbhush\n" {
		t.Errorf("attributes: %s", got)
	}

	// Lines that win over ours: a later one, a deeper one, and info/attributes.
	w.write("data/.gitattributes", "*.ipynb filter=lfs\n")
	w.git("config", "filter.lfs.clean", "cat")
	w.write("data/a.ipynb", notebook("x"))
	w.git("add", ".")
	if s, err := Inspect(t.Context(), o); err != nil || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "data/a.ipynb goes through the filter lfs") {
		t.Errorf("status: %+v, %v", s, err)
	}
	w.write(".git/info/attributes", "*.ipynb filter=nbstripout\n")
	s, err := Inspect(t.Context(), o)
	if err != nil || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "the filter nbstripout") {
		t.Errorf("status: %+v, %v", s, err)
	}
	if n := len(s.Others); n == 0 || s.Others[n-1].File != filepath.Join(w.dir, ".git", "info", "attributes") {
		t.Errorf("others: %+v", s.Others)
	}
}

func TestNotRequired(t *testing.T) {
	w := newWorld(t)
	w.install(false)
	w.git("config", "filter.nbhush.required", "false")
	if s, err := Inspect(t.Context(), w.options(false)); err != nil || !s.Works || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "required") {
		t.Errorf("status: %+v, %v", s, err)
	}
	w.install(false)
	if s, err := Inspect(t.Context(), w.options(false)); err != nil || len(s.Problems) > 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
}

func TestNoWorkTree(t *testing.T) {
	for _, c := range []struct {
		name, want string
		before     func(*testing.T, *world)
	}{
		{"no repository", "is in no git repository", func(_ *testing.T, w *world) { w.dir = w.home }},
		{"bare", "is a bare repository", func(_ *testing.T, w *world) {
			w.git("init", "-q", "--bare", filepath.Join(w.home, "bare"))
			w.dir = filepath.Join(w.home, "bare")
		}},
		{"somebody else's", "belongs to another user", func(t *testing.T, w *world) {
			if os.Getuid() != 0 {
				t.Skip("only root can give a folder away")
			}
			for _, path := range []string{w.dir, filepath.Join(w.dir, ".git")} {
				if err := os.Chown(path, 12345, 12345); err != nil {
					t.Skip(err)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.before(t, w)
			var hint interface{ Hint() string }
			_, err := Install(t.Context(), w.options(false))
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &hint) {
				t.Errorf("got %v, want %s and a hint", err, c.want)
			}
		})
	}
}

func TestGitDirInEnvironment(t *testing.T) {
	w := newWorld(t)
	t.Setenv("GIT_DIR", filepath.Join(w.dir, ".git"))
	t.Setenv("GIT_WORK_TREE", w.dir)
	inside := w.dir
	w.dir = filepath.Join(inside, "deep")
	w.write("a.ipynb", notebook(w.value))
	w.install(false)
	if !exists(filepath.Join(inside, ".gitattributes")) {
		t.Error("the attributes are not at the top of the work tree")
	}
	w.git("add", "a.ipynb")
	w.noObjectHolds(w.value)
}

func TestConfigIsLocked(t *testing.T) {
	w := newWorld(t)
	w.write(".git/config.lock", "")
	var hint interface{ Hint() string }
	if _, err := Install(t.Context(), w.options(false)); !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "config.lock") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(w.read(".git/config"), "nbhush") {
		t.Error("the file was written under somebody's lock")
	}
}
