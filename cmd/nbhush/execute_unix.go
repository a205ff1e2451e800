//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// execs says that execute becomes the command.
const execs = true

// execute becomes the command, so that signals, the terminal and the exit code
// are the command's own, and no copy of the environment stays behind.
func execute(path string, argv, env []string, _ stdio) error {
	if err := syscall.Exec(path, argv, env); err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	return nil
}
