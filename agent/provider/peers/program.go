package peers

import (
	"os"
	"syscall"
)

// WriteProgram writes a program that can be started at once. A process that is
// forked meanwhile would hold it open for writing until its own exec, and the
// system would refuse to start it (ETXTBSY, golang/go#22315).
func WriteProgram(path, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(text), 0o700) //nolint:gosec // it is a program
}
