//go:build unix

package redact

import (
	"os"

	"golang.org/x/sys/unix"
)

// readable reports whether f has something to read now, its end included.
func readable(f *os.File) bool {
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	ready := false
	_ = c.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		ready = err == nil && n > 0
	})
	return ready
}
