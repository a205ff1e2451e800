package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Find returns the path of the nbhush.toml in dir or in the nearest folder above
// it, or "" where there is none. The path has no symbolic links in its folders,
// so that a project has one path however it was reached.
//
// On the way up Find does not enter a folder that belongs to somebody else than
// this user or root. Such a somebody, in a shared folder for one, could put an
// nbhush.toml above everybody's projects and have users approve it as their
// own. The folder that the user started in is looked at whoever owns it.
func Find(dir string) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", FileName, err)
	}
	for {
		path := filepath.Join(dir, FileName)
		st, err := os.Stat(path)
		if err == nil && st.Mode().IsRegular() {
			return path, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("look for %s: %w", FileName, err)
		}
		up := filepath.Dir(dir)
		if up == dir || !ours(up) {
			return "", nil
		}
		dir = up
	}
}
