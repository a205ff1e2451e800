//go:build !linux

package kernelhook

import "os/exec"

func harden() error { return nil }

// startChild starts cmd. Nothing ties it to the hook's life here: ipykernel
// watches its parent by itself, as JPY_PARENT_PID tells it to.
func startChild(cmd *exec.Cmd) (wait func() error, err error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd.Wait, nil
}
