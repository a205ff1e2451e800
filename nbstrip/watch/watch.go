package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip"
)

// Options say what to watch and whom to tell. The functions may be nil; they
// are called from Watch, one at a time.
type Options struct {
	Dirs   []string // watched with everything below them
	Finder match.Finder
	// Debounce is how long a file must rest before it is looked at; 0 means 300 ms, and
	// more than 30 s means 30 s.
	Debounce time.Duration
	// Existing makes Watch look at all notebooks that are there at the start.
	Existing bool
	// Poll, if not 0, is the interval at which the folders are walked, for
	// file systems that tell of no changes and for more folders than the
	// system watches. Without it the system tells.
	Poll time.Duration

	// LeaveOut, if set, says of a file or folder, by its path below the one of Dirs and with slashes, to leave it alone.
	LeaveOut func(path string) bool
	// Ignored, if set, says of a folder or a notebook to leave it alone, by its absolute path and the
	// index of the one of Dirs that it is below. It is not asked about .ipynb_checkpoints, which hold copies.
	Ignored func(dir int, path string) bool

	// OnSecret, if set, returns what to do with secrets in the file at path. With
	// an error the file stays as it is and is looked at again later.
	OnSecret func(path string) (nbstrip.Options, error)

	// Skip says that somebody else takes care of a file, such as a Jupyter
	// server that has it open and strips before it saves.
	Skip func(path string) bool
	// OnReady is called once every folder is watched.
	OnReady func()
	// OnStrip is called when a file was changed.
	OnStrip func(path string, r nbstrip.Result)
	// OnError is called when a file could not be stripped; it is as it was.
	// That nothing can be found at all is said once, and again only after it went well between.
	OnError func(path string, err error)
}

const (
	defaultDebounce = 300 * time.Millisecond
	maxWait         = 30 * time.Second
	maxUnsafe       = 3 // looks at a file that may be half-written
	leftoverAge     = time.Minute
)

// Watch strips notebooks until ctx ends, which is no error.
func Watch(ctx context.Context, o Options) error {
	if o.Debounce <= 0 {
		o.Debounce = defaultDebounce
	}
	o.Debounce = min(o.Debounce, maxWait)
	return newWatcher(o).start(ctx)
}

func newWatcher(o Options) *watcher {
	return &watcher{Options: o, pending: map[string]job{}, seen: map[string]fs.FileInfo{}}
}

// start finds the folders and runs.
func (w *watcher) start(ctx context.Context) error {
	for _, dir := range w.Dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		w.roots = append(w.roots, real)
	}
	if w.Poll <= 0 {
		var err error
		if w.notify, err = fsnotify.NewWatcher(); err != nil {
			return limitError(err)
		}
		defer func() { _ = w.notify.Close() }()
		if w.add == nil {
			w.add = w.notify.Add
		}
	}
	return w.run(ctx)
}

// watcher is for the goroutine of Watch alone.
type watcher struct {
	Options
	roots   []string
	notify  *fsnotify.Watcher // nil when polling
	add     func(dir string) error
	pending map[string]job
	// seen is how a file was when nothing was left to do about it; walks go by it.
	seen map[string]fs.FileInfo
	away bool // the Finder found nothing last time
}

// job is a file to look at.
type job struct {
	due   time.Time
	info  fs.FileInfo // how the file was when due was set
	tries int
}

func (w *watcher) run(ctx context.Context) error {
	for _, root := range w.roots {
		if err := w.walk(root, w.first); err != nil {
			return err
		}
	}
	if w.OnReady != nil {
		w.OnReady()
	}
	var events chan fsnotify.Event
	var errs chan error
	var poll <-chan time.Time
	if w.notify != nil {
		events, errs = w.notify.Events, w.notify.Errors
	} else {
		ticker := time.NewTicker(w.Poll)
		defer ticker.Stop()
		poll = ticker.C
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			err = w.event(e)
		case err = <-errs:
			err = w.lost(err)
		case <-poll:
			err = w.rescan()
		case <-timer.C:
			w.work(ctx)
		}
		if err != nil {
			return err
		}
		timer.Reset(w.next())
	}
}

// next is how long until the first job is due.
func (w *watcher) next() time.Duration {
	wait := time.Hour
	for _, j := range w.pending {
		wait = min(wait, time.Until(j.due))
	}
	return max(wait, 0)
}

// event files what happened at a path.
func (w *watcher) event(e fsnotify.Event) error {
	if e.Op == fsnotify.Chmod {
		return nil
	}
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		return w.gone(e.Name)
	}
	info, err := os.Lstat(e.Name)
	switch {
	case err != nil:
		return nil // gone again
	case info.IsDir():
		return w.walk(e.Name, w.queue)
	}
	if !w.leftOut(e.Name, false) {
		w.queue(e.Name, info)
	}
	return nil
}

// leftOut reports whether nobody wants to know of path. What is known to hold no
// notebook of the user's would take most of the watches that the system has.
func (w *watcher) leftOut(path string, dir bool) bool {
	if slices.Contains(w.roots, path) {
		return false
	}
	if dir {
		switch filepath.Base(path) {
		case ".git", ".hg", ".svn", "node_modules", "__pycache__":
			return true
		}
		if _, err := os.Lstat(filepath.Join(path, "pyvenv.cfg")); err == nil {
			return true
		}
	}
	for i, root := range w.roots {
		if rel, err := filepath.Rel(root, path); err == nil && rel != "." && filepath.IsLocal(rel) {
			return w.LeaveOut != nil && w.LeaveOut(filepath.ToSlash(rel)) || w.ignored(i, path, dir)
		}
	}
	return false
}

