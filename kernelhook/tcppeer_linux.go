package kernelhook

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// tcpProcess returns a process of this user that holds the end of a TCP
// connection whose own address is local and whose other end is remote, or 0: it
// may be on another machine, or of another user.
func tcpProcess(local, remote net.Addr) int {
	l, ok1 := local.(*net.TCPAddr)
	r, ok2 := remote.(*net.TCPAddr)
	if !ok1 || !ok2 {
		return 0
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		src, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		if inode := socketInode(src, l, r); inode != "" {
			return holderOf("socket:[" + inode + "]")
		}
	}
	return 0
}

// socketInode finds the socket between two addresses in a table as in proc(5).
func socketInode(table []byte, local, remote *net.TCPAddr) string {
	for line := range bytes.Lines(table) {
		f := bytes.Fields(line)
		if len(f) > 9 && isAddr(string(f[1]), local) && isAddr(string(f[2]), remote) {
			return string(f[9])
		}
	}
	return ""
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// isAddr compares an address in the form of proc(5), in which every four bytes
// are a number in the order of this machine, with a.
func isAddr(text string, a *net.TCPAddr) bool {
	if len(text) < 5 || text[len(text)-5:] != fmt.Sprintf(":%04X", a.Port) {
		return false
	}
	ip, err := hex.DecodeString(text[:len(text)-5])
	if err != nil || len(ip)%4 != 0 {
		return false
	}
	if littleEndian {
		for i := 0; i < len(ip); i += 4 {
			ip[i], ip[i+1], ip[i+2], ip[i+3] = ip[i+3], ip[i+2], ip[i+1], ip[i]
		}
	}
	return net.IP(ip).Equal(a.IP)
}

// holderOf returns a process that has link as one of its files.
func holderOf(link string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/fd/[0-9]*") // of other users' processes none
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && to == link {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f))))
			return pid
		}
	}
	return 0
}
