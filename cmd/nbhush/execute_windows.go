package main

import (
	"errors"
	"fmt"
	"os/exec"
)

const execs = false

// execute runs the command and exits as it does: Windows has no exec.
func execute(path string, argv, env []string, std stdio) error {
	cmd := exec.Command(path, argv[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.in, std.out, std.err
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exitError{code: exit.ExitCode()}
	case err != nil:
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	return nil
}
