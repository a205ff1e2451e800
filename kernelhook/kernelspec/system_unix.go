//go:build unix

package kernelspec

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// runs reports whether this user can execute the file at path.
func runs(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

// pythonPlaces are where an environment keeps the interpreter called name.
func pythonPlaces(prefix, name string) []string {
	bin := filepath.Join(prefix, "bin")
	return []string{filepath.Join(bin, name), filepath.Join(bin, "python3"), filepath.Join(bin, "python")}
}

// owned reports whether the file at path is this user's own.
func owned(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && int(st.Uid) == os.Geteuid()
}
