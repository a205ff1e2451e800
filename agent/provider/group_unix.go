//go:build unix

package provider

import (
	"os/exec"
	"syscall"
)

// group lets cmd lead a group of its own, so that killGroup reaches its children.
func group(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
