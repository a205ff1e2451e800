//go:build unix

package watch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/nbstrip"
)

// TestMain makes the test binary the victim of TestKill: the environment names
// what it does; the value to find comes on standard input.
func TestMain(m *testing.M) {
	what := os.Getenv("NBHUSH_TEST_VICTIM")
	if what == "" {
		os.Exit(m.Run())
	}
	value, err := bufio.NewReader(os.Stdin).ReadString('\n')
	path := os.Getenv("NBHUSH_TEST_FILE")
	f := one{value: strings.TrimSpace(value)}
	if err == nil && what == "strip" {
		fmt.Println("ready")
		_, err = nbstrip.StripFile(context.Background(), path, f, nbstrip.Options{})
		fmt.Println("done")
	} else if err == nil {
		err = Watch(context.Background(), Options{
			Dirs: []string{filepath.Dir(path)}, Finder: f, Existing: true, Debounce: time.Millisecond,
			OnReady: func() { fmt.Println("ready") },
			OnStrip: func(string, nbstrip.Result) { fmt.Println("done") },
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestKill kills a strip and a watch with -9 at random moments, a hundred times
// in all: the file is the old one or the new one, with its mode, and what is
// left beside it holds no value and goes with the next run.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred processes")
	}
	for _, what := range []string{"strip", "watch"} {
		t.Run(what, func(t *testing.T) {
			value := rand.Text()
			before := bytes.Repeat([]byte(`{"cell_type": "raw", "metadata": {}, "source": "`+value+`"},`+"\n"), 3000)
			before = append(append([]byte(`{"cells": [`), bytes.TrimSuffix(before, []byte(",\n"))...), `], "nbformat": 4}`...)
			after := bytes.ReplaceAll(before, []byte(value), []byte("[nbhush:CANARY]"))
			dir := t.TempDir()
			path := filepath.Join(dir, "a.ipynb")
			put := func() {
				t.Helper()
				if err := os.WriteFile(path, before, 0o640); err != nil {
					t.Fatal(err)
				}
			}
			put()
			whole := victim(t, what, path, value, nil)
			if got, _ := os.ReadFile(path); !bytes.Equal(got, after) {
				t.Fatal("the victim does not strip")
			}
			changed := 0
			for range 50 {
				put()
				victim(t, what, path, value, func() {
					n, err := rand.Int(rand.Reader, big.NewInt(int64(whole)*3/2))
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(n.Int64()))
				})
				got, err := os.ReadFile(path)
				if err != nil || !bytes.Equal(got, before) && !bytes.Equal(got, after) {
					t.Fatalf("%d bytes are neither the old file nor the new one, %v", len(got), err)
				}
				if bytes.Equal(got, after) {
					changed++
				}
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
					t.Fatalf("mode %v, %v", info.Mode(), err)
				}
			}
			left := leftovers(t, dir, value)
			t.Logf("%v for a whole run; %d of 50 were through, %d left a temporary file", whole, changed, left)
			put()
			watched(t, Options{Dirs: []string{dir}}, nil)
			if left := leftovers(t, dir, value); left > 0 {
				t.Errorf("%d temporary files are left after another run", left)
			}
		})
	}
}

// victim runs the test binary until it is done, or until kill returns, and
// then kills it. It returns the time from ready to done.
func victim(t *testing.T, what, path, value string, kill func()) time.Duration {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NBHUSH_TEST_VICTIM="+what, "NBHUSH_TEST_FILE="+path)
	cmd.Stdin = strings.NewReader(value + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the victim says %q", lines.Text())
	}
	start := time.Now()
	if kill != nil {
		kill()
	} else if !lines.Scan() || lines.Text() != "done" {
		t.Fatalf("the victim says %q", lines.Text())
	}
	took := time.Since(start)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return took
}

// leftovers counts the temporary files in dir, makes them old, and searches them for value.
func leftovers(t *testing.T, dir, value string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, ".*.nbhush-*"))
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * leftoverAge)
	for _, file := range files {
		if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte(value)) {
			t.Errorf("%s holds the value, %v", file, err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	return len(files)
}
