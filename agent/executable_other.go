//go:build !linux

package agent

// executable returns "": the system has no plain way to ask.
func executable(int) string { return "" }
