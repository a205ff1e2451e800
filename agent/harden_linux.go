package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps the memory of this process from other processes of the user, and
// off the disk. Not dumpable: no core file, no ptrace, /proc/PID/mem is root's.
//
// Locking memory is all or nothing in a program with a garbage collector, which
// puts copies where it likes. With MCL_FUTURE the limit of locked memory counts
// whole mappings, 64 MB for each of Go's arenas, and a mapping beyond the limit
// would end the process. So memory is locked only where there is no limit, and
// page by page when it is touched, so that the process does not grow. Elsewhere
// the memory may be swapped out: SECURITY.md says so.
func harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid dumps: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return fmt.Errorf("read the limit of locked memory: %w", err)
	}
	if limit.Cur != unix.RLIM_INFINITY {
		return nil
	}
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("lock memory: %w", err)
	}
	return nil
}

func umask() { unix.Umask(0o077) }
