package audit

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fill makes a log of n entries in many small files and returns its path.
func fill(t *testing.T, n int) (string, Head) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.full = 700
	defer func() { _ = l.Close() }()
	for range n {
		if err := l.Append(Entry{Op: OpSet, Verdict: Allowed, Name: "NAME"}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := l.Head()
	if err != nil {
		t.Fatal(err)
	}
	return path, h
}

func TestFilesAreOneChain(t *testing.T) {
	path, h := fill(t, 12)
	numbers, err := older(path)
	if err != nil || len(numbers) < 2 || len(numbers) >= maxFiles-1 {
		t.Fatalf("older files %v, %v", numbers, err)
	}
	if n, err := VerifyTo(path, h); n != 12 || err != nil {
		t.Errorf("verify: %d, %v", n, err)
	}
	var seqs []uint64
	if err := Read(path, func(e Entry) error { seqs = append(seqs, e.Seq); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seqs) != 12 || !slices.IsSorted(seqs) {
		t.Errorf("read %v", seqs)
	}
	// Another process goes on with the same chain.
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Entry{Op: OpStop, Verdict: Allowed}); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if n, err := VerifyTo(path, h); n != 13 || err != nil {
		t.Errorf("verify: %d, %v", n, err)
	}
}

func TestOldestFilesGo(t *testing.T) {
	path, h := fill(t, 60)
	numbers, err := older(path)
	if err != nil || len(numbers) != maxFiles-1 {
		t.Fatalf("older files %v, %v", numbers, err)
	}
	n, err := VerifyTo(path, h)
	if err != nil || n >= 60 || uint64(n)+h.First != 60 {
		t.Errorf("verify: %d after %d, %v", n, h.First, err)
	}
}

func TestWhatIsMissingIsFound(t *testing.T) {
	cut := func(t *testing.T, path string, lines int) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range lines {
			src = src[:len(src)-1]
			for len(src) > 0 && src[len(src)-1] != '\n' {
				src = src[:len(src)-1]
			}
		}
		if err := os.WriteFile(path, src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := func(t *testing.T, path string) {
		l, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := l.Append(Entry{Op: OpLock, Verdict: Allowed}); err != nil {
				t.Fatal(err)
			}
		}
		_ = l.Close()
	}
	for name, damage := range map[string]func(t *testing.T, path string){
		"tail cut": func(t *testing.T, path string) { cut(t, path, 1) },
		"tail cut and others put there": func(t *testing.T, path string) {
			cut(t, path, 1)
			again(t, path)
		},
		"newest file removed": func(t *testing.T, path string) { _ = os.Remove(path) },
		"newest file removed, and gone on": func(t *testing.T, path string) {
			_ = os.Remove(path)
			again(t, path)
		},
		"an older file removed":   func(t *testing.T, path string) { _ = os.Remove(numbered(path, 2)) },
		"the oldest file removed": func(t *testing.T, path string) { n, _ := older(path); _ = os.Remove(numbered(path, n[0])) },
		"all made anew": func(t *testing.T, path string) {
			all, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "audit*"))
			for _, p := range all {
				_ = os.Remove(p)
			}
			again(t, path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, h := fill(t, 12)
			damage(t, path)
			if n, err := VerifyTo(path, h); err == nil {
				t.Errorf("%d entries, and nothing was found", n)
			}
		})
	}
}

// A crash in the middle of the renames leaves a gap, or no newest file.
func TestTurnCutOff(t *testing.T) {
	path, h := fill(t, 12)
	n, err := older(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range n {
		if err := os.Rename(numbered(path, k), numbered(path, k+1)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := VerifyTo(path, h); n != 12 || err != nil {
		t.Errorf("a gap: %d, %v", n, err)
	}
	if err := os.Rename(path, numbered(path, 1)); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if n, err := VerifyTo(path, h); n != 12 || err != nil {
		t.Errorf("no newest file: %d, %v", n, err)
	}
}
