//go:build !windows

package ambient

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What is no file, or too large, is passed over, and nobody waits for it.
func TestOddFiles(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".netrc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(home, ".env"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".pgpass"), []byte("a:b:c:d:"+rand.Text()+strings.Repeat("\n", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if known := Around(home, home).Read(); len(known) != 0 {
		t.Errorf("%d are known", len(known))
	}
}
