package attach

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// startTime is how long a kernel may take until it answers.
const startTime = 2 * time.Minute

// Watch calls follow for each kernel that appears in the runtime directory, when it
// answers, and again when it answers anew after follow returned true. It calls
// ready when it sees whatever appears from then on, and returns when ctx ends.
// follow is called for several kernels at the same time.
func (p Places) Watch(ctx context.Context, ready func(), follow func(context.Context, Kernel) (again bool)) error {
	if err := os.MkdirAll(p.Runtime, 0o700); err != nil { // as Jupyter makes it
		return fmt.Errorf("watch for kernels: %w", err)
	}
	w, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = w.Close() }()
		err = w.Add(p.Runtime)
	}
	if err != nil {
		return fmt.Errorf("watch for kernels: %w", err)
	}
	ready()
	f := &followed{places: p, follow: follow, files: map[string]chan struct{}{}}
	defer f.wg.Wait()
	for {
		select {
		case e := <-w.Events:
			if _, ok := IDOf(e.Name); ok && (e.Has(fsnotify.Create) || e.Has(fsnotify.Write)) {
				f.changed(ctx, e.Name)
			}
		case err := <-w.Errors:
			return fmt.Errorf("watch for kernels: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// followed are the connection files that somebody is busy with.
type followed struct {
	places Places
	follow func(context.Context, Kernel) bool

	wg    sync.WaitGroup
	mu    sync.Mutex
	files map[string]chan struct{} // holds a token when the file has changed since
}

func (f *followed) changed(ctx context.Context, file string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, busy := f.files[file]; busy {
		select {
		case c <- struct{}{}:
		default:
		}
		return
	}
	c := make(chan struct{}, 1)
	f.files[file] = c
	f.wg.Go(func() {
		for f.kernel(ctx, file); !f.done(file, c); {
			f.kernel(ctx, file)
		}
	})
}

// done forgets a file that has not changed since it was looked at.
func (f *followed) done(file string, c chan struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-c:
		return false
	default:
		delete(f.files, file)
		return true
	}
}

// kernel waits for the kernel of a connection file and follows it.
func (f *followed) kernel(ctx context.Context, file string) {
	for ctx.Err() == nil {
		if !f.answers(ctx, file) {
			return
		}
		k, err := f.places.Kernel(ctx, file)
		if err != nil || !f.follow(ctx, k) {
			return
		}
	}
}

func (f *followed) answers(ctx context.Context, file string) bool {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	c, err := Dial(ctx, file)
	if err != nil {
		return false
	}
	return c.Close() == nil
}
