package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGrants(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "grants.json")
	gs, notebook := NewGrants(file), filepath.Join(t.TempDir(), "n.ipynb")
	if was, err := gs.Remove(func(Grant) bool { return true }); len(was) != 0 || err != nil {
		t.Fatalf("%v, %v", was, err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file for nothing: %v", err)
	}
	until := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, g := range []Grant{
		{Name: "B", Kernel: "7-1"},
		{Name: "A", Deny: true},
		{Name: "A", Notebook: notebook},
		{Name: "A", Notebook: notebook, Until: until}, // takes the place of the one before
	} {
		if made, err := gs.Add(g); err != nil || made.Since.IsZero() {
			t.Fatalf("%+v, %v", made, err)
		}
	}
	all, err := NewGrants(file).List()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].Since = time.Time{}
	}
	want := []Grant{{Name: "A", Deny: true}, {Name: "A", Notebook: notebook, Until: until}, {Name: "B", Kernel: "7-1"}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	was, err := gs.Remove(func(g Grant) bool { return g.Kernel != "" })
	if err != nil || len(was) != 1 || was[0].Name != "B" {
		t.Errorf("%v, %v", was, err)
	}
	if all, err := gs.List(); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	for _, bad := range []Grant{
		{},
		{Name: "A"},
		{Name: "A", Once: true},
		{Name: "A", Once: true, Kernel: "7-1"},
		{Name: "A", Answer: true, Notebook: notebook},
		{Profile: "prod", Deny: true},
		{Profile: "prod"},
		{Name: "A", Profile: "a b", Notebook: notebook},
		{Name: "a b", Kernel: "7-1"},
		{Name: "A", Notebook: "n.ipynb"},
		{Name: "A", Notebook: notebook, Kernel: "7-1"},
	} {
		if _, err := gs.Add(bad); err == nil {
			t.Errorf("%+v was kept", bad)
		}
	}
}

func TestGrantsDamaged(t *testing.T) {
	for _, src := range []string{"", "{", `{"version":3,"grants":[]}`, "null"} {
		file := filepath.Join(t.TempDir(), "grants.json")
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		gs := NewGrants(file)
		_, err := gs.List()
		var hint interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), file) || !errors.As(err, &hint) {
			t.Errorf("%q: %v", src, err)
		}
		if _, err := gs.Add(Grant{Name: "A", Deny: true}); err == nil {
			t.Errorf("%q was overwritten", src)
		}
		if now, _ := os.ReadFile(file); string(now) != src {
			t.Errorf("%q became %q", src, now)
		}
	}
}
