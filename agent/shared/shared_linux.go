package shared

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Region is a stretch of memory that another process may see too. It is safe for
// concurrent use; the bytes are not.
type Region struct {
	size int

	mu   sync.Mutex
	file *os.File
	mem  []byte // nil until Bytes is called
}

const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// New makes a region of size bytes, all zero. It takes no memory before it is
// touched. Close it after use.
func New(size int) (*Region, error) {
	fd, err := unix.MemfdCreate("nbhush", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make shared memory: %w", err)
	}
	r := &Region{size: size, file: os.NewFile(uintptr(fd), "shared memory")}
	if err := r.file.Truncate(int64(size)); err != nil {
		_ = r.file.Close()
		return nil, fmt.Errorf("make shared memory: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		_ = r.file.Close()
		return nil, fmt.Errorf("seal shared memory: %w", err)
	}
	return r, nil
}

// Open returns the region that file is, which it takes over, also on an error. A
// file whose size may change is refused.
func Open(file *os.File) (*Region, error) {
	have, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0)
	if err == nil && have&seals != seals {
		err = errors.New("its size is not sealed")
	}
	var st os.FileInfo
	if err == nil {
		st, err = file.Stat()
	}
	if err == nil && st.Size() > maxSize {
		err = fmt.Errorf("it has %d bytes", st.Size())
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open shared memory: %w", err)
	}
	return &Region{size: int(st.Size()), file: file}, nil
}

// maxSize is the size of the largest region that Open takes.
const maxSize = 1 << 30

// Size returns the number of bytes.
func (r *Region) Size() int { return r.size }

// Bytes returns the memory, which is good until Close.
func (r *Region) Bytes() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem != nil {
		return r.mem, nil
	}
	if r.file == nil {
		return nil, os.ErrClosed
	}
	mem, err := unix.Mmap(int(r.file.Fd()), 0, r.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	r.mem = mem
	return mem, nil
}

// Empty makes all bytes zero and gives the memory back, on both sides.
func (r *Region) Empty() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return os.ErrClosed
	}
	const hole = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if err := unix.Fallocate(int(r.file.Fd()), hole, 0, int64(r.size)); err != nil {
		return fmt.Errorf("empty shared memory: %w", err)
	}
	return nil
}

// Close gives up this side of the region. The memory itself goes with the last side.
func (r *Region) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	if r.mem != nil {
		err = errors.Join(err, unix.Munmap(r.mem))
	}
	r.file, r.mem = nil, nil
	return err
}

// Send writes b to conn, and the region's descriptor with its first byte.
func (r *Region) Send(conn *net.UnixConn, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return os.ErrClosed
	}
	n, _, err := conn.WriteMsgUnix(b, unix.UnixRights(int(r.file.Fd())), nil)
	if err == nil && n < len(b) {
		_, err = conn.Write(b[n:])
	}
	return err
}

// Receiver reads a connection and keeps the descriptor that comes with the bytes.
// It is not safe for concurrent use.
type Receiver struct {
	Conn *net.UnixConn
	file *os.File
}

// Read is Conn.Read.
func (r *Receiver) Read(b []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := r.Conn.ReadMsgUnix(b, oob)
	n, oobn = max(n, 0), max(oobn, 0) // with an error both are what the system call returned
	messages, _ := unix.ParseSocketControlMessage(oob[:oobn])
	for _, m := range messages {
		fds, _ := unix.ParseUnixRights(&m)
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			r.Discard()
			r.file = os.NewFile(uintptr(fd), "shared memory")
		}
	}
	return n, err
}

// Take returns the file that came, or nil. It is the caller's then.
func (r *Receiver) Take() *os.File {
	f := r.file
	r.file = nil
	return f
}

// Discard closes the file that came, if there is one.
func (r *Receiver) Discard() {
	if f := r.Take(); f != nil {
		_ = f.Close()
	}
}
