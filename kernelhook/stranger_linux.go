package kernelhook

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// strangers tells the connections of other users of this machine from those that
// a kernel without encryption may answer: of its own user, of root, of who
// started its hook and of who wrote its connection file, as a gateway does that
// has kernels of many users. It is safe for concurrent use.
type strangers struct {
	known []uint32 // user ids

	mu  sync.Mutex
	fd  int    // of netlink, open all the time: who takes the last descriptor is looked at, too; -1 if there is none
	seq uint32 // of the last question
}

// lookTime is the longest time that the system may take to say whose a connection
// is. It takes 10 µs.
const lookTime = 5 * time.Millisecond

// newStrangers returns what looks at who connects to the ports of a connection
// file. The caller closes it.
func newStrangers(file string) *strangers {
	s := &strangers{known: []uint32{0, uint32(os.Getuid()), uint32(os.Geteuid())}, fd: -1}
	for _, path := range []string{file, filepath.Join("/proc", strconv.Itoa(os.Getppid()))} {
		if info, err := os.Stat(path); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				s.known = append(s.known, st.Uid)
			}
		}
	}
	if inUserNamespace() { // then everybody who has no id in it has this one
		s.known = append(s.known, overflow())
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return s
	}
	limit := unix.NsecToTimeval(lookTime.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		_ = unix.Close(fd)
		return s
	}
	s.fd = fd
	return s
}

func (s *strangers) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
	s.fd = -1
}

// admit returns an error for a connection of another user of this machine.
// Whose that is must be known: one from another machine, which has no socket
// here, is let in, and so is everybody where the system does not say.
func (s *strangers) admit(conn net.Conn) error {
	peer, ok1 := conn.RemoteAddr().(*net.TCPAddr)
	own, ok2 := conn.LocalAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return nil // a file, which has permissions
	}
	uid, err := s.owner(peer.AddrPort(), own.AddrPort())
	if err != nil || slices.Contains(s.known, uid) {
		return nil //nolint:nilerr // see above
	}
	return &strangerError{uid}
}

func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
}

// overflow is the id that stands for users without one, user_namespaces(7).
func overflow() uint32 {
	b, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil {
			return uint32(n)
		}
	}
	return 65534
}

// errNoSocket says that no socket of this machine has these addresses, or none that anybody holds.
var errNoSocket = errors.New("no such socket")

// owner asks the system whose socket has these addresses, sock_diag(7).
func (s *strangers) owner(local, remote netip.AddrPort) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return 0, errors.ErrUnsupported
	}
	s.seq++
	if err := unix.Sendto(s.fd, diagRequest(local, remote, s.seq), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	buf := make([]byte, 4096)
	for range 16 { // answers to questions that were given up
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err != nil {
			return 0, err
		}
		seq, uid, err := diagReply(buf[:n], local, remote)
		if seq == s.seq {
			return uid, err
		}
	}
	return 0, errNoSocket
}

// The messages of sock_diag(7): a header of netlink, then inet_diag_req_v2 or
// inet_diag_msg, both with an inet_diag_sockid of ports and addresses.
const (
	sockDiagByFamily = 20
	headerSize       = unix.NLMSG_HDRLEN
	requestSize      = headerSize + 56
	replySize        = headerSize + 72
	requestID        = headerSize + 8
	replyID          = headerSize + 4
	replyUID         = headerSize + 64
)

func diagRequest(local, remote netip.AddrPort, seq uint32) []byte {
	b := make([]byte, requestSize)
	binary.NativeEndian.PutUint32(b, requestSize)
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(b[8:], seq)
	b[headerSize] = unix.AF_INET6
	if local.Addr().Unmap().Is4() {
		b[headerSize] = unix.AF_INET
	}
	b[headerSize+1] = unix.IPPROTO_TCP
	for i := range 4 {
		b[headerSize+4+i] = 0xff // in any state
	}
	id := b[requestID:]
	binary.BigEndian.PutUint16(id, local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:], local.Addr().Unmap().AsSlice())
	copy(id[20:], remote.Addr().Unmap().AsSlice())
	for i := range 8 {
		b[requestID+40+i] = 0xff // whatever its cookie
	}
	return b
}

// diagReply reads an answer. It may be about a socket that listens, in place of
// one that has ended; a socket of IPv6 may have a connection of IPv4.
func diagReply(b []byte, local, remote netip.AddrPort) (seq, uid uint32, err error) {
	if len(b) < headerSize {
		return 0, 0, errNoSocket
	}
	seq = binary.NativeEndian.Uint32(b[8:])
	if binary.NativeEndian.Uint16(b[4:]) != sockDiagByFamily || len(b) < replySize {
		return seq, 0, errNoSocket
	}
	id, size := b[replyID:], 16
	if b[headerSize] == unix.AF_INET {
		size = 4
	}
	for i, want := range []netip.AddrPort{local, remote} {
		addr, _ := netip.AddrFromSlice(id[4+16*i:][:size])
		if addr.Unmap() != want.Addr().Unmap().WithZone("") || binary.BigEndian.Uint16(id[2*i:]) != want.Port() {
			return seq, 0, errNoSocket
		}
	}
	return seq, binary.NativeEndian.Uint32(b[replyUID:]), nil
}
