package agent

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	tidyAfter = 2 * time.Second // without work
	tidyWork  = 256 << 10       // bytes; less leaves nothing behind that is worth the collector's time
	tidyEach  = 1 << 10         // that a request counts for, besides its text
)

// tidy gives memory back to the system when a burst of work is over: the runtime
// alone keeps what it has for minutes. While nothing is asked it does nothing.
// Its zero value is ready.
type tidy struct {
	work  atomic.Int64
	armed atomic.Bool
}

// did notes a request with n bytes of text.
func (t *tidy) did(n int) {
	t.work.Add(int64(n + tidyEach))
	if !t.armed.Load() && t.armed.CompareAndSwap(false, true) {
		t.wait(t.work.Load())
	}
}

// wait looks after a while whether more was done than seen.
func (t *tidy) wait(seen int64) {
	time.AfterFunc(tidyAfter, func() {
		now := t.work.Load()
		if now != seen {
			t.wait(now)
			return
		}
		t.work.Add(-now)
		t.armed.Store(false)
		if now >= tidyWork {
			debug.FreeOSMemory()
			unmapProgram()
		}
	})
}
