package jupyter

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newExtension(t *testing.T) (Extension, string) {
	home := t.TempDir()
	return Extension{
		Config: filepath.Join(home, ".jupyter"), Data: filepath.Join(home, "share", "jupyter"), Folder: filepath.Join(home, "data", "jupyter"), Binary: filepath.Join(home, "nb\"hush\\é\xff"),
	}, home
}

// tree is the content of every file below dir, and "" for a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			all[path] = ""
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDisableRestores(t *testing.T) {
	for name, before := range map[string][]string{
		"nothing":      nil,
		"a folder":     {".jupyter/"},
		"both folders": {".jupyter/jupyter_server_config.d/"},
		"extensions":   {"share/jupyter/labextensions/"},
		"others' files": {
			".jupyter/jupyter_server_config.d/other.json", ".jupyter/jupyter_server_config.json", "data/jupyter/nbhush_jupyter/x.py",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, home := newExtension(t)
			must(t, os.MkdirAll(filepath.Dir(e.Folder), 0o700))
			for _, path := range before {
				to := filepath.Join(home, path)
				if strings.HasSuffix(path, "/") {
					must(t, os.MkdirAll(to, 0o700))
					continue
				}
				must(t, os.MkdirAll(filepath.Dir(to), 0o700))
				must(t, os.WriteFile(to, []byte("{}"), 0o600))
			}
			was := tree(t, home)
			for i := range 2 {
				if changed, err := e.Enable(); err != nil || changed != (i == 0) {
					t.Fatalf("enable %d: %v, %v", i, changed, err)
				}
			}
			if st := e.Status(); !st.Enabled || st.Stale || st.Mend != "" {
				t.Errorf("%+v", st)
			}
			for i := range 2 {
				if changed, err := e.Disable(); err != nil || changed != (i == 0) {
					t.Fatalf("disable %d: %v, %v", i, changed, err)
				}
			}
			if diff := cmp.Diff(was, tree(t, home)); diff != "" {
				t.Errorf("(-before +after):\n%s", diff)
			}
			if st := e.Status(); st.Enabled || st.Mend == "" {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestForeignFileStays(t *testing.T) {
	e, home := newExtension(t)
	must(t, os.MkdirAll(filepath.Dir(e.configFile()), 0o700))
	must(t, os.WriteFile(e.configFile(), []byte("{}\n"), 0o600))
	was := tree(t, home)
	_, err := e.Enable()
	var foreign *ForeignError
	if !errors.As(err, &foreign) || foreign.Path != e.configFile() {
		t.Errorf("got %v", err)
	}
	if changed, err := e.Disable(); changed || err != nil {
		t.Errorf("disable: %v, %v", changed, err)
	}
	if diff := cmp.Diff(was, tree(t, home)); diff != "" {
		t.Error(diff)
	}
}

func TestDamageIsMended(t *testing.T) {
	e, home := newExtension(t)
	_, err := e.Enable()
	must(t, err)
	want := tree(t, home)
	must(t, os.WriteFile(filepath.Join(e.Folder, module, "guard.py"), nil, 0o600))
	must(t, os.Remove(filepath.Join(e.Folder, module, "place.py")))
	if st := e.Status(); !st.Enabled || !st.Stale || st.Mend == "" {
		t.Errorf("%+v", st)
	}
	if changed, err := e.Enable(); err != nil || !changed {
		t.Errorf("%v, %v", changed, err)
	}
	if diff := cmp.Diff(want, tree(t, home)); diff != "" {
		t.Error(diff)
	}
}

func TestPlaceIsPython(t *testing.T) {
	e, _ := newExtension(t)
	got := string(e.files()[filepath.Join(e.Folder, module, "place.py")])
	if !strings.HasSuffix(got, `/nb\x22hush\x5c\xc3\xa9\xff")`+"\n") {
		t.Errorf("got %s", got)
	}
}
