package agent

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// endWithSocket stops the agent when its socket goes, as it does with a runtime
// folder at a logout or with a temporary one that is cleaned: nobody can reach
// the agent any more then, to lock it or to end it, and it would keep values and
// the lock of its home for ever. l, which listens there, then leaves what is in its
// place. Until ctx ends; where the system cannot watch the folder, the agent stays.
func (a *agent) endWithSocket(ctx context.Context, path string, l net.Listener) {
	own, err := os.Lstat(path)
	if err != nil {
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return
	}
	if err := w.Add(filepath.Dir(path)); err != nil {
		_ = w.Close()
		return
	}
	go func() {
		defer func() { _ = w.Close() }()
		for {
			if now, err := os.Lstat(path); err != nil || !os.SameFile(own, now) {
				if ctx.Err() == nil {
					a.log.Warn("the agent ends: its socket is gone", "path", path)
					if l, ok := l.(*net.UnixListener); ok {
						l.SetUnlinkOnClose(false)
					}
					a.stop()
				}
				return
			}
			if !socketMayGo(ctx, w) {
				return
			}
		}
	}()
}

// socketMayGo waits until something went from a folder; false when there is
// nothing to wait for any more.
func socketMayGo(ctx context.Context, w *fsnotify.Watcher) bool {
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				return false
			}
			if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
				return true
			}
		case _, ok := <-w.Errors: // events may be lost
			return ok
		case <-ctx.Done():
			return false
		}
	}
}
