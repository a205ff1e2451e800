package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestLogIsCapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "agent.log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	line := append(bytes.Repeat([]byte{'x'}, 99_999), '\n')
	for range 35 {
		if n, err := l.Write(line); err != nil || n != len(line) {
			t.Fatal(n, err)
		}
	}
	for _, p := range []string{path, path + ".1"} {
		st, err := os.Stat(p)
		if err != nil || st.Size() == 0 || st.Size() > maxLog {
			t.Errorf("%s: %v, %v", p, st, err)
		}
	}
	// One line that is longer than everything is still written.
	if _, err := l.Write(make([]byte, maxLog+1)); err != nil {
		t.Error(err)
	}
}
