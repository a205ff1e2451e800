package audit

import (
	"bytes"
	"errors"
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

// An older file that goes while a log is open is missed, however long it goes on, until
// somebody accepts that.
func TestOlderFileGoesMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	l.full = 500
	more := func(n int) {
		t.Helper()
		for range n {
			if err := l.Append(Entry{Op: OpSet, Verdict: Allowed, Name: "NAME"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	verify := func() error {
		t.Helper()
		h, err := l.Head()
		if err != nil {
			t.Fatal(err)
		}
		_, err = VerifyTo(path, h)
		return err
	}
	more(60) // with files that went by themselves
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	numbers, err := older(path)
	if err != nil || len(numbers) != maxFiles-1 {
		t.Fatal(numbers, err)
	}
	if err := os.Remove(numbered(path, numbers[0])); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 3, 30} {
		more(n)
		if err := verify(); !errors.Is(err, errCut) {
			t.Errorf("%d entries later: %v", n, err)
		}
	}
	l.Accept()
	if err := verify(); err != nil {
		t.Error(err)
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

// A Log that is open knows its last line: once that is gone, or another one, Head goes on
// to say where the log ended, and no further entry hides it, until somebody accepts the
// log as it is. What other processes do to the log is not that.
func TestCutWhileOpen(t *testing.T) {
	cut := func(t *testing.T, path string, to string) {
		t.Helper()
		b := mustRead(t, path)
		b = append(b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1], to...)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		do  func(t *testing.T, path string)
		bad bool
	}{
		"its last line is cut off": {func(t *testing.T, path string) { cut(t, path, "") }, true},
		"all is gone": {func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, true},
		"a whole log of somebody else": {func(t *testing.T, path string) {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			l := mustOpen(t, path)
			for range 20 {
				mustAppend(t, l, "x")
			}
		}, true},
		"another process wrote": {func(t *testing.T, path string) { mustAppend(t, mustOpen(t, path), "x", "y") }, false},
		"another process began files": {func(t *testing.T, path string) {
			l := mustOpen(t, path)
			l.full = 1
			mustAppend(t, l, "x", "y")
		}, false},
		"half a line of another": {func(t *testing.T, path string) {
			if err := keep(path, []byte("{")); err != nil {
				t.Fatal(err)
			}
			b := mustRead(t, path)
			if err := os.Truncate(path, int64(len(b)-1)); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			l := mustOpen(t, path)
			mustAppend(t, l, "a", "b", "c")
			was, err := l.Head()
			if err != nil || was.Seq != 3 {
				t.Fatalf("%+v, %v", was, err)
			}
			tt.do(t, path)
			for range 2 {
				now, err := l.Head()
				if err != nil || tt.bad && (now.Seq != was.Seq || now.Hash != was.Hash) {
					t.Errorf("the end is %+v, %v; it was %+v", now, err, was)
				}
				if _, err := VerifyTo(path, now); (err != nil) != tt.bad {
					t.Errorf("verify: %v", err)
				}
				if err := l.Cut(); (err != nil) != tt.bad {
					t.Errorf("cut: %v", err)
				}
				mustAppend(t, l, "d", "e", "f")
			}
			l.Accept()
			now, err := l.Head()
			if err != nil || l.Cut() != nil {
				t.Errorf("after it was accepted: %v, %v", err, l.Cut())
			}
			if _, err := VerifyTo(path, now); err != nil {
				t.Errorf("verify after it was accepted: %v", err)
			}
		})
	}
}
