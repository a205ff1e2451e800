package startup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func python(t *testing.T) string {
	t.Helper()
	p := os.Getenv("NBHUSH_TEST_PYTHON")
	if p == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON, a python3 with IPython, is not set")
	}
	return p
}

// session runs code in a session of IPython that has the file, and returns all that it prints.
func session(t *testing.T, f File, code string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t), "-m", "IPython", "--colors=NoColor", "--no-banner", "-c", code)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "IPYTHONDIR=" + f.Dir, "PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1"}, env...)
	cmd.Dir = t.TempDir()
	out, _ := cmd.CombinedOutput() // a cell that fails is looked at, too
	return strings.TrimSpace(string(out))
}

func enabled(t *testing.T, program string) File {
	t.Helper()
	f := File{Dir: filepath.Join(t.TempDir(), "ipython"), Binary: filepath.Join(t.TempDir(), "a \"b\" 'c' é\\u0041")}
	if program != "" {
		syscall.ForkLock.RLock() // a fork now would hold the program open for writing
		err := os.WriteFile(f.Binary, []byte(program), 0o700)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	if changed, err := f.Enable(); !changed || err != nil {
		t.Fatalf("%v, %v", changed, err)
	}
	if got := f.Status(); !got.Enabled || got.Stale || got.Binary != f.Binary {
		t.Fatalf("%+v", got)
	}
	return f
}

const look = `import sys; print([f for f in sys.meta_path if "Nbhush" in repr(f)], [n for n in globals() if "nbhush" in n], "hush" in get_ipython().magics_manager.magics["line"])`

// Where it is not wanted, or nbhush has gone, a session is as it would be without.
func TestSilent(t *testing.T) {
	t.Parallel()
	const nothing = "[] [] False"
	there := "#!/bin/sh\nexit 1\n"
	for name, c := range map[string]struct{ program, env string }{
		"nbhush has gone": {"", "X=1"}, "behind nbhush": {there, "NBHUSH_ENDPOINT=ipc:///x"}, "switched off": {there, "NBHUSH=OFF"},
	} {
		if got := session(t, enabled(t, c.program), look, c.env); got != nothing {
			t.Errorf("%s: %q, want %q", name, got, nothing)
		}
	}
	if got := session(t, enabled(t, there), look); strings.Contains(got, nothing) || !strings.HasSuffix(got, "[] True") {
		t.Errorf("with nbhush: %q", got)
	}
}

// A start loads no module and starts no program.
func TestStartLoadsNothing(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "started")
	f := enabled(t, "#!/bin/sh\ntouch "+mark+"\n")
	code := `import sys, time; shell = get_ipython(); source = open(` + "r'" + f.Path() + "'" + `).read(); before = set(sys.modules); begin = time.perf_counter()
exec(compile(source, "f", "exec"), shell.user_ns); took = time.perf_counter() - begin
print(sorted(set(sys.modules) - before)); print("%.2f ms" % (took * 1e3), file=sys.stderr)`
	got := session(t, f, code)
	if !strings.Contains("\n"+got, "\n[]") {
		t.Errorf("it loads %s", got)
	}
	t.Log(got)
	if _, err := os.Stat(mark); err == nil {
		t.Error("nbhush was started")
	}
}

// What keeps nbhush from answering is said in words, where it is asked.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ program, want string }{
		"refused": {`#!/bin/sh` + "\n" + `echo '{"error": {"message": "the agent is locked", "hint": "nbhush agent unlock"}}'`, "ImportError: the agent is locked; nbhush agent unlock"},
		"nothing": {"#!/bin/sh\n", "does not answer"},
		"other":   {"#!/bin/sh\necho hello\n", "does not answer"},
	} {
		for _, code := range []string{"import nbhush", "%hush A"} {
			got := session(t, enabled(t, c.program), code)
			if !strings.Contains(got, c.want) {
				t.Errorf("%s: %s: %q, want %q", name, code, got, c.want)
			}
		}
	}
}

func TestFindDir(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/h/.ipython": {"HOME": "/h"}, "/i": {"HOME": "/h", "IPYTHONDIR": "/i"},
	} {
		if got, err := FindDir(func(name string) string { return env[name] }); err != nil || got != want {
			t.Errorf("%v: %s, %v", env, got, err)
		}
	}
}

func TestAnotherProgram(t *testing.T) {
	f := enabled(t, "")
	g := File{f.Dir, "/elsewhere/nbhush"}
	if st := g.Status(); !st.Enabled || !st.Stale || st.Binary != f.Binary || st.Mend == "" {
		t.Errorf("%+v", st)
	}
	if changed, err := g.Enable(); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if st := g.Status(); st.Stale || st.Binary != g.Binary {
		t.Errorf("%+v", st)
	}
	if changed, err := f.Disable(); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if _, err := os.Stat(f.Dir); err == nil {
		t.Error("the folders that were made for it are left")
	}
	if _, err := (File{f.Dir, "relative"}).Enable(); err == nil {
		t.Error("a relative path was taken")
	}
}

// An edit shows, whatever it is.
func FuzzRead(fz *testing.F) {
	fz.Add("x = 1\n", 3)
	fz.Add("", 0)
	fz.Fuzz(func(t *testing.T, edit string, at int) {
		f := File{t.TempDir(), "/bin/nbhush"}
		if _, err := f.Enable(); err != nil {
			t.Fatal(err)
		}
		was, err := os.ReadFile(f.Path())
		if err != nil {
			t.Fatal(err)
		}
		at = max(0, min(at, len(was)))
		is := string(was[:at]) + edit + string(was[at:])
		if err := os.WriteFile(f.Path(), []byte(is), 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := f.Disable()
		if changed != (is == string(was)) || (err == nil) != changed {
			t.Errorf("edited at %d by %q: %v, %v", at, edit, changed, err)
		}
	})
}
