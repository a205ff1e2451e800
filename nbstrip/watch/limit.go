package watch

import (
	"errors"
	"syscall"
)

// LimitError says that the system watches no more folders.
type LimitError struct{ Err error }

func (e *LimitError) Error() string {
	return "the system watches no more folders: " + e.Err.Error()
}

// Unwrap returns the error of the system.
func (e *LimitError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *LimitError) Hint() string {
	return "walk the folders instead with --poll 2s, or raise the limit (Linux: fs.inotify.max_user_watches and max_user_instances; macOS: ulimit -n)"
}

// limitError wraps err if it is about a limit, inotify_add_watch(2) and
// inotify_init(2); otherwise it returns err.
func limitError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return &LimitError{err}
	}
	return err
}
