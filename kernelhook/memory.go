package kernelhook

import (
	"runtime/debug"
	"sync"
	"time"
)

// Memory that a burst of output needed goes back to the system a moment after
// it; in between the collector runs early, since a hook's live heap is small.
const (
	gcPercent  = 50
	burstBytes = 8 << 20
	burstPause = 500 * time.Millisecond
)

// startPause is when what the start of a kernel needed goes back.
const startPause = 3 * time.Second

func tuneMemory() {
	debug.SetGCPercent(gcPercent)
	time.AfterFunc(startPause, debug.FreeOSMemory)
}

// burst counts what iopub carried.
type burst struct {
	mu    sync.Mutex
	bytes int
	timer *time.Timer
}

// carried is told that n bytes were carried and nothing waits now.
func (b *burst) carried(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes += n; b.bytes < burstBytes {
		return
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(burstPause, b.free)
	} else {
		b.timer.Reset(burstPause)
	}
}

func (b *burst) free() {
	b.mu.Lock()
	b.bytes = 0
	b.mu.Unlock()
	debug.FreeOSMemory()
}
