package kernelhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// anotherUser is an id that nobody has: what such a process may do, every other account may.
const anotherUser = 54321

// dialAs starts a process of another user, with no group but its own, that
// connects to address by network, tcp or mapped, and sends says. came waits
// for its end and returns the first bytes that it got, if there were any before
// the other side closed.
func dialAs(t testing.TB, uid uint32, network, address, says string) (came func() string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root starts a process of another user")
	}
	cmd := exec.Command(openProgram(t), "dial", network, address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Dir, cmd.Stdin = "/", strings.NewReader(says)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	came = sync.OnceValue(func() string {
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process of another user: %v\n%s", err, stderr.String())
		}
		return out.String()
	})
	t.Cleanup(func() { came() })
	return came
}

// openProgram is this program where every user can start it.
func openProgram(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "program")
	b, err := os.ReadFile(self)
	if err := errors.Join(err, os.WriteFile(path, b, 0o700), os.Chmod(path, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// testDial is that process.
func testDial(network, address string) int {
	dial := net.Dial
	if network == "mapped" {
		dial = dialMapped
	}
	conn, err := dial(network, address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.Copy(conn, os.Stdin) // it may be closed already
	b := make([]byte, 10)
	n, err := io.ReadFull(conn, b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintln(os.Stderr, "neither an answer nor a refusal")
		return 1
	}
	_, _ = os.Stdout.Write(b[:n])
	return 0
}

// accepted returns the server's end of a connection that dial makes to a listener.
func accepted(t testing.TB, l net.Listener, dial func(address string)) net.Conn {
	t.Helper()
	dial(strings.Replace(l.Addr().String(), "[::]", "127.0.0.1", 1)) // of IPv4, at a socket of IPv6
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // before what dial does in the end
	return conn
}

// own returns a connection of this process's user.
func own(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dialMapped makes a connection of IPv4 with a socket of IPv6.
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
			if err := s.admit(accepted(t, l, func(address string) { own(t, address) })); err != nil {
				t.Errorf("its own user: %v", err)
			}
			stranger := func(address string) { dialAs(t, anotherUser, "tcp", address, "") }
			var refused *strangerError
			if err := s.admit(accepted(t, l, stranger)); !errors.As(err, &refused) || refused.uid != anotherUser {
				t.Errorf("another user: %v", err)
			}
			if strings.HasPrefix(address, "127.") {
				mapped := accepted(t, l, func(address string) { dialAs(t, anotherUser, "mapped", address, "") })
				if err := s.admit(mapped); !errors.As(err, &refused) {
					t.Errorf("another user, by a socket of IPv6: %v", err)
				}
			}
			if err := os.Chown(file, anotherUser, anotherUser); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.Chown(file, 0, 0) }()
			theirs := newStrangers(file)
			defer theirs.Close()
			if err := theirs.admit(accepted(t, l, stranger)); err != nil {
				t.Errorf("who wrote the connection file: %v", err)
			}
			theirs.Close() // as where the system does not say
			unknown := accepted(t, l, func(address string) { dialAs(t, anotherUser+1, "tcp", address, "") })
			if err := theirs.admit(unknown); err != nil {
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
		if came := dialAs(t, anotherUser, "tcp", address, string(greeting)+says)(); came != "" {
			t.Errorf("%s: %q came", endpoint, came)
		}
		if _, err := io.ReadFull(own(t, address), make([]byte, 10)); err != nil {
			t.Errorf("%s: its own user: %v", endpoint, err)
		}
	}
	e.roundTrip(t, []byte(`{}`))

	// Who wants others to be let in says so.
	t.Setenv("NBHUSH_TEST_OTHER_USERS", "1")
	open := newEcho(t, echoDir(t), true)
	if came := dialAs(t, anotherUser, "tcp", strings.TrimPrefix(open.at.IOPub, "tcp://"), "")(); len(came) != 10 {
		t.Errorf("another user who is wanted: %q came", came)
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
		if admit(accepted(t, l, func(address string) { dialAs(t, anotherUser, "tcp", address, "") })) == nil {
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
		conn = accepted(b, l, func(address string) { own(b, address) })
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
