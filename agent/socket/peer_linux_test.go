package socket

import (
	"os"
	"strings"
	"testing"
)

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 (a) b) c) S 7 " + strings.Repeat("0 ", 17) + "99 0"))
	f.Add([]byte("1 ()"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, parent, err := parseStat(1, b)
		if err == nil && (p.PID != 1 || parent < 0) {
			t.Fatalf("process %v, parent %d", p, parent)
		}
	})
}

func TestParseStat(t *testing.T) {
	// A process may call itself anything; it must not choose its parent by that.
	b := []byte("1 (x) S 4242 0 0) S 7 " + strings.Repeat("0 ", 17) + "99 0")
	p, parent, err := parseStat(1, b)
	if err != nil || parent != 7 || p.Start != 99 {
		t.Errorf("%v, parent %d, %v; want start 99, parent 7", p, parent, err)
	}
}
