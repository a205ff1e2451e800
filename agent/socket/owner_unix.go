//go:build unix

package socket

import (
	"io/fs"
	"os"
	"syscall"
)

func ours(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == os.Getuid()
}

func closed(st fs.FileInfo) bool { return st.Mode().Perm()&0o077 == 0 }
