// Package savefile replaces a file so that a reader, a crash or a full disk
// finds the old content or the new one, never half of it.
package savefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes data the content of the file at path: a temporary file beside it,
// sync, rename, sync of the directory. A file that exists keeps its mode (and,
// where the system lets us, its owner); a new one gets mode perm. A symbolic
// link is followed, so that the link stays a link. On an error the old file is
// untouched and no temporary file is left, unless the process was killed; such
// leftovers are called .NAME.nbhush-*.
func Write(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, func(fs.FileInfo) error { return nil })
}

// ErrChanged says that a file is no longer the one that was read.
var ErrChanged = errors.New("the file was changed by another program meanwhile")

// Swap is Write for a file that exists and was read when it was as was says:
// just before the rename it compares the file's identity, size and time of
// modification, and leaves it alone with ErrChanged when one of them differs.
func Swap(path string, data []byte, was fs.FileInfo) error {
	return write(path, data, was.Mode().Perm(), func(now fs.FileInfo) error {
		if now == nil || !os.SameFile(was, now) || now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime()) {
			return ErrChanged
		}
		return nil
	})
}

// write does the work. Last before the rename it calls check with what is at
// path then, nil for nothing; an error of check stops it.
func write(path string, data []byte, perm fs.FileMode, check func(fs.FileInfo) error) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	old, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp, err := os.CreateTemp(dir, "."+name+".nbhush-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if old != nil {
		perm = old.Mode().Perm()
		keepOwner(tmp, old)
	}
	if err := tmp.Chmod(perm); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	now, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := check(now); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}
