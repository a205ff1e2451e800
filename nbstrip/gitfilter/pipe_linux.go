package gitfilter

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what the system allows to everybody.
const pipeSize = 1 << 20

// widen has a pipe hold a whole notebook, mostly: neither git nor the filter waits for
// the other to wake for each 64 kB. What is no pipe, and one that may not be, stays as it is.
func widen(stream any) {
	if f, ok := stream.(*os.File); ok {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	}
}
