package agent

import (
	"io"
	"os"
	"strconv"
	"strings"
)

const maxEnviron = 4 << 20

// environOf returns the environment that a process of this user was started with.
func environOf(pid int) map[string]string {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	defer clear(b)
	if err != nil {
		return nil
	}
	env := map[string]string{}
	for entry := range strings.SplitSeq(string(b), "\x00") {
		if name, v, ok := strings.Cut(entry, "="); ok {
			env[name] = v
		}
	}
	return env
}
