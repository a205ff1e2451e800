//go:build !windows

package kernelhook

import (
	"os"
	"syscall"
)

// mine reports whether a file belongs to this user.
func mine(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
