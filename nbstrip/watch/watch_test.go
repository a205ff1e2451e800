package watch

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip"
)

// one finds one value, called CANARY, as it is, unless it is locked.
type one struct {
	value  string
	locked *atomic.Bool
}

var errLocked = errors.New("agent is locked")

func (o one) Find(_ context.Context, text []byte) (match.Result, error) {
	var r match.Result
	if o.locked != nil && o.locked.Load() {
		return r, errLocked
	}
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(o.value))
		if i < 0 {
			break
		}
		at += i + len(o.value)
		r.Spans = append(r.Spans, match.Span{Start: at - len(o.value), End: at, Name: "CANARY"})
	}
	r.Tail = min(len(text), len(o.value)-1)
	if n := len(r.Spans); n > 0 && r.Spans[n-1].End > len(text)-r.Tail {
		r.Tail = max(r.Tail, len(text)-r.Spans[n-1].Start)
	}
	return r, nil
}

func notebook(text string) []byte {
	return []byte(`{"cells": [{"cell_type": "code", "metadata": {}, "outputs": [{"name": "stdout",
 "output_type": "stream", "text": ["` + text + `\n"]}], "source": []}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
`)
}

// scene is a Watch at work in a folder.
type scene struct {
	*testing.T
	dir    string
	value  string
	locked atomic.Bool
	strips chan string
	errs   chan error
	done   chan error
}

