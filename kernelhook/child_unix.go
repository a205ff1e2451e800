//go:build unix

package kernelhook

import (
	"os"
	"os/signal"
	"syscall"
)

// absorbed are the signals that Jupyter and the terminal send to the whole
// process group: the kernel has them already, and the hook goes on.
var absorbed = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// forwarded are the signals that end the kernel; one that was sent to the
// hook alone must reach it.
var forwarded = []os.Signal{syscall.SIGTERM, syscall.SIGHUP}

// raise ends this process by the signal that ended the kernel, so that Jupyter
// sees what it would have seen. It returns if it could not.
func raise(sig os.Signal) {
	signal.Reset(sig)
	if s, ok := sig.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), s)
	}
	select {} // the signal is on its way
}

// exitOf returns how a process ended.
func exitOf(state *os.ProcessState) Exit {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal()}
	}
	return Exit{Code: state.ExitCode()}
}
