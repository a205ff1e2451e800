package zsock

import (
	"context"
	"sync"
)

// arrival says how much of a message's last frame is there. One goroutine reads
// the frame, another one waits.
type arrival struct {
	mu    sync.Mutex
	n     int   // bytes that are there
	want  int   // that are waited for
	ended bool  // no more come
	err   error // why not all came
	more  chan struct{}
}

func (a *arrival) here(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n = n; n >= a.want {
		a.signal()
	}
}

func (a *arrival) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.err = true, err
	a.signal()
}

func (a *arrival) signal() {
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// state is what there is now; if it is less than n bytes and more come, more is
// signalled when they are there.
func (a *arrival) state(n int) (there int, done bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.want = n
	return a.n, a.ended || a.n >= n, a.err
}

// Arriving reports whether the last frame of m, which has its length already, may
// still be on its way: only a Sub with Options.Early delivers such messages.
func (m Message) Arriving() bool { return m.buf != nil && m.buf.arrival != nil }

// Wait waits until the first n bytes of the last frame are there, or all of it, and
// returns how many are: those may be read, the others not. It returns ctx's error, or
// why the connection ended before the frame did. One goroutine at a time may wait.
func (m Message) Wait(ctx context.Context, n int) (int, error) {
	last := len(m.Frames[len(m.Frames)-1])
	if !m.Arriving() {
		return last, nil
	}
	for {
		there, done, err := m.buf.arrival.state(min(n, last))
		if done {
			return there, err
		}
		select {
		case <-m.buf.arrival.more:
		case <-ctx.Done():
			return there, ctx.Err()
		}
	}
}