// watched starts a Watch; it ends with the test.
func watched(t *testing.T, o Options, prepare func(*scene)) *scene {
	t.Helper()
	s := &scene{T: t, dir: t.TempDir(), value: rand.Text(), strips: make(chan string, 100), errs: make(chan error, 100), done: make(chan error, 1)}
	if prepare != nil {
		prepare(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	if o.Dirs == nil {
		o.Dirs = []string{s.dir}
	}
	o.Finder = one{s.value, &s.locked}
	if o.Debounce == 0 {
		o.Debounce = 10 * time.Millisecond
	}
	o.OnReady = func() { close(ready) }
	o.OnStrip = func(path string, _ nbstrip.Result) { s.strips <- path }
	o.OnError = func(_ string, err error) { s.errs <- err }
	go func() { s.done <- Watch(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-s.done; err != nil {
			t.Errorf("watch ended with %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-s.done:
		s.done <- nil
		t.Fatalf("watch ended with %v", err)
	}
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *scene) put(name, text string) {
	s.Helper()
	if err := os.WriteFile(s.path(name), notebook(text), 0o640); err != nil {
		s.Fatal(err)
	}
}

// stripped waits for the file to be stripped and checks it.
func (s *scene) stripped(name string) {
	s.Helper()
	select {
	case got := <-s.strips:
		if got != s.path(name) {
			s.Fatalf("stripped %s, want %s", got, name)
		}
	case err := <-s.errs:
		s.Fatalf("error %v", err)
	case <-time.After(time.Minute):
		s.Fatalf("%s was not stripped", name)
	}
	s.holds(name, "[nbhush:CANARY]")
}

func (s *scene) holds(name, text string) {
	s.Helper()
	got, err := os.ReadFile(s.path(name))
	if err != nil || !bytes.Equal(got, notebook(text)) {
		s.Errorf("%s: %v, %s", name, err, got)
	}
}

// settled makes sure that everything before was dealt with: a notebook made now
// is stripped, and nothing else was.
func (s *scene) settled() {
	s.Helper()
	s.put("zz.ipynb", s.value)
	s.stripped("zz.ipynb")
	if n := len(s.strips); n > 0 {
		s.Errorf("%d more files were stripped, such as %s", n, <-s.strips)
	}
}

// leaves puts a value into files that stay as they are.
func (s *scene) leaves(names ...string) {
	s.Helper()
	for _, name := range names {
		s.put(name, s.value)
	}
	s.settled()
	for _, name := range names {
		s.holds(name, s.value)
	}
}

// ways are the ways to watch; each behaviour holds for both.
func ways(t *testing.T, f func(t *testing.T, o Options)) {
	t.Run("notify", func(t *testing.T) { f(t, Options{}) })
	t.Run("poll", func(t *testing.T) { f(t, Options{Poll: 10 * time.Millisecond}) })
}

func TestSaves(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		s := watched(t, o, nil)
		s.put("a.ipynb", s.value)
		s.stripped("a.ipynb")

		// In place.
		s.put("a.ipynb", s.value)
		s.stripped("a.ipynb")

		// By rename, as Jupyter does.
		s.put(".~a.ipynb", s.value)
		if err := os.Rename(s.path(".~a.ipynb"), s.path("a.ipynb")); err != nil {
			t.Fatal(err)
		}
		s.stripped("a.ipynb")

		info, err := os.Stat(s.path("a.ipynb"))
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, want 0640 kept", info.Mode())
		}
		s.settled()
	})
}

func TestFolders(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		s := watched(t, o, func(s *scene) {
			if err := os.MkdirAll(s.path("old/.git"), 0o700); err != nil {
				t.Fatal(err)
			}
		})
		mkdir := func(name string) {
			t.Helper()
			if err := os.MkdirAll(s.path(name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		mkdir("new/deep/.ipynb_checkpoints")
		s.put("new/deep/.ipynb_checkpoints/a-checkpoint.ipynb", s.value)
		s.stripped("new/deep/.ipynb_checkpoints/a-checkpoint.ipynb")

		// A folder that was renamed, and one moved in from outside.
		if err := os.Rename(s.path("new"), s.path("renamed")); err != nil {
			t.Fatal(err)
		}
		s.put("renamed/deep/b.ipynb", s.value)
		s.stripped("renamed/deep/b.ipynb")

		s.put("old/.git/c.ipynb", s.value)
		s.settled()
		s.holds("old/.git/c.ipynb", s.value)
	})
}

func TestLeavesAlone(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		outside := t.TempDir()
		o.Skip = func(path string) bool { return filepath.Base(path) == "open.ipynb" }
		s := watched(t, o, func(s *scene) { s.put("before.ipynb", s.value) })
		names := []string{"notes.txt", ".~lock.ipynb", "a.ipynb.swp", "a.ipynb~", "open.ipynb"}
		for _, name := range names {
			s.put(name, s.value)
		}
		if err := os.WriteFile(filepath.Join(outside, "o.ipynb"), notebook(s.value), 0o600); err != nil {
			t.Fatal(err)
		}
		for link, target := range map[string]string{"link": outside, "link.ipynb": filepath.Join(outside, "o.ipynb")} {
			if err := os.Symlink(target, s.path(link)); err != nil {
				t.Fatal(err)
			}
		}
		s.settled()
		for _, name := range append(names, "before.ipynb") {
			s.holds(name, s.value)
		}
		if got, _ := os.ReadFile(filepath.Join(outside, "o.ipynb")); !bytes.Contains(got, []byte(s.value)) {
			t.Error("a link was followed out of the folder")
		}
	})
}

func TestLeavesOut(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		o.LeaveOut = func(path string) bool { return path == "sub/archive" || path == "sub/one.ipynb" }
		s := watched(t, o, func(s *scene) {
			for _, dir := range []string{"sub/archive/deep", "env/lib", "x/node_modules/y", "archive"} {
				if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(s.path("env/pyvenv.cfg"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		})
		s.leaves("sub/archive/deep/a.ipynb", "sub/one.ipynb", "env/lib/a.ipynb", "x/node_modules/y/a.ipynb")
		s.put("archive/a.ipynb", s.value)
		s.stripped("archive/a.ipynb")
	})
}

// What is ignored is left alone, in each folder by its own, but for copies that Jupyter keeps.
func TestIgnored(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		o.Ignored = func(dir int, path string) bool {
			if base := filepath.Base(path); base == "notes.txt" || base == ".ipynb_checkpoints" || dir != 0 {
				t.Errorf("asked about %s in %d", path, dir)
			}
			return slices.Contains([]string{"data", "ignored.ipynb", "copy.ipynb"}, filepath.Base(path))
		}
		s := watched(t, o, func(s *scene) {
			for _, dir := range []string{"sub/data/deep", ".ipynb_checkpoints"} {
				if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
		})
		s.leaves("sub/data/deep/a.ipynb", "ignored.ipynb", "notes.txt")
		s.put(".ipynb_checkpoints/copy.ipynb", s.value)
		s.stripped(".ipynb_checkpoints/copy.ipynb")
	})
}

// TestRules: what to do is asked for each file; a file of which that cannot be said stays as it is.
func TestRules(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		wrong := errors.New("a mistake in the settings")
		var mended atomic.Bool
		o.OnSecret = func(string) (nbstrip.Options, error) {
			if !mended.Load() {
				return nbstrip.Options{}, wrong
			}
			return nbstrip.Options{Mode: nbstrip.DropCell}, nil
		}
		s := watched(t, o, nil)
		s.put("a.ipynb", s.value)
		if err := <-s.errs; !errors.Is(err, wrong) {
			t.Fatal(err)
		}
		s.holds("a.ipynb", s.value)
		mended.Store(true)
		<-s.strips
		if got, _ := os.ReadFile(s.path("a.ipynb")); !bytes.Contains(got, []byte(`"cells": []`)) {
			t.Errorf("the cell is still there: %s", got)
		}
	})
}

func TestExisting(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		o.Existing = true
		s := watched(t, o, func(s *scene) { s.put("a.ipynb", s.value) })
		s.stripped("a.ipynb")
		s.settled()
	})
}

