package kernelhook

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// harden keeps other processes of the user from reading the hook's memory and
// environment through /proc, and makes the hook the parent of what its kernel
// leaves behind, so that it still descends from the hook.
func harden() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
		unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
	)
}

// startChild starts cmd so that the kernel kills it when the hook dies. That
// is bound to the thread that started it, which therefore stays until the
// child has ended. wait returns when it has.
func startChild(cmd *exec.Cmd) (wait func() error, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	go reapOrphans(cmd.Process.Pid)
	return func() error { return <-ended }, nil
}

// orphanPause gives whoever waits for a child of its own the time to do so
// before it is taken for an orphan.
const orphanPause = 200 * time.Millisecond

// reapOrphans waits for processes that the kernel left behind. It leaves the
// child to its own waiter.
func reapOrphans(child int) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	for range died {
		time.Sleep(orphanPause)
		for _, pid := range children() {
			if pid != child {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // that still run, or are gone
			}
		}
	}
}

// children lists the processes whose parent this process is, proc(5).
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
