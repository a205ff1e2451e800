package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

var (
	// ErrInUse says that somebody answers at the socket already.
	ErrInUse = errors.New("socket is in use")
	// ErrPeer says that the other end is another user, or nobody knows who.
	ErrPeer = errors.New("peer is not this user")
)

// Peer is the process that connected (seen from the listener) or that listens
// (seen from the dialler), at the time when it did so.
type Peer struct{ UID, PID int }

// Process is one process among all that ever had its PID. Start is the
// system's own measure of the time when it began, 0 if that cannot be seen.
type Process struct {
	PID   int
	Start uint64
}

// Is reports whether p and q are the same process. An unknown Start counts as
// equal: who asks wants to know whether a restriction applies.
func (p Process) Is(q Process) bool {
	return p.PID == q.PID && (p.Start == q.Start || p.Start == 0 || q.Start == 0)
}

// MkdirPrivate makes dir, mode 0700, and its parents where they are missing. A
// directory that exists must belong to this user and be no symbolic link: in a
// shared directory such as /tmp somebody else may have put it there first. One
// of ours that others can enter is closed to them.
func MkdirPrivate(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := own(dir)
	if err != nil || closed(st) {
		return err
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a directory needs its x
}

// CheckDir returns nil if dir is a directory that MkdirPrivate would take as it is or close.
func CheckDir(dir string) error {
	_, err := own(dir)
	return err
}

func own(dir string) (fs.FileInfo, error) {
	st, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, &fs.PathError{Op: "use", Path: dir, Err: errors.New("is a link or a file, not a directory")}
	}
	if !ours(st) {
		return nil, &fs.PathError{Op: "use", Path: dir, Err: errors.New("belongs to another user")}
	}
	return st, nil
}

// Listen listens at path, mode 0600. A socket that nobody answers at is a
// leftover and is replaced; one that somebody answers at is ErrInUse, and a
// file of another kind is left alone. Two callers at once must hold a lock of
// their own. Close removes the socket.
func Listen(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func removeStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return &fs.PathError{Op: "listen", Path: path, Err: errors.New("a file that is no socket is in the way")}
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return &fs.PathError{Op: "listen", Path: path, Err: ErrInUse}
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// Dial connects to the socket at path. It fails with ErrPeer if another user
// listens there, so that no request reaches a stranger's agent.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := CheckUser(c); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// CheckUser returns nil if the peer of c is this user, ErrPeer otherwise.
func CheckUser(c net.Conn) error {
	p, err := PeerOf(c)
	if err != nil {
		return err
	}
	if p.UID != os.Getuid() {
		return fmt.Errorf("%w: user id %d", ErrPeer, p.UID)
	}
	return nil
}

// PeerOf says who is at the other end of c. It fails with ErrPeer where the
// system does not know.
func PeerOf(c net.Conn) (Peer, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return Peer{}, ErrPeer
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var p Peer
	var perr error
	if err := raw.Control(func(fd uintptr) { p, perr = peerOf(int(fd)) }); err != nil {
		return Peer{}, err
	}
	if perr != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrPeer, perr)
	}
	return p, nil
}

// maxDepth bounds the walk to the first process; a deeper tree is an error,
// or a process could fork itself out of its ancestry.
const maxDepth = 4096

// Ancestors returns the process pid, its parent and so on up to the first
// process that can be seen. A PID that was given to another process during the
// walk is noticed by its start: nobody is younger than its child. It fails if
// pid itself cannot be seen, and on systems without the means.
func Ancestors(pid int) ([]Process, error) {
	for range 8 {
		line, settled, err := walk(pid)
		if err != nil || settled {
			return line, err
		}
	}
	return nil, fmt.Errorf("process %d: its ancestors change too quickly to be seen", pid)
}

// walk is one attempt; it is not settled if the tree changed below its feet.
func walk(pid int) (line []Process, settled bool, err error) {
	p, parent, err := inspect(pid)
	if err != nil {
		return nil, false, fmt.Errorf("process %d: %w", pid, err)
	}
	line = append(line, p)
	for parent > 0 {
		if len(line) >= maxDepth {
			return nil, false, fmt.Errorf("process %d has more than %d ancestors", pid, maxDepth)
		}
		child := line[len(line)-1]
		next, grandparent, err := inspect(parent)
		if err != nil {
			// Hidden (hidepid of proc(5)), or gone and the child has a new parent.
			again, now, err := inspect(child.PID)
			if err != nil || now != parent || !again.Is(child) {
				return nil, false, nil
			}
			return append(line, Process{PID: parent}), true, nil
		}
		if next.Start > child.Start {
			return nil, false, nil
		}
		line = append(line, next)
		parent = grandparent
	}
	return line, true, nil
}