func TestLocked(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		s := watched(t, o, nil)
		s.locked.Store(true)
		for _, name := range []string{"a.ipynb", "b.ipynb", "c.ipynb"} {
			s.put(name, s.value)
		}
		if err := <-s.errs; !errors.Is(err, errLocked) {
			t.Fatal(err)
		}
		s.holds("a.ipynb", s.value)
		s.locked.Store(false)
		got := map[string]bool{}
		for range 3 {
			got[filepath.Base(<-s.strips)] = true
		}
		if len(got) != 3 || len(s.errs) > 0 {
			t.Errorf("stripped %v, %d more errors", got, len(s.errs))
		}
		s.settled()
	})
}

// until is a context that ends when the file does not hold the value any more.
type until struct {
	context.Context
	end         context.CancelFunc
	path, value string
}

func (u until) Err() error {
	if b, err := os.ReadFile(u.path); err == nil && !bytes.Contains(b, []byte(u.value)) {
		u.end()
	}
	return u.Context.Err()
}

// TestEnds: of what was taken out just before the end is told, too.
func TestEnds(t *testing.T) {
	value, dir := rand.Text(), t.TempDir()
	path := filepath.Join(dir, "a.ipynb")
	if err := os.WriteFile(path, notebook(value), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told []string
	err := Watch(until{ctx, cancel, path, value}, Options{
		Dirs: []string{dir}, Existing: true, Finder: one{value: value},
		OnStrip: func(path string, _ nbstrip.Result) { told = append(told, path) },
	})
	if err != nil || len(told) != 1 {
		t.Errorf("watch: %v; told of: %q", err, told)
	}
}

// TestHalfWritten saves in two halves; the first half holds the value and
// cannot be parsed.
func TestHalfWritten(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		s := watched(t, o, nil)
		whole := notebook(s.value)
		half := bytes.Index(whole, []byte(s.value)) + len(s.value) + 1
		f, err := os.Create(s.path("a.ipynb"))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]byte{whole[:half], whole[half:]} {
			if _, err := f.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		s.stripped("a.ipynb")

		// It never becomes whole: said once, and the file is as it was.
		if err := os.WriteFile(s.path("b.ipynb"), whole[:half], 0o600); err != nil {
			t.Fatal(err)
		}
		var unsafe *nbstrip.UnsafeError
		if err := <-s.errs; !errors.As(err, &unsafe) {
			t.Fatal(err)
		}
		s.settled()
		if got, _ := os.ReadFile(s.path("b.ipynb")); !bytes.Equal(got, whole[:half]) || len(s.errs) > 0 {
			t.Errorf("%d more errors, content %s", len(s.errs), got)
		}
	})
}

func TestSweepsLeftovers(t *testing.T) {
	old := time.Now().Add(-2 * leftoverAge)
	s := watched(t, Options{}, func(s *scene) {
		for _, name := range []string{".a.ipynb.nbhush-1", ".a.txt.nbhush-1"} {
			s.put(name, "x")
			if err := os.Chtimes(s.path(name), old, old); err != nil {
				t.Fatal(err)
			}
		}
		s.put(".a.ipynb.nbhush-2", "x")
	})
	for name, want := range map[string]bool{".a.ipynb.nbhush-1": false, ".a.ipynb.nbhush-2": true, ".a.txt.nbhush-1": true} {
		if _, err := os.Stat(s.path(name)); (err == nil) != want {
			t.Errorf("%s: there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestFolderGone(t *testing.T) {
	ways(t, func(t *testing.T, o Options) {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		o.Dirs, o.Finder = []string{dir}, one{value: "x"}
		o.OnReady = func() { once.Do(func() { _ = os.Remove(dir) }) }
		if err := Watch(t.Context(), o); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNoFolder(t *testing.T) {
	err := Watch(t.Context(), Options{Dirs: []string{filepath.Join(t.TempDir(), "none")}, Finder: one{value: "x"}})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestFewWatches has a system that watches two folders; walking them is the way out that the error names.
func TestFewWatches(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w := newWatcher(Options{Dirs: []string{dir}, Finder: one{value: "x"}})
	left := 2
	w.add = func(string) error {
		if left--; left < 0 {
			return os.NewSyscallError("inotify_add_watch", syscall.ENOSPC)
		}
		return nil
	}
	var limit *LimitError
	if err := w.start(t.Context()); !errors.As(err, &limit) || !strings.Contains(limit.Hint(), "--poll") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Watch(ctx, Options{Dirs: []string{dir}, Finder: one{value: "x"}, Poll: time.Hour, OnReady: cancel})
	if err != nil {
		t.Errorf("walking: %v", err)
	}
}

func TestLimit(t *testing.T) {
	err := limitError(&os.SyscallError{Syscall: "inotify_add_watch", Err: syscall.ENOSPC})
	var limit *LimitError
	if !errors.As(err, &limit) || !strings.Contains(limit.Hint(), "--poll") {
		t.Errorf("got %v", err)
	}
	if err := limitError(fs.ErrPermission); errors.As(err, &limit) {
		t.Errorf("got %v", err)
	}
}
