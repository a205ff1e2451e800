//go:build !linux

package agent

func unmapProgram() {}
