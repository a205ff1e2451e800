package vault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

// fillDisk mounts a small file system over dir, which only this process and its
// namespace see, and writes until it is full.
func fillDisk(dir string) error {
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		return fmt.Errorf("cannot mount: %w", err)
	}
	path := filepath.Join(dir, "vault.age")
	v := random()
	if err := Open(path).Set("A", v); err != nil {
		return err
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		return err
	}
	for err == nil {
		_, err = ballast.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("ballast: %w", err)
	}
	for range 3 {
		if err := Open(path).Set("B", secret.New(make([]byte, 20<<10))); !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("set on a full disk: %w", err)
		}
		if got, err := Open(path).Get("A"); err != nil || !got.Equal(v) {
			return fmt.Errorf("the old state is gone: %w", err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		return fmt.Errorf("temporary files stay: %v", left)
	}
	if err := errors.Join(ballast.Close(), os.Remove(ballast.Name())); err != nil {
		return err
	}
	return Open(path).Set("B", v)
}

func TestFullDisk(t *testing.T) {
	cmd := again(t, "fill", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		// Inside of a user namespace of its own, anybody may mount.
		id := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: id(os.Getuid()), GidMappings: id(os.Getgid()),
		}
	}
	// A file, since a pipe would outlive a child of the child.
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = out
	err = cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("may not make a mount namespace: %v", err)
		}
		t.Skipf("may not make a mount namespace: %v", err)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		_, _ = out.Seek(0, io.SeekStart)
		said, _ := io.ReadAll(out)
		t.Fatalf("%v: %s", err, said)
	}
}
