package kernelhook

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// tcpOnly are programs of kernels that know no ipc, or bind another path than
// jupyter_client means: they would never be heard of.
var tcpOnly = []string{
	"deno", "tslab", "java", "almond", "coursier", "cs", "scala", "evcxr_jupyter", "gophernotes", "xpython",
}

// transports returns how the hook talks to a kernel: what to try, in order. Over
// ipc in a private directory nobody else hears the kernel; over tcp any process
// of the machine can listen to its iopub, as to any bare kernel's. A kernel that
// ends before anybody could reach it is started again with the next; over tcp
// somebody else may have taken a port in between.
func transports(argv []string, curve bool) []string {
	if curve {
		return []string{"ipc"}
	}
	program := strings.ToLower(filepath.Base(argv[0]))
	program = strings.TrimSuffix(program, ".exe")
	switch {
	case slices.Contains(tcpOnly, program), slices.Contains(argv, "xpython_launcher"):
		return []string{"tcp", "tcp"}
	case strings.HasPrefix(program, "python") || program == "r" || program == "julia":
		return []string{"ipc"} // whatever ends these, it is not that
	}
	return []string{"ipc", "tcp"}
}

// freePorts returns ports of a loopback address that nobody uses now. Where the
// whole network 127 is loopback, the address is the hook's own: no connection of
// another program comes from it and takes a port before the kernel does.
func freePorts(n int) (ip string, _ []int, err error) {
	ip = "127.0.0.1"
	if runtime.GOOS == "linux" {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		ip = fmt.Sprintf("127.%d.%d.%d", 1+b[0]%254, b[1], 1+b[2]%254)
	}
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			return "", nil, fmt.Errorf("ports for the kernel: %w", err)
		}
		defer func() { _ = l.Close() }() // not before all are found
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return "", nil, errors.New("ports for the kernel: no address")
		}
		ports[i] = addr.Port
	}
	return ip, ports, nil
}
