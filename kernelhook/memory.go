package kernelhook

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Memory that a burst of output needed is free for the next one a moment after
// it, and goes back to the system when none comes: to get 200 MB anew takes a
// tenth of the time that they need. In between the collector runs early, since a
// hook's live heap is small.
const (
	gcPercent  = 50
	burstBytes = 8 << 20
	burstPause = 300 * time.Millisecond
	burstRest  = 4 * time.Second // after burstPause
)

// startPause is when what the start of a kernel needed goes back.
const startPause = 3 * time.Second

func tuneMemory() {
	debug.SetGCPercent(gcPercent)
	time.AfterFunc(startPause, debug.FreeOSMemory)
}

// burst counts what iopub carried.
type burst struct {
	mu      sync.Mutex
	bytes   int
	timer   *time.Timer
	resting bool // over was called, and no burst came since
}

// carried is told that n bytes were carried and nothing waits now.
func (b *burst) carried(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes += n; b.bytes < burstBytes {
		return
	}
	b.resting = false
	if b.timer == nil {
		b.timer = time.AfterFunc(burstPause, b.over)
	} else {
		b.timer.Reset(burstPause)
	}
}

// over is called after a pause, and again after a rest.
func (b *burst) over() {
	b.mu.Lock()
	rested := b.resting
	if b.bytes = 0; !rested {
		b.resting = true
		b.timer.Reset(burstRest)
	}
	b.mu.Unlock()
	if rested {
		debug.FreeOSMemory()
	} else {
		runtime.GC()
	}
}
