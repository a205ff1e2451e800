//go:build unix

package kernelhook

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
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
	s, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	signal.Reset(sig)
	switch s {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		_ = syscall.Kill(os.Getpid(), s)
		time.Sleep(time.Second) // it is on its way
	default: // the Go runtime would make a crash of its own out of it
		_ = syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -" + strconv.Itoa(int(s)) + " $$"}, nil)
	}
}

// exitOf returns how a process ended.
func exitOf(state *os.ProcessState) Exit {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return Exit{Code: 128 + int(ws.Signal()), Signal: ws.Signal()}
	}
	return Exit{Code: state.ExitCode()}
}
