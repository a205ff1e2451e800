package kernelhook

import (
	"fmt"
	"sync"
	"time"

	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// replayPause is how long further messages that are sent again are only counted.
const replayPause = 10 * time.Second

// replays tell the agent that messages were sent to the kernel a second time: of
// one at once, of those that follow soon after it how many they were. So nobody fills the
// audit log with them. It is safe for concurrent use.
type replays struct {
	tell func(from zsock.Conn, why string)

	telling sync.WaitGroup
	mu      sync.Mutex
	pause   *time.Timer // runs after one was told
	more    int         // while it runs
	closed  bool
}

const sentAgain = "a message was sent again that the kernel has had"

// seen notes that from, which may be nil, sent one.
func (r *replays) seen(from zsock.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
	case r.pause != nil:
		r.more++
	default:
		r.pause = time.AfterFunc(replayPause, r.over)
		r.telling.Go(func() { r.tell(from, sentAgain) })
	}
}

// over ends the pause.
func (r *replays) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.pause = nil
	if more := r.rest(); more != "" {
		r.pause = time.AfterFunc(replayPause, r.over)
		r.telling.Go(func() { r.tell(nil, more) })
	}
}

// rest says how many were counted, "" if none were; mu is held.
func (r *replays) rest() string {
	if r.more == 0 {
		return ""
	}
	defer func() { r.more = 0 }()
	if r.more == 1 {
		return sentAgain + ", once more"
	}
	return fmt.Sprintf("%s, %d times more", sentAgain, r.more)
}

// close returns when the agent knows all, or cannot be told.
func (r *replays) close() {
	r.mu.Lock()
	r.closed = true
	if r.pause != nil {
		r.pause.Stop()
	}
	more := r.rest()
	r.mu.Unlock()
	r.telling.Wait()
	if more != "" {
		r.tell(nil, more)
	}
}
