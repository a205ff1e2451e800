//go:build unix

package attach

import "syscall"

// running reports whether this user has such a process.
func running(pid int) bool { return syscall.Kill(pid, 0) == nil }
