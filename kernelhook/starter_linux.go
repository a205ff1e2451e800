package kernelhook

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// startedFor returns the notebook that the process with this id executes, by its
// command line, absolute; "" if it is not known to execute one.
func startedFor(pid int) string {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return ""
	}
	path := notebookIn(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"))
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	cwd, err := os.Readlink(filepath.Join(dir, "cwd"))
	if err != nil {
		return ""
	}
	return filepath.Join(cwd, path)
}
