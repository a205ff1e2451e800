//go:build unix

package socket

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// helper makes the test binary play the other process: it dials its argument
// and says what came of it.
const helper = "NBHUSH_SOCKET_TEST_DIAL"

func TestMain(m *testing.M) {
	path := os.Getenv(helper)
	if path == "" {
		os.Exit(m.Run())
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		os.Exit(3)
	}
	_, _ = c.Read(make([]byte, 1)) // until the parent has looked at us
	os.Exit(0)
}

// dir is short: a socket's path has at most 104 bytes.
func dir(t *testing.T) string {
	t.Helper()
	d, err := os.MkdirTemp("", "nbs") // its path is short, as a socket's must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(d) })
	return d
}

func TestMkdirPrivate(t *testing.T) {
	base := dir(t)
	deep := filepath.Join(base, "a", "b", "run")
	for range 2 {
		if err := MkdirPrivate(deep); err != nil {
			t.Fatal(err)
		}
	}
	wide := filepath.Join(base, "wide")
	if err := os.Mkdir(wide, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := MkdirPrivate(wide); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{deep, wide} {
		st, err := os.Stat(d)
		if err := CheckDir(d); err != nil {
			t.Error(err)
		}
		if err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, %v; want 0700", d, st.Mode(), err)
		}
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(deep, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{link, file, filepath.Join(file, "below")} {
		if err := MkdirPrivate(bad); err == nil || CheckDir(bad) == nil {
			t.Errorf("%s was taken for a private directory", bad)
		}
	}
}

func TestMkdirPrivateOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	d := filepath.Join(dir(t), "theirs")
	if err := os.Mkdir(d, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(d, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := MkdirPrivate(d); err == nil || CheckDir(d) == nil {
		t.Error("a directory of another user was taken")
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(dir(t), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("second listener: %v, want ErrInUse", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after a kill
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = Listen(path)
	if err != nil {
		t.Fatalf("a leftover socket is in the way: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close left the socket: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("Listen replaced a file")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "x" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

func TestPeer(t *testing.T) {
	path := filepath.Join(dir(t), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := Peer{UID: os.Getuid(), PID: os.Getpid()}
	for _, end := range []net.Conn{c, s} {
		if got, err := PeerOf(end); err != nil || got != want {
			t.Errorf("peer %v, %v; want %v", got, err, want)
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := PeerOf(a); !errors.Is(err, ErrPeer) {
		t.Errorf("peer of a pipe: %v, want ErrPeer", err)
	}
}

// another starts the test binary, which dials path, and returns its connection
// here and its PID.
func another(t *testing.T, l net.Listener, path string, cred *syscall.Credential) (net.Conn, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot start as another user: %v", err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	})
	return c, cmd.Process.Pid
}

func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	base := dir(t)
	path := filepath.Join(base, "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, p := range []string{base, path} { // or the modes would keep it out
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	exe := filepath.Join(base, "t")
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	old := os.Args[0]
	os.Args[0] = exe
	defer func() { os.Args[0] = old }()
	c, pid := another(t, l, path, &syscall.Credential{Uid: nobody, Gid: nobody})
	if got, err := PeerOf(c); err != nil || got != (Peer{nobody, pid}) {
		t.Errorf("peer %v, %v; want %v", got, err, Peer{nobody, pid})
	}
	if err := CheckUser(c); !errors.Is(err, ErrPeer) {
		t.Errorf("CheckUser: %v, want ErrPeer", err)
	}
}

func TestAncestors(t *testing.T) {
	path := filepath.Join(dir(t), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, pid := another(t, l, path, nil)
	line, err := Ancestors(pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(line) < 2 || line[0].PID != pid || line[1].PID != os.Getpid() {
		t.Fatalf("ancestors %v; want %d, %d, …", line, pid, os.Getpid())
	}
	for i, p := range line[1:] {
		if p.Start > line[i].Start {
			t.Errorf("%v is younger than its child %v", p, line[i])
		}
	}
	if last := line[len(line)-1]; last.PID != 1 && last.Start != 0 {
		t.Logf("the first process that can be seen is %v", last)
	}
	if got, err := Ancestors(1 << 30); err == nil {
		t.Errorf("ancestors of nobody: %v", got)
	}
}

func TestProcessIs(t *testing.T) {
	for _, c := range []struct {
		p, q Process
		want bool
	}{
		{Process{1, 5}, Process{1, 5}, true},
		{Process{1, 5}, Process{1, 6}, false}, // the PID was given to another
		{Process{1, 5}, Process{2, 5}, false},
		{Process{1, 0}, Process{1, 6}, true},
	} {
		if got := c.p.Is(c.q); got != c.want || c.q.Is(c.p) != got {
			t.Errorf("%v is %v: %v, want %v", c.p, c.q, got, c.want)
		}
	}
}

func TestDialNobody(t *testing.T) {
	_, err := Dial(context.Background(), filepath.Join(dir(t), "s"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("dial where nothing is: %v", err)
	}
}
