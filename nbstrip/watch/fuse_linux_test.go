package watch

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// mirrored mounts a new folder at another one by FUSE, as sshfs and cloud
// folders are, and returns both.
func mirrored(t *testing.T) (below, mount string) {
	t.Helper()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no FUSE folders here: %v", err)
	}
	_ = dev.Close()
	bindfs, err := exec.LookPath("bindfs")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there is no bindfs; run: make test")
	}
	dir := t.TempDir()
	below, mount = filepath.Join(dir, "below"), filepath.Join(dir, "mount")
	for _, d := range []string{below, mount} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// Without its caches, as a file system has none that others change, too.
	cmd := exec.Command(bindfs, "-f", "-o", "attr_timeout=0,entry_timeout=0,negative_timeout=0", below, mount)
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
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if syscall.Stat(mount, &now) == nil && now.Dev != before.Dev {
			return below, mount
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("bindfs: %v", err)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("bindfs mounts nothing")
		}
	}
}

// TestFUSE: what is saved through a FUSE folder is noticed as anywhere; what
// changes behind it, as on the other end of a network, takes walks.
func TestFUSE(t *testing.T) {
	t.Parallel()
	t.Run("notify", func(t *testing.T) {
		_, mount := mirrored(t)
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
		below, mount := mirrored(t)
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
