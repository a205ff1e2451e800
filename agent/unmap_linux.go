package agent

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmapProgram gives back the pages of this program, and of libraries, that are as they
// are on the disk: few requests need what the start does. What is needed comes back from
// the system's cache. Where a page was written to, as a linker does, or is locked, nothing
// happens.
func unmapProgram() {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	var start, end uint64 // of a mapping of a file that cannot be written to
	for s := bufio.NewScanner(f); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), " ")
		if first, last, ok := strings.Cut(name, "-"); ok && !strings.HasSuffix(name, ":") {
			start, _ = strconv.ParseUint(first, 16, 64)
			end, _ = strconv.ParseUint(last, 16, 64)
			// perms, offset, device, inode, path
			if at := strings.Fields(rest); len(at) < 5 || !strings.HasPrefix(at[0], "r-") || at[3] == "0" {
				end = 0
			}
		} else if name == "Anonymous:" && end > start && strings.TrimSpace(rest) == "0 kB" {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
