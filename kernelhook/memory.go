package kernelhook

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Memory that the start of a kernel needed, or a burst of output, goes back to the
// system after a rest. Not earlier: output comes in rows, and to get 200 MB anew takes
// a tenth of the time that they need. Nor while output is carried: the kernel drops
// what a hook does not take in time. In between the collector runs early, since a
// hook's live heap is small.
const (
	gcPercent  = 50
	burstBytes = 8 << 20
	burstPause = 300 * time.Millisecond
	burstRest  = 4 * time.Second // after burstPause
	startRest  = 3 * time.Second
)

// memory gives back what is not needed. It is safe for concurrent use.
type memory struct {
	collect, free func()

	mu      sync.Mutex
	bytes   int       // carried since the last pause
	last    time.Time // that something was carried
	timer   *time.Timer
	waiting bool // timer runs
	resting bool // and ends a rest
}

// tuneMemory changes this process and returns its memory, which is that of a start.
func tuneMemory() *memory {
	debug.SetGCPercent(gcPercent)
	m := &memory{collect: runtime.GC, free: debug.FreeOSMemory}
	m.start()
	return m
}

func (m *memory) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting, m.resting = true, true
	m.timer = time.AfterFunc(startRest, m.look)
}

// carried is told that n bytes were carried.
func (m *memory) carried(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = time.Now()
	if m.bytes += n; m.bytes >= burstBytes && (m.resting || !m.waiting) {
		m.waiting, m.resting = true, false
		m.timer.Reset(burstPause)
	}
}

// look is called after a pause, and again after a rest.
func (m *memory) look() {
	m.mu.Lock()
	if wait := burstPause - time.Since(m.last); wait > 0 {
		m.timer.Reset(wait)
		m.mu.Unlock()
		return
	}
	rested := m.resting
	m.bytes = 0
	if m.resting, m.waiting = !rested, !rested; m.waiting {
		m.timer.Reset(burstRest)
	}
	m.mu.Unlock()
	if rested {
		m.free()
	} else {
		m.collect()
	}
}
