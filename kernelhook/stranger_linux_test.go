package kernelhook

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// anotherUser is an id that nobody has.
const anotherUser = 54321

// dialAs connects as another user would: a socket belongs to the user of the
// thread that makes it.
func dialAs(t testing.TB, uid int, dial func(network, address string) (net.Conn, error), address string) net.Conn {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	type result struct {
		conn net.Conn
		err  error
	}
	dialed := make(chan result)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		become := func(uid int) {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
				panic(errno) // the thread must not go on as whoever it is
			}
		}
		become(uid)
		conn, err := dial("tcp", address)
		become(0)
		dialed <- result{conn, err}
	}()
	r := <-dialed
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.conn
}

// accepted returns the other end of a connection that dial makes to a listener of network.
func accepted(t testing.TB, l net.Listener, dial func(address string) net.Conn) (client, server net.Conn) {
	t.Helper()
	client = dial(strings.Replace(l.Addr().String(), "[::]", "127.0.0.1", 1)) // of IPv4, at a socket of IPv6
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func dialOwn(t testing.TB) func(string) net.Conn {
	return func(address string) net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// An IPv4 connection can be of a socket that is of IPv6.
func dialMapped(_, address string) (net.Conn, error) {
	at := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "")
	defer func() { _ = f.Close() }() // FileConn has a copy
	if err := unix.Connect(fd, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// A connection of another user of the machine is refused, unless he started the
// hook or wrote the connection file; whatever is not known is let in.
func TestStrangers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kernel-x.json")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStrangers(file)
	defer s.Close()
	for _, address := range []string{"127.0.0.1:0", "127.4.5.6:0", "[::1]:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err) // a machine without IPv6
			}
			defer func() { _ = l.Close() }()
			_, own := accepted(t, l, dialOwn(t))
			if err := s.admit(own); err != nil {
				t.Errorf("its own user: %v", err)
			}
			stranger := func(address string) net.Conn { return dialAs(t, anotherUser, net.Dial, address) }
			_, other := accepted(t, l, stranger)
			var refused *strangerError
			if err := s.admit(other); !errors.As(err, &refused) || refused.uid != anotherUser {
				t.Errorf("another user: %v", err)
			}
			if strings.HasPrefix(address, "127.") {
				_, other := accepted(t, l, func(address string) net.Conn { return dialAs(t, anotherUser, dialMapped, address) })
				if err := s.admit(other); !errors.As(err, &refused) {
					t.Errorf("another user, by a socket of IPv6: %v", err)
				}
			}
			if err := os.Chown(file, anotherUser, anotherUser); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.Chown(file, 0, 0) }()
			theirs := newStrangers(file)
			defer theirs.Close()
			_, other = accepted(t, l, stranger)
			if err := theirs.admit(other); err != nil {
				t.Errorf("who wrote the connection file: %v", err)
			}
			theirs.Close() // as where the system does not say
			_, other = accepted(t, l, func(address string) net.Conn { return dialAs(t, anotherUser+1, net.Dial, address) })
			if err := theirs.admit(other); err != nil {
				t.Errorf("who is not known: %v", err)
			}
		})
	}
	if err := s.admit(&net.UnixConn{}); err != nil {
		t.Errorf("a file: %v", err)
	}
}

// Another user gets no byte from any of a kernel's five ports, whatever it sends
// there, and nobody else notices.
func TestStrangerAtPorts(t *testing.T) {
	e := newEcho(t, echoDir(t), true)
	greeting := append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL"), make([]byte, 48)...)
	ready := "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03"
	for endpoint, says := range map[string]string{
		e.at.Shell: ready + "REQ", e.at.Control: ready + "REQ", e.at.Stdin: ready + "REQ", e.at.IOPub: ready + "SUB\x00\x01\x01",
		e.at.Heartbeat: ready + "REQ\x01\x00\x00\x04ping",
	} {
		address := strings.TrimPrefix(endpoint, "tcp://")
		conn := dialAs(t, anotherUser, net.Dial, address)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write(append(bytes.Clone(greeting), says...)) // it may be closed already
		if b, err := io.ReadAll(conn); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes, %v", endpoint, len(b), err)
		}
		_ = conn.Close()
		own := dialOwn(t)(address)
		if _, err := io.ReadFull(own, make([]byte, 10)); err != nil {
			t.Errorf("%s: its own user: %v", endpoint, err)
		}
		_ = own.Close()
	}
	e.roundTrip(t, []byte(`{}`))

	// Who wants others to be let in says so.
	t.Setenv("NBHUSH_TEST_OTHER_USERS", "1")
	open := newEcho(t, echoDir(t), true)
	conn := dialAs(t, anotherUser, net.Dial, strings.TrimPrefix(open.at.IOPub, "tcp://"))
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
		t.Errorf("another user who is wanted: %v", err)
	}
}

// The log names each stranger once.
func TestStrangerIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := newStrangers("")
	defer s.Close()
	var log bytes.Buffer
	h := &hook{Options: Options{Stderr: &log}}
	admit := h.admit(s)
	for range 2 {
		_, conn := accepted(t, l, func(address string) net.Conn { return dialAs(t, anotherUser, net.Dial, address) })
		if admit(conn) == nil {
			t.Error("a stranger was let in")
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "user with id 54321 was refused; ") || !strings.Contains(got, "kernel_other_users = true") {
		t.Errorf("the log says %q", got)
	}
}

func FuzzDiagReply(f *testing.F) {
	local, remote := netip.MustParseAddrPort("127.0.0.1:5555"), netip.MustParseAddrPort("127.0.0.1:6666")
	f.Add(diagRequest(local, remote, 7))
	f.Add(make([]byte, replySize))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, uid, err := diagReply(b, local, remote)
		if err != nil && uid != 0 {
			t.Errorf("user %d and %v", uid, err)
		}
		if err == nil && !bytes.Contains(b, diagRequest(local, remote, 0)[requestID:requestID+4]) {
			t.Error("an answer about other ports was taken")
		}
	})
}

// BenchmarkAdmit is the cost of a connection, on a machine with 10,000 others.
func BenchmarkAdmit(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var conn net.Conn
	for range 5000 {
		_, conn = accepted(b, l, dialOwn(b))
	}
	s := newStrangers("")
	defer s.Close()
	b.ResetTimer()
	for b.Loop() {
		if err := s.admit(conn); err != nil {
			b.Fatal(err)
		}
	}
}
