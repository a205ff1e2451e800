package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Find returns the path of the nbhush.toml, or else of the secretspec.toml, in dir
// or in the nearest folder above it that has one, or "" where there is none. The path has no symbolic links in its folders,
// so that a project has one path however it was reached.
//
// On the way up Find does not enter a folder that belongs to somebody else than
// this user or root. Such a somebody, in a shared folder for one, could put an
// nbhush.toml above everybody's projects and have users approve it as their
// own. The folder that the user started in is looked at whoever owns it.
func Find(dir string) (path string, err error) { return find(dir, FileName, SecretspecName) }

// FindOwn is Find for an nbhush.toml only.
func FindOwn(dir string) (path string, err error) { return find(dir, FileName) }

func find(dir string, names ...string) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", FileName, err)
	}
	for {
		for _, name := range names {
			path := filepath.Join(dir, name)
			st, err := os.Stat(path)
			if err == nil && st.Mode().IsRegular() {
				return path, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("look for %s: %w", name, err)
			}
		}
		up := filepath.Dir(dir)
		if up == dir || !ours(up) {
			return "", nil
		}
		dir = up
	}
}
