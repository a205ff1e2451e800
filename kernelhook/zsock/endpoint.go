package zsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// parseEndpoint splits an endpoint into the network and the address for package net.
func parseEndpoint(endpoint string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(endpoint, "ipc://"); ok && path != "" && path[0] != '@' {
		return "unix", path, nil
	}
	if address, ok := strings.CutPrefix(endpoint, "tcp://"); ok {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", "", fmt.Errorf("endpoint %q: %w", endpoint, err)
		}
		if host == "*" {
			host = ""
		}
		return "tcp", net.JoinHostPort(host, port), nil
	}
	return "", "", fmt.Errorf("endpoint %q is neither tcp://HOST:PORT nor ipc://PATH", endpoint)
}

// listen binds endpoint and returns the endpoint that it got.
func listen(endpoint string) (net.Listener, string, error) {
	network, address, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, "", err
	}
	ln, err := net.Listen(network, address)
	if network != "unix" {
		if err != nil {
			return nil, "", fmt.Errorf("listen on %s: %w", endpoint, err)
		}
		return ln, "tcp://" + ln.Addr().String(), nil
	}
	if errors.Is(err, syscall.EADDRINUSE) && removeStale(address) {
		ln, err = net.Listen(network, address)
	}
	if err != nil {
		return nil, "", fmt.Errorf("listen on %s: %w", endpoint, err)
	}
	if err := os.Chmod(address, 0o600); err != nil {
		return nil, "", errors.Join(fmt.Errorf("listen on %s: %w", endpoint, err), ln.Close())
	}
	return ln, endpoint, nil
}

// removeStale removes the socket that a killed process left at path. It dials
// first: a socket that answers belongs to somebody.
func removeStale(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return false
	}
	info, statErr := os.Lstat(path)
	if statErr != nil || info.Mode().Type() != os.ModeSocket || !errors.Is(err, syscall.ECONNREFUSED) {
		return false
	}
	return os.Remove(path) == nil
}
