package watch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Without caches, as a file system has none that others change, too.
const uncached = "attr_timeout=0,entry_timeout=0,negative_timeout=0"

// mirrored mounts a new folder at another one by FUSE, as cloud folders are, and
// returns both. The program gets the arguments that args makes of the two.
func mirrored(t *testing.T, program string, args func(below, mount string) []string) (below, mount string) {
	t.Helper()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no FUSE folders here: %v", err)
	}
	_ = dev.Close()
	if program, err = exec.LookPath(program); err != nil {
		missing(t, err)
	}
	dir := t.TempDir()
	below, mount = filepath.Join(dir, "below"), filepath.Join(dir, "mount")
	for _, d := range []string{below, mount} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, args(below, mount)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it unmounts
		<-ended
		_ = syscall.Unmount(mount, syscall.MNT_DETACH)
	})
	var before, now syscall.Stat_t
	if err := syscall.Stat(dir, &before); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if syscall.Stat(mount, &now) == nil && now.Dev != before.Dev {
			return below, mount
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v", program, err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s mounts nothing", program)
		}
	}
}

// TestFUSE is of a folder of this machine.
func TestFUSE(t *testing.T) {
	t.Parallel()
	testMounted(t, "bindfs", func(below, mount string) []string { return []string{"-f", "-o", uncached, below, mount} })
}

// TestNetworkFolder is of one that sshfs has from OpenSSH's server of files, but for the connection between the two.
func TestNetworkFolder(t *testing.T) {
	t.Parallel()
	server := ""
	for _, path := range []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server"} {
		if _, err := os.Stat(path); err == nil {
			server = path
		}
	}
	if server == "" {
		missing(t, errors.New("there is no sftp-server"))
	}
	ssh := filepath.Join(t.TempDir(), "ssh")
	syscall.ForkLock.RLock() // a fork now would hold the program open for writing
	err := os.WriteFile(ssh, []byte("#!/bin/sh\nexec "+server+"\n"), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	testMounted(t, "sshfs", func(below, mount string) []string {
		return []string{"-f", "-o", "dir_cache=no,ssh_command=" + ssh + "," + uncached, "host:" + below, mount}
	})
}

func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skipf("%v; run: make test", err)
}

// testMounted: what is saved through such a folder is noticed as anywhere; what
// changes behind it, as on the other end of a network, takes walks.
func testMounted(t *testing.T, program string, args func(below, mount string) []string) {
	t.Helper()
	t.Run("notify", func(t *testing.T) {
		_, mount := mirrored(t, program, args)
		s := watched(t, Options{Dirs: []string{mount}}, func(s *scene) { s.dir = mount })
		s.put("a.ipynb", s.value)
		s.stripped("a.ipynb")
		s.put(".~a.ipynb", s.value)
		if err := os.Rename(s.path(".~a.ipynb"), s.path("a.ipynb")); err != nil {
			t.Fatal(err)
		}
		s.stripped("a.ipynb")
		if info, err := os.Stat(s.path("a.ipynb")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, want 0640 kept", info.Mode())
		}
		s.settled()
	})
	t.Run("poll, changed behind it", func(t *testing.T) {
		below, mount := mirrored(t, program, args)
		s := watched(t, Options{Dirs: []string{mount}, Poll: 10 * time.Millisecond}, func(s *scene) { s.dir = mount })
		for range 2 { // new, and in place
			if err := os.WriteFile(filepath.Join(below, "a.ipynb"), notebook(s.value), 0o640); err != nil {
				t.Fatal(err)
			}
			s.stripped("a.ipynb")
		}
		s.settled()
	})
}
