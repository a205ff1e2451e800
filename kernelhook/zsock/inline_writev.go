//go:build linux || darwin || openbsd

package zsock

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// inline writes to a connection on the goroutine of the sender, as much as the
// connection takes without waiting. The queue's lock guards it.
type inline struct {
	raw    syscall.RawConn
	try    func(fd uintptr) bool // writev, made once: a closure for each message would be garbage
	pieces [][]byte
	n      int
	err    error
}

// maxIov is POSIX's smallest IOV_MAX that matters here, Linux's and Darwin's own.
const maxIov = 1024

func (w *inline) init(conn net.Conn) {
	if c, ok := conn.(syscall.Conn); ok {
		w.raw, _ = c.SyscallConn()
	}
	w.try = w.writev
}

func (w *inline) writev(fd uintptr) bool {
	for {
		w.n, w.err = unix.Writev(int(fd), w.pieces)
		if !errors.Is(w.err, unix.EINTR) {
			return true // also on EAGAIN: this never waits
		}
	}
}

// write writes pieces in one writev and returns the number of bytes that went.
func (w *inline) write(pieces [][]byte) (int, error) {
	if w.raw == nil {
		return 0, nil
	}
	w.pieces = pieces[:min(len(pieces), maxIov)]
	err := w.raw.Write(w.try)
	w.pieces = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(w.err, unix.EAGAIN):
		return 0, nil
	case w.err != nil:
		return 0, w.err
	}
	return w.n, nil
}
