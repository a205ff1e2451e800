//go:build unix

package kernelspec

import (
	"os"

	"golang.org/x/sys/unix"
)

// runs reports whether this user can execute the file at path.
func runs(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}
