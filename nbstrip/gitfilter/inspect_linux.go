package gitfilter

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
)

// inspect reads the arguments and the parent of a process, proc_pid_cmdline(5)
// and proc_pid_stat(5).
func inspect(pid int) (args []string, parent int, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	line, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return nil, 0, err
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, 0, err
	}
	// The second field, the name, may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 || len(line) == 0 {
		return nil, 0, errors.New("malformed process")
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"), parent, err
}
