package savefile

import (
	"context"
	"fmt"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often Lock looks; who holds the lock needs milliseconds.
const lockPoll = 2 * time.Millisecond

// Lock takes the lock of the file at path, which is the file path.lock beside
// it, so that path itself can be replaced. It waits for other processes, and for
// other locks of this one, as long as wait. The folder must be there.
func Lock(ctx context.Context, path string, wait time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("wait for the lock %s.lock: %w", path, err)
	}
	return func() { _ = lock.Unlock() }, nil
}
