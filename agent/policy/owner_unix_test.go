//go:build unix

package policy

import (
	"os"
	"path/filepath"
	"testing"
)

// Somebody else's folder on the way up ends the search; the one that it begins
// in does not.
func TestFindStopsAtAnotherUsersFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(root, "theirs")
	ours := filepath.Join(theirs, "ours")
	if err := os.MkdirAll(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, theirs} {
		if err := os.WriteFile(filepath.Join(dir, FileName), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := Find(ours); err != nil || path != filepath.Join(theirs, FileName) {
		t.Fatalf("before: %q, %v", path, err)
	}
	const nobody = 65534
	if err := os.Chown(theirs, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if path, err := Find(ours); err != nil || path != "" {
		t.Errorf("from below: %q, %v, want none", path, err)
	}
	if path, err := Find(theirs); err != nil || path != filepath.Join(theirs, FileName) {
		t.Errorf("from inside: %q, %v", path, err)
	}
}
