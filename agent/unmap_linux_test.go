package agent

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// fileMB is the memory in MB that this process has of files.
func fileMB(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "RssFile:")
	if !ok {
		t.Skip("this system does not say what memory is of files")
	}
	kB, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return float64(kB) / 1024
}

// TestUnmapProgram: what the program does next it still can, and it has less memory.
func TestUnmapProgram(t *testing.T) {
	before := fileMB(t)
	for range 3 {
		unmapProgram()
	}
	if after := fileMB(t); after > before*2/3 {
		t.Errorf("%.1f MB of files before, %.1f after", before, after)
	}
}
