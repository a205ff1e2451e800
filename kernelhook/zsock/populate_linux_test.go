package zsock

import (
	"bytes"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// faults returns how many pages this thread had to wait for when it touched them.
func faults(t *testing.T) int64 {
	t.Helper()
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &use); err != nil {
		t.Fatal(err)
	}
	return use.Minflt
}

// Memory has its pages afterwards, wherever the slice of it begins, and in them what was
// there before.
func TestPopulate(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	page := os.Getpagesize()
	size := 16384 * page
	for _, cut := range []int{0, 1, page - 1, page, page + 1} {
		mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		mem[size-5] = 'x'
		populate(mem[cut:])
		before := faults(t)
		for i := 0; i < size; i += page {
			mem[i] = 'y'
		}
		if got := faults(t) - before; got > 100 {
			t.Errorf("from %d: %d of 16384 pages were not there", cut, got)
		}
		if bytes.Count(mem, []byte{'y'}) != 16384 || bytes.Count(mem, []byte{0}) != size-1-16384 || mem[size-5] != 'x' {
			t.Errorf("from %d: the bytes changed", cut)
		}
		if err := unix.Munmap(mem); err != nil {
			t.Fatal(err)
		}
	}
	populate(nil)
	populate(make([]byte, 1))
}
