package home

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// abs returns an absolute path on this system, below its root.
func abs(elem ...string) string {
	root := "/"
	if runtime.GOOS == "windows" {
		root = `C:\`
	}
	return root + filepath.Join(elem...)
}

func find(t *testing.T, env map[string]string) Home {
	t.Helper()
	h, err := Find(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestFind(t *testing.T) {
	user := abs("u")
	for _, c := range []struct {
		name string
		env  map[string]string
		want Home // without Run where that is a temporary directory
	}{
		{"NBHUSH_HOME", map[string]string{"NBHUSH_HOME": abs("n"), "HOME": user, "XDG_DATA_HOME": abs("x")}, Home{
			abs("n", "config"), abs("n", "data"), abs("n", "state"), abs("n", "cache"), abs("n", "run"),
		}},
		{"XDG", map[string]string{
			"HOME": user, "XDG_CONFIG_HOME": abs("c"), "XDG_DATA_HOME": abs("d"), "XDG_STATE_HOME": abs("s"),
			"XDG_CACHE_HOME": abs("k"), "XDG_RUNTIME_DIR": abs("r"),
		}, Home{abs("c", "nbhush"), abs("d", "nbhush"), abs("s", "nbhush"), abs("k", "nbhush"), abs("r", "nbhush")}},
		{"only HOME", map[string]string{"HOME": user}, Home{
			abs("u", ".config", "nbhush"), abs("u", ".local", "share", "nbhush"), abs("u", ".local", "state", "nbhush"), abs("u", ".cache", "nbhush"), "",
		}},
		{"relative XDG is ignored", map[string]string{
			"HOME": user, "XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": "./d", "XDG_STATE_HOME": "..", "XDG_CACHE_HOME": "k", "XDG_RUNTIME_DIR": "r",
		}, Home{
			abs("u", ".config", "nbhush"), abs("u", ".local", "share", "nbhush"), abs("u", ".local", "state", "nbhush"), abs("u", ".cache", "nbhush"), "",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := find(t, c.env)
			if c.want.Run == "" {
				if filepath.Dir(got.Run) != filepath.Clean(os.TempDir()) {
					t.Errorf("run %s is not in the temporary directory", got.Run)
				}
				got.Run = ""
			}
			if got != c.want {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestFindRelativeHome(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got := find(t, map[string]string{"NBHUSH_HOME": "n"}); got.Data != filepath.Join(here, "n", "data") {
		t.Errorf("data %s is not below %s", got.Data, here)
	}
}

// A socket's path must fit into 104 bytes, however deep the home is, and each
// home must have a socket of its own.
func TestDeepHome(t *testing.T) {
	deep := func(last string) Home {
		return find(t, map[string]string{"NBHUSH_HOME": abs(strings.Repeat("deep/", 40), last)})
	}
	a, b := deep("a"), deep("b")
	if filepath.Dir(a.Run) != filepath.Clean(os.TempDir()) {
		t.Errorf("run %s is not in the temporary directory", a.Run)
	}
	if a.Run == b.Run {
		t.Error("two homes share one run directory")
	}
	if again := deep("a"); again != a {
		t.Errorf("the same home is %+v and %+v", a, again)
	}
	runtimeDir := find(t, map[string]string{"HOME": abs("u"), "XDG_RUNTIME_DIR": abs(strings.Repeat("deep/", 40))})
	if filepath.Dir(runtimeDir.Run) != filepath.Clean(os.TempDir()) {
		t.Errorf("run %s is not in the temporary directory", runtimeDir.Run)
	}
	if short := find(t, map[string]string{"NBHUSH_HOME": abs("n")}); len(short.Socket()) > 104 {
		t.Errorf("socket %s is too long", short.Socket())
	}
}

// Each file lies in the directory that the package's table says, and no two are one.
func TestFiles(t *testing.T) {
	h := find(t, map[string]string{"NBHUSH_HOME": abs("n")})
	seen := map[string]bool{}
	for path, dir := range map[string]string{
		h.ConfigFile(): h.Config, h.Vault(): h.Data, h.Index(): h.Data, h.Allowed(): h.Data, h.Jupyter(): h.Data,
		h.Audit(): h.State, h.AgentLog(): h.State, h.Socket(): h.Run, h.AgentLock(): h.Run,
	} {
		if filepath.Dir(path) != dir {
			t.Errorf("%s is not in %s", path, dir)
		}
		seen[path] = true
	}
	if len(seen) != 9 {
		t.Errorf("%d different paths, want 9", len(seen))
	}
}
