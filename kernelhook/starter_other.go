//go:build !linux

package kernelhook

// startedFor returns "": the command line of another process is not looked at here.
func startedFor(int) string { return "" }
