//go:build !windows

package ambient

import "syscall"

const nonblock = syscall.O_NONBLOCK
