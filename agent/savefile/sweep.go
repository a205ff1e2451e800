package savefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Sweep removes the temporary files that killed processes left in dir, of the
// files whose names of accepts. Younger ones than age stay: somebody may be
// writing them now.
func Sweep(dir string, age time.Duration, of func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		name, ok := leftoverOf(e.Name())
		if !ok || !of(name) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < age {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// leftoverOf returns the name of the file that the temporary file called tmp
// was to replace: os.CreateTemp puts digits at the end.
func leftoverOf(tmp string) (name string, ok bool) {
	i := strings.LastIndex(tmp, ".nbhush-")
	if i < 2 || tmp[0] != '.' || strings.Trim(tmp[i+len(".nbhush-"):], "0123456789") != "" {
		return "", false
	}
	return tmp[1:i], true
}
