package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip/detect"
)

// looksKeyLen is the length of the key, in bytes.
const looksKeyLen = 32

// looks finds what looks like a secret. Its rules are read when the first text
// comes, so that a command without one does not pay for them.
func (a *app) looks() (*detect.Detector, error) {
	key, err := looksKey(a.home.LooksKey())
	if err != nil {
		return nil, fmt.Errorf("read the key of findings: %w", err)
	}
	return detect.New(key), nil
}

// looksKey returns the key at path, which it makes if there is none. Several
// processes that start at once end up with the same one.
func looksKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if len(key) == looksKeyLen {
		return key, nil
	}
	fresh := make([]byte, looksKeyLen)
	_, _ = rand.Read(fresh) // never fails
	if err == nil {         // damaged: equal secrets get other digits from now on
		return fresh, savefile.Write(path, fresh, 0o600)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(dir, ".looks-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(fresh)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
