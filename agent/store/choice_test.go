package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/store"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct{ name, before, after string }{
		{"no file", "", "store = \"vault\"\n"},
		{"comments and a table", "# mine  \n\n[x]\na=1", "store = \"vault\"\n# mine  \n\n[x]\na=1"},
		{"CRLF", "a = 1\r\n", "store = \"vault\"\r\na = 1\r\n"},
		{"the same", "  store='vault' # mine\n", "  store='vault' # mine\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config", "config.toml")
			if c.before != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := store.Choose(path, store.KindVault); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != c.after {
				t.Errorf("file %q, %v, want %q", got, err, c.after)
			}
			if kind, err := store.Chosen(path); err != nil || kind != store.KindVault {
				t.Errorf("chosen %q, %v", kind, err)
			}
			err := store.Choose(path, store.KindKeyring)
			var h interface{ Hint() string }
			if !errors.As(err, &h) || !strings.Contains(h.Hint(), path) {
				t.Errorf("another choice: %v", err)
			}
			if got, _ := os.ReadFile(path); string(got) != c.after {
				t.Errorf("another choice changed the file to %q", got)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if kind, err := store.Chosen(path); kind != "" || err != nil {
		t.Errorf("nothing chosen: %q, %v", kind, err)
	}
	if store.Choose(path, "paper") == nil {
		t.Error("any kind can be chosen")
	}
	for _, bad := range []string{"store = 3", "store = \"paper\"", "[[", "a=1\na=2"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Chosen(path); err == nil {
			t.Errorf("%q was read", bad)
		}
		if store.Choose(path, store.KindVault) == nil {
			t.Errorf("%q was written over", bad)
		}
		if got, _ := os.ReadFile(path); string(got) != bad {
			t.Errorf("%q became %q", bad, got)
		}
	}
}
