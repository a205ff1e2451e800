//go:build !linux

package kernelhook

import "net"

// tcpProcess cannot be known here.
func tcpProcess(_, _ net.Addr) int { return 0 }
