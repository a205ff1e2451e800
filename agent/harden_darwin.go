package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden forbids core files and debuggers. Memory is not locked: Darwin
// encrypts its swap.
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if err := unix.PtraceDenyAttach(); err != nil {
		return fmt.Errorf("forbid debuggers: %w", err)
	}
	return nil
}

func umask() { unix.Umask(0o077) }
