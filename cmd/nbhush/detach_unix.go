//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach lets cmd outlive the terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
