package kernelspec

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

func TestKernelsOfOtherUsersAreShadowed(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
	file := filepath.Join(ir, "kernel.json")
	write(t, file, irSpec)
	if !owned(file) || owned("/etc/passwd") != (os.Geteuid() == 0) {
		t.Fatal("owners are mistaken")
	}
	if os.Geteuid() != 0 {
		return // and cannot give a file away
	}
	must(t, os.Chown(file, nobody, nobody))
	o, err := k.enable(newSpec("ir", ir, nil))
	if err != nil || o.Did != DidShadow || o.File != filepath.Join(k.Dirs.userSpec("ir"), "kernel.json") {
		t.Errorf("%+v, %v", o, err)
	}
	if got := read(t, file); got != irSpec {
		t.Errorf("the other user's spec became %s", got)
	}
}

func TestKernelsThatAreNotWritableAreShadowed(t *testing.T) {
	k, root := newKernels(t)
	ir := filepath.Join(root, "env/share/jupyter/kernels/ir")
	write(t, filepath.Join(ir, "kernel.json"), irSpec)
	must(t, os.Chmod(ir, 0o555))
	t.Cleanup(func() { must(t, os.Chmod(ir, 0o755)) })
	for _, dir := range []string{k.Dirs.Data, filepath.Dir(k.Record)} {
		must(t, os.Chmod(dir, 0o777))
	}
	if os.Geteuid() == 0 { // root's thread meets the file system as nobody
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for _, dir := range []string{root, filepath.Dir(root)} {
			must(t, os.Chmod(dir, 0o755))
		}
		must(t, unix.Setfsuid(nobody))
		defer func() { must(t, unix.Setfsuid(0)) }()
	}
	o, err := k.enable(newSpec("ir", ir, nil))
	if err != nil || o.Did != DidShadow {
		t.Errorf("%+v, %v", o, err)
	}
	must(t, os.Chmod(k.Dirs.userSpec("ir"), 0o555))
	done, err := k.Disable(context.Background(), nil)
	if err != nil || len(done) != 1 || done[0].Did != DidSkip || !strings.Contains(done[0].Why, "permission denied") {
		t.Errorf("disable of what cannot be written: %+v, %v", done, err)
	}
	must(t, os.Chmod(k.Dirs.userSpec("ir"), 0o755))
	if entries, err := os.ReadDir(ir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
