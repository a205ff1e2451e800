package socket

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// peerOf reads SO_PEERCRED, unix(7). A peer of another process namespace has
// no PID here; it cannot be told from a kernel's child and is refused.
func peerOf(fd int) (Peer, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	if c.Pid <= 0 {
		return Peer{}, errors.New("its process cannot be seen from here")
	}
	return Peer{UID: int(c.Uid), PID: int(c.Pid)}, nil
}

// inspect reads /proc/PID/stat, proc_pid_stat(5): the parent is field 4, the
// start in clock ticks since boot field 22.
func inspect(pid int) (p Process, parent int, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, 0, err
	}
	return parseStat(pid, b)
}

var errStat = errors.New("malformed stat")

func parseStat(pid int, b []byte) (p Process, parent int, err error) {
	// Field 2, the name, may hold anything, brackets and blanks too.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return Process{}, 0, errStat
	}
	f := bytes.Fields(b[i+1:])
	if len(f) < 20 {
		return Process{}, 0, errStat
	}
	parent, err = strconv.Atoi(string(f[1]))
	if err != nil || parent < 0 {
		return Process{}, 0, errStat
	}
	start, err := strconv.ParseUint(string(f[19]), 10, 64)
	if err != nil {
		return Process{}, 0, errStat
	}
	return Process{PID: pid, Start: start}, parent, nil
}
