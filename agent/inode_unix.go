//go:build unix

package agent

import (
	"io/fs"
	"syscall"
)

// inode is another one when a file was replaced.
func inode(st fs.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return uint64(sys.Ino) //nolint:unconvert // 32 bits on some systems
	}
	return 0
}
