package attach

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listener returns the process that listens at an endpoint, 0 if it cannot be
// seen. Of several, which have it from their parent, it is the oldest.
func listener(endpoint string) int {
	inode := ""
	if path, ok := strings.CutPrefix(endpoint, "ipc://"); ok {
		inode = unixInode("/proc/net/unix", path)
	} else if at, err := netip.ParseAddrPort(strings.TrimPrefix(endpoint, "tcp://")); err == nil {
		for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			if inode == "" {
				inode = tcpInode(table, at)
			}
		}
	}
	if inode == "" {
		return 0
	}
	var pids []int
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is good
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if len(pids) == 0 {
		return 0
	}
	return slices.Min(pids)
}

// tcpInode finds a listening socket, proc_pid_net(5): local_address is field 1,
// st (0A: listening) 3, inode 9. An address is in the host's byte order, by words of 32 bits.
func tcpInode(table string, at netip.AddrPort) string {
	for f := range fieldsOf(table) {
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		host, port, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(port, 16, 16); err != nil || uint16(n) != at.Port() {
			continue
		}
		if ip, ok := parseAddress(host); ok && (ip.Unmap() == at.Addr().Unmap() || ip.IsUnspecified()) {
			return f[9]
		}
	}
	return ""
}

func parseAddress(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], binary.NativeEndian.Uint32(b[i:]))
	}
	return netip.AddrFromSlice(b)
}

// unixInode finds a listening socket: Flags is field 3 (00010000: listening), Inode 6, Path 7.
func unixInode(table, path string) string {
	for f := range fieldsOf(table) {
		if len(f) > 7 && f[3] == "00010000" && strings.Join(f[7:], " ") == path {
			return f[6]
		}
	}
	return ""
}

// fieldsOf yields the fields of each line of a table of the kernel.
func fieldsOf(table string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(table)
		if err != nil {
			return
		}
		defer func() { _ = f.Close() }()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if !yield(strings.Fields(lines.Text())) {
				return
			}
		}
	}
}

// folder returns the working directory of a process, "" if it cannot be seen.
func folder(pid int) string {
	dir, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil || strings.HasSuffix(dir, " (deleted)") {
		return ""
	}
	return dir
}
