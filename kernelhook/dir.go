package kernelhook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// dirPattern is the name of a private directory below home's Run. It is short
// because a socket's path has at most 104 bytes.
const dirPattern = "k-*"

// young is the age below which a directory without a lock may still be getting one.
const young = time.Minute

// privateDir is the directory of one hook: the kernel's sockets and its
// connection file. It is locked as long as the hook lives.
type privateDir struct {
	path string
	lock *flock.Flock
}

// makeDir removes what killed hooks left in run, and makes a directory there
// that only this user can enter.
func makeDir(run string) (*privateDir, error) {
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, fmt.Errorf("directory for the kernel's sockets: %w", err)
	}
	sweep(run)
	path, err := os.MkdirTemp(run, dirPattern) // 0700
	if err != nil {
		return nil, fmt.Errorf("directory for the kernel's sockets: %w", err)
	}
	d := &privateDir{path, flock.New(filepath.Join(path, "lock"))}
	if ok, err := d.lock.TryLock(); !ok {
		return nil, errors.Join(fmt.Errorf("directory for the kernel's sockets: %s cannot be locked", path), err, os.RemoveAll(path))
	}
	return d, nil
}

// Close removes the directory.
func (d *privateDir) Close() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// sweep removes the directories that no living hook has locked. What it cannot
// remove is tried again by the next hook.
func sweep(run string) {
	dirs, _ := filepath.Glob(filepath.Join(run, dirPattern)) // the pattern is good
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		path := filepath.Join(dir, "lock")
		if _, err := os.Lstat(path); err != nil && time.Since(info.ModTime()) < young {
			continue
		}
		lock := flock.New(path)
		if ok, err := lock.TryLock(); !ok || err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}
