package kernelhook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// The names of a private directory below home's Run, and below the temporary
// directory. They are short because a socket's path has at most 104 bytes.
const (
	dirPattern  = "k-*"
	tempPattern = "nbhush-k-*"
)

// roomy is how much room a private directory needs, in bytes: for a connection
// file, and the nodes of sockets.
const roomy = 16 << 10

// young is the age below which a directory without a lock may still be getting one.
const young = time.Minute

// privateDir is the directory of one hook: the kernel's sockets and its
// connection file. It is locked as long as the hook lives.
type privateDir struct {
	path string
	lock *flock.Flock
}

// makeDir removes what killed hooks left, and makes a directory that only this
// user can enter: in run, or in the directory temp where run cannot take one,
// since it is often a small file system of its own and a kernel must start.
func makeDir(run, temp string) (*privateDir, error) {
	sweep(run, temp)
	err := os.MkdirAll(run, 0o700)
	if err == nil {
		var d *privateDir
		if d, err = makeDirAs(run, dirPattern); err == nil {
			return d, nil
		}
	}
	d, err2 := makeDirAs(temp, tempPattern)
	if err2 != nil {
		return nil, fmt.Errorf("directory for the kernel's sockets: %w", errors.Join(err, err2))
	}
	return d, nil
}

func makeDirAs(parent, pattern string) (*privateDir, error) {
	path, err := os.MkdirTemp(parent, pattern) // 0700
	if err != nil {
		return nil, err
	}
	d := &privateDir{path, flock.New(filepath.Join(path, "lock"))}
	ok, err := d.lock.TryLock()
	if !ok && err == nil {
		err = fmt.Errorf("%s cannot be locked", path)
	}
	if err == nil {
		room := filepath.Join(path, "room")
		err = errors.Join(os.WriteFile(room, make([]byte, roomy), 0o600), os.Remove(room))
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close removes the directory.
func (d *privateDir) Close() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// privateDirs lists what makeDir made, of hooks that live and of others.
func privateDirs(run, temp string) (dirs []string) {
	for _, pattern := range []string{filepath.Join(run, dirPattern), filepath.Join(temp, tempPattern)} {
		found, _ := filepath.Glob(pattern) // the pattern is good
		for _, dir := range found {
			if info, err := os.Lstat(dir); err == nil && info.IsDir() && mine(info) {
				dirs = append(dirs, dir) // in a shared folder anybody can make one of that name
			}
		}
	}
	return dirs
}

// sweep removes the directories that no living hook has locked. What it cannot
// remove is tried again by the next hook.
func sweep(run, temp string) {
	for _, dir := range privateDirs(run, temp) {
		path := filepath.Join(dir, "lock")
		info, err := os.Lstat(dir)
		if err != nil {
			continue
		}
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
