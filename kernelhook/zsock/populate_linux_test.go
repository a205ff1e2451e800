package zsock

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// resident returns the pages of this process that are in memory.
func resident(t *testing.T) (pages int) {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(bytes.Fields(statm)[1]), &pages)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// Memory has its pages afterwards, wherever the slice of it begins, and in them what was
// there before.
func TestPopulate(t *testing.T) {
	page := os.Getpagesize()
	size := 16384 * page
	for _, cut := range []int{0, 1, page - 1, page, page + 1} {
		mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		mem[size-5] = 'x'
		before := resident(t)
		populate(mem[cut:])
		if got := resident(t) - before; got < 16000 {
			t.Errorf("from %d: %d of 16384 pages more", cut, got)
		}
		if bytes.Count(mem, []byte{0}) != size-1 || mem[size-5] != 'x' {
			t.Errorf("from %d: the bytes changed", cut)
		}
		if err := unix.Munmap(mem); err != nil {
			t.Fatal(err)
		}
	}
	populate(nil)
	populate(make([]byte, 1))
}
