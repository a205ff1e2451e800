package socket

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// peerOf reads LOCAL_PEERCRED and LOCAL_PEERPID, sys/un.h.
func peerOf(fd int) (Peer, error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		return Peer{}, err
	}
	if pid <= 0 {
		return Peer{}, fmt.Errorf("process id %d", pid)
	}
	return Peer{UID: int(c.Uid), PID: pid}, nil
}

// inspect asks sysctl for kern.proc.pid; the start is in microseconds.
func inspect(pid int) (p Process, parent int, err error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return Process{}, 0, err
	}
	t := k.Proc.P_starttime
	return Process{PID: pid, Start: uint64(t.Sec)*1e6 + uint64(t.Usec)}, int(k.Eproc.Ppid), nil
}
