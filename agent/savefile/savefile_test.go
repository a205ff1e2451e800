package savefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	read := func() string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if err := Write(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "one" {
		t.Errorf("content %q", got)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("f", link); err != nil {
		t.Skip("no symbolic links here")
	}
	if err := Write(link, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "two" {
		t.Errorf("content %q behind a link", got)
	}
	st, err := os.Lstat(path)
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want 0640 kept", st.Mode())
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d entries in the folder, want 2: a temporary file was left", len(entries))
	}
}

func TestWriteLeavesNothingWhenItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), 0o600); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries in the folder, want 1", len(entries))
	}
}

func TestSwap(t *testing.T) {
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name   string
		before func(path string)
		want   string
		err    error
	}{
		{"untouched", func(string) {}, "new", nil},
		{"written to", func(path string) { put(path, "saved meanwhile") }, "saved meanwhile", ErrChanged},
		{"same size, other time", func(path string) {
			put(path, "OLD")
			if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, "OLD", ErrChanged},
		{"replaced", func(path string) {
			put(path+"2", "OLD")
			if err := os.Rename(path+"2", path); err != nil {
				t.Fatal(err)
			}
		}, "OLD", ErrChanged},
		{"removed", func(path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "", ErrChanged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			put(path, "old")
			was, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			c.before(path)
			if err := Swap(path, []byte("new"), was); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			got, err := os.ReadFile(path)
			if string(got) != c.want || (c.want != "" && err != nil) {
				t.Errorf("content %q (%v), want %q", got, err, c.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 1 {
				t.Errorf("%d entries in the folder: a temporary file was left", len(entries))
			}
		})
	}
}
