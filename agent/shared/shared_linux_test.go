package shared

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const size = 1 << 20

// pair returns two ends of a connection.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), d.Close() })
	return c.(*net.UnixConn), d.(*net.UnixConn)
}

func region(t *testing.T) *Region {
	t.Helper()
	r, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func mem(t *testing.T, r *Region) []byte {
	t.Helper()
	b, err := r.Bytes()
	if err != nil || len(b) != size {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	return b
}

// Both sides see the same bytes, and none once one side has emptied them.
func TestShared(t *testing.T) {
	ours, theirs := pair(t)
	r := region(t)
	hello := bytes.Repeat([]byte("hello"), 100_000) // more than a socket takes at once
	sent := make(chan error, 1)
	go func() { sent <- r.Send(ours, hello) }()
	in := Receiver{Conn: theirs}
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(&in, got); err != nil || !bytes.Equal(got, hello) {
		t.Fatal("what was sent with it did not arrive:", err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	other, err := Open(in.Take())
	if err != nil {
		t.Fatal(err)
	}
	if in.Take() != nil {
		t.Error("the file came twice")
	}
	a, b := mem(t, r), mem(t, other)
	copy(b[size-4:], "text")
	if string(a[size-4:]) != "text" {
		t.Error("what one side wrote the other does not see")
	}
	if err := other.Empty(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, make([]byte, size)) {
		t.Error("bytes are left after Empty")
	}
	if err := errors.Join(other.Close(), other.Close()); err != nil {
		t.Error(err)
	}
	a[0] = 'x' // still there
	if _, err := other.Bytes(); !errors.Is(err, os.ErrClosed) {
		t.Error("bytes of a closed region:", err)
	}
	if err := other.Empty(); !errors.Is(err, os.ErrClosed) {
		t.Error("Empty of a closed region:", err)
	}
	if err := other.Send(ours, nil); !errors.Is(err, os.ErrClosed) {
		t.Error("Send of a closed region:", err)
	}
}

// Neither side can take pages away from under the other.
func TestSizeIsSealed(t *testing.T) {
	r := region(t)
	for _, n := range []int64{0, size / 2, 2 * size} {
		if err := r.file.Truncate(n); err == nil {
			t.Errorf("its size was changed to %d", n)
		}
	}
}

// What comes is not believed.
func TestOpenRefuses(t *testing.T) {
	memory := func(length int64, seal int) *os.File {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "test")
		if err := f.Truncate(length); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seal); err != nil {
			t.Fatal(err)
		}
		return f
	}
	plain, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{
		"plain file": plain, "no seals": memory(size, 0), "may shrink": memory(size, unix.F_SEAL_GROW),
		"too long": memory(maxSize+1, seals),
	} {
		if r, err := Open(f); err == nil {
			t.Errorf("%s: taken, with %d bytes", name, r.Size())
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the file was left open", name)
		}
	}
}

// A second file that comes does not stay open, nor one that nobody takes.
func TestReceiverKeepsOne(t *testing.T) {
	ours, theirs := pair(t)
	in := Receiver{Conn: theirs}
	var files []*os.File
	for range 2 {
		if err := region(t).Send(ours, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		files = append(files, in.file)
	}
	in.Discard()
	for i, f := range files {
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("file %d was left open", i)
		}
	}
	if in.Take() != nil {
		t.Error("a discarded file was given out")
	}
}

// A connection that breaks is an error, as io.Reader has it.
func TestReceiverOfBrokenConnection(t *testing.T) {
	read := func(what string, c *net.UnixConn, want error) {
		t.Helper()
		in := Receiver{Conn: c}
		if n, err := in.Read(make([]byte, 10)); n != 0 || !errors.Is(err, want) {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	ours, theirs := pair(t)
	_ = theirs.Close()
	read("ended", ours, io.EOF)
	_ = ours.Close()
	read("closed", ours, net.ErrClosed)

	ours, theirs = pair(t)
	if _, err := ours.Write([]byte("nobody reads this")); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	read("reset", ours, unix.ECONNRESET)

	ours, _ = pair(t)
	if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	read("late", ours, os.ErrDeadlineExceeded)
}
