package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

func names(t *testing.T, path string) (all []string) {
	t.Helper()
	if err := Read(path, func(e Entry) error { all = append(all, string(e.Name)); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func add(t *testing.T, l *Log, name string) {
	t.Helper()
	if err := l.Append(Entry{Op: OpSet, Name: secret.Name(name), Verdict: Allowed}); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if got := names(t, path); got != nil {
		t.Errorf("without a log: %v", got)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	add(t, l, "A")
	add(t, l, "B")
	if got := strings.Join(names(t, path), " "); got != "A B" {
		t.Errorf("got %q", got)
	}
	stop := errors.New("enough")
	if err := Read(path, func(Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error of visit: %v", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"half":`); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(t, path), " "); got != "A B" {
		t.Errorf("before half a line: %q", got)
	}
	if _, err := f.WriteString("1}\n"); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if err := Read(path, func(Entry) error { return nil }); !errors.As(err, &damaged) || damaged.Line != 4 {
		t.Errorf("a line that is no entry: %v", err)
	}
}

// Follow sees every entry once, also those of the file that takes the place of another one.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	add(t, l, "A")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err = Follow(ctx, path, func(e Entry) error {
		got = append(got, string(e.Name))
		switch e.Name {
		case "A":
			add(t, l, "B")
		case "B":
			if err := os.Rename(path, path+".1"); err != nil {
				t.Error(err)
			}
			add(t, l, "C")
		case "C":
			add(t, l, "D")
		case "D":
			cancel()
		}
		return nil
	})
	if err != nil || strings.Join(got, " ") != "A B C D" {
		t.Errorf("%v, %v", got, err)
	}
}