func (w *watcher) ignored(root int, path string, dir bool) bool {
	folder := path
	if !dir {
		folder = filepath.Dir(path)
	}
	if w.Ignored == nil || filepath.Base(folder) == ".ipynb_checkpoints" || !dir && !named(path) {
		return false
	}
	return w.Ignored(root, path)
}

// gone forgets what was at path. A folder that was renamed would go on to be
// watched under its old name.
func (w *watcher) gone(path string) error {
	delete(w.pending, path)
	delete(w.seen, path)
	for _, root := range w.roots {
		if path == root {
			return fmt.Errorf("watch %s: %w", root, fs.ErrNotExist)
		}
	}
	for _, dir := range w.notify.WatchList() {
		if dir == path || strings.HasPrefix(dir, path+string(filepath.Separator)) {
			_ = w.notify.Remove(dir)
		}
	}
	return nil
}

// lost looks at everything again when the system lost events.
func (w *watcher) lost(err error) error {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		return w.rescan()
	}
	return fmt.Errorf("watch: %w", err)
}

func (w *watcher) rescan() error {
	for _, root := range w.roots {
		if _, err := os.Lstat(root); err != nil {
			return fmt.Errorf("watch %s: %w", root, err)
		}
		if err := w.walk(root, w.changed); err != nil {
			return err
		}
	}
	return nil
}

// walk watches dir and the folders below it, and calls file for each file. The
// watch comes first, so that a file made meanwhile is seen twice rather than never.
func (w *watcher) walk(dir string, file func(string, fs.FileInfo)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			w.fail(path, err)
			return nil
		case w.leftOut(path, d.IsDir()):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return w.enter(path)
		}
		if info, err := d.Info(); err == nil {
			file(path, info)
		}
		return nil
	})
}

// enter watches one folder, and removes what a run that was killed left there.
func (w *watcher) enter(dir string) error {
	_ = savefile.Sweep(dir, leftoverAge, func(name string) bool { return strings.EqualFold(filepath.Ext(name), ".ipynb") })
	if w.notify == nil {
		return nil
	}
	err := limitError(w.add(dir))
	var limit *LimitError
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &limit):
		return err
	}
	w.fail(dir, err)
	return nil
}

// first files a file that is there at the start.
func (w *watcher) first(path string, info fs.FileInfo) {
	switch {
	case w.Existing:
		w.queue(path, info)
	case isNotebook(path, info):
		w.seen[path] = info
	}
}

// changed files a file that is not as it was seen.
func (w *watcher) changed(path string, info fs.FileInfo) {
	if _, waits := w.pending[path]; !waits && !same(w.seen[path], info) {
		w.queue(path, info)
	}
}

// queue files a file to be looked at when it has rested.
func (w *watcher) queue(path string, info fs.FileInfo) {
	if isNotebook(path, info) {
		w.pending[path] = job{due: time.Now().Add(w.Debounce), info: info}
	}
}

// work looks at every file that is due.
func (w *watcher) work(ctx context.Context) {
	now := time.Now()
	for path, j := range w.pending {
		if ctx.Err() != nil {
			return
		}
		if !j.due.After(now) {
			delete(w.pending, path)
			w.look(ctx, path, j)
		}
	}
}

// look strips the file if it has rested, and files it again if there is more to do.
func (w *watcher) look(ctx context.Context, path string, j job) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	if !same(j.info, info) {
		w.queue(path, info)
		return
	}
	if w.Skip != nil && w.Skip(path) {
		w.seen[path] = info
		return
	}
	res, err := w.strip(ctx, path)
	var unsafe *nbstrip.UnsafeError
	var file *fs.PathError
	switch {
	case err == nil: // also at the end: what was taken out is told
		w.away = false
		if !res.Changed() {
			w.seen[path] = info
		} else if w.OnStrip != nil {
			// The write is an event of its own; polling sees that the file is not as before.
			w.OnStrip(path, res)
		}
	case ctx.Err() != nil, errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, savefile.ErrChanged):
		w.later(path, j, info)
	case errors.As(err, &unsafe) && j.tries < maxUnsafe:
		w.later(path, j, info)
	case errors.As(err, &unsafe), errors.As(err, &file):
		w.seen[path] = info
		w.fail(path, err)
	default:
		if !w.away {
			w.fail(path, err)
		}
		w.away = true
		w.later(path, j, info)
	}
}

func (w *watcher) strip(ctx context.Context, path string) (nbstrip.Result, error) {
	var o nbstrip.Options
	if w.OnSecret != nil {
		var err error
		if o, err = w.OnSecret(path); err != nil {
			return nbstrip.Result{}, fmt.Errorf("strip %s: %w", path, err)
		}
	}
	o.Fingerprint = true
	return nbstrip.StripFile(ctx, path, w.Finder, o)
}

// later files a file again, each time after twice the time.
func (w *watcher) later(path string, j job, info fs.FileInfo) {
	wait := min(w.Debounce<<min(j.tries+1, 16), maxWait)
	w.pending[path] = job{due: time.Now().Add(wait), info: info, tries: j.tries + 1}
}

func (w *watcher) fail(path string, err error) {
	if w.OnError != nil {
		w.OnError(path, err)
	}
}

// isNotebook tells notebooks from what editors put beside them: Jupyter's
// .~x.ipynb, Emacs' .#x.ipynb, which is a link, and names that end otherwise.
func isNotebook(path string, info fs.FileInfo) bool {
	return info.Mode().IsRegular() && named(path)
}

func named(path string) bool {
	name := filepath.Base(path)
	return strings.EqualFold(filepath.Ext(name), ".ipynb") && !strings.HasPrefix(name, ".~") && !strings.HasPrefix(name, ".#")
}

// same reports whether nothing was written between a and b; a may be nil.
func same(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
