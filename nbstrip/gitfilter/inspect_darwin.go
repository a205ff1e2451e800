package gitfilter

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// inspect reads the arguments and the parent of a process. kern.procargs2 is
// argc, the path of the program, zeros, and the arguments, each with a zero.
func inspect(pid int) (args []string, parent int, err error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return nil, 0, err
	}
	b, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return nil, 0, err
	}
	if len(b) < 4 {
		return nil, 0, errors.New("malformed process")
	}
	count := int(binary.NativeEndian.Uint32(b))
	_, b, _ = bytes.Cut(b[4:], []byte{0})
	b = bytes.TrimLeft(b, "\x00")
	for range min(count, len(b)) {
		arg, rest, ok := bytes.Cut(b, []byte{0})
		if !ok {
			return nil, 0, errors.New("malformed process")
		}
		args, b = append(args, string(arg)), rest
	}
	return args, int(k.Eproc.Ppid), nil
}
