package savefile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{
		".a.ipynb.nbhush-123", ".b.ipynb.nbhush-123", ".a.ipynb.nbhush-12x", "a.ipynb.nbhush-123", ".a.ipynb", ".nbhush-1", "a.ipynb",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".a.ipynb.nbhush-9"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir, time.Minute, func(name string) bool { return name == "a.ipynb" }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{".a.ipynb", ".a.ipynb.nbhush-12x", ".a.ipynb.nbhush-9", ".b.ipynb.nbhush-123", ".nbhush-1", "a.ipynb", "a.ipynb.nbhush-123"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("left (-want +got):\n%s", d)
	}
}
