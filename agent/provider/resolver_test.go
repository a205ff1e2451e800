package provider

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// scripted answers as the test says, and counts.
type scripted struct {
	mu    sync.Mutex
	asked int
	renew int
	lease Lease
	err   error
	delay time.Duration
	value string
}

func (p *scripted) Read(ctx context.Context, _ Query) (Document, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.delay > 0 {
		select {
		case <-time.After(p.delay):
		case <-ctx.Done():
			return Document{}, ctx.Err()
		}
	}
	if p.err != nil {
		return Document{}, p.err
	}
	return Document{Value: secret.New([]byte(p.value)), Lease: p.lease}, nil
}

func (p *scripted) Renew(context.Context, Query, Lease) (Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renew++
	if p.err != nil {
		return Lease{}, p.err
	}
	return p.lease, nil
}

func (p *scripted) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// timed is a Resolver with one scripted provider, in a bubble of time.
func timed(t *testing.T, run func(t *testing.T, w *world, p *scripted, s Source)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := &scripted{value: random()}
		w.known["test"] = known{p, 5 * time.Minute}
		run(t, w, p, source(t, "test://x", nil))
		w.Lock()
		synctest.Wait()
	})
}

func (p *scripted) count(t *testing.T, what string, want int) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != want {
		t.Errorf("%s: asked %d times, want %d", what, p.asked, want)
	}
}

func TestKept(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		first := p.value
		w.want(t, s, first)
		time.Sleep(3 * time.Minute)
		w.want(t, s, first)
		p.count(t, "within its time", 1)
		second := random()
		p.set(func() { p.value = second })
		time.Sleep(time.Minute) // in its last third: this one is served, and asked for again
		w.want(t, s, first)
		p.count(t, "before its end", 2)
		w.want(t, s, second)
		time.Sleep(time.Hour)
		w.want(t, s, second)
		p.count(t, "after its end", 3)
	})
}

func TestTimeOfTheSource(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		s.TTL = time.Hour
		p.lease = Lease{For: 10 * time.Minute}
		w.want(t, s, p.value)
		time.Sleep(11 * time.Minute)
		w.want(t, s, p.value)
		p.count(t, "a lease that is shorter", 2)
	})
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		s.TTL = time.Second
		p.lease = Lease{For: time.Hour}
		w.want(t, s, p.value)
		time.Sleep(2 * time.Second)
		w.want(t, s, p.value)
		p.count(t, "a lease that is longer", 2)
	})
}

func TestStaleWhileAway(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		w.want(t, s, p.value)
		time.Sleep(10 * time.Minute)
		p.set(func() { p.err = fail(Unreachable, "", "away") })
		w.refused(t, s, Unreachable, p.value) // the source allows no stale value
		s.Stale = time.Hour
		time.Sleep(time.Minute)
		got, err := w.Get(t.Context(), s)
		if err != nil || !got.Stale || string(got.Value.Reveal()) != p.value {
			t.Errorf("stale: %v, %v", got.Stale, err)
		}
		time.Sleep(time.Hour)
		w.refused(t, s, Unreachable, p.value)
		p.set(func() { p.err = fail(Denied, "", "no") })
		time.Sleep(time.Hour)
		s.Stale = 24 * time.Hour
		w.refused(t, s, Denied, p.value) // who is denied gets no old value
	})
}

func TestBackOff(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		p.err = fail(Failed, "", "its own fault")
		for range 50 {
			w.refused(t, s, Failed)
		}
		p.count(t, "at once", 1)
		for range 600 {
			time.Sleep(time.Second)
			w.refused(t, s, Failed)
		}
		if p.asked < 10 || p.asked > 20 {
			t.Errorf("asked %d times in ten minutes of failures", p.asked)
		}
		p.set(func() { p.err, p.asked = nil, 0 })
		time.Sleep(2 * time.Minute)
		w.want(t, s, p.value)
	})
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		p.err = &Error{Kind: Throttled, What: "slow down", RetryAfter: 5 * time.Minute}
		w.refused(t, s, Throttled)
		p.set(func() { p.err = nil })
		time.Sleep(5*time.Minute - time.Second)
		w.refused(t, s, Throttled)
		p.count(t, "before it asked us to come again", 1)
		time.Sleep(2 * time.Second)
		w.want(t, s, p.value)
	})
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		p.err = fail(Missing, "", "not there")
		w.refused(t, s, Missing)
		p.set(func() { p.err = nil })
		w.want(t, s, p.value) // what the user mends is seen at once
	})
}

func TestManyAskOnce(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		p.delay = 2 * time.Second
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { w.want(t, s, p.value) })
		}
		all.Wait()
		p.count(t, "together", 1)
	})
}

// Who cannot wait does not end the question.
func TestImpatient(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		p.delay = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := w.Get(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		time.Sleep(3 * time.Second)
		w.want(t, s, p.value)
		p.count(t, "kept for who asks next", 1)
	})
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		p.delay = time.Hour
		start := time.Now()
		w.refused(t, s, Unreachable)
		if d := time.Since(start); d != readTime {
			t.Errorf("gave up after %v", d)
		}
	})
}

// A lease is renewed while a kernel runs, though nobody asks, and not otherwise.
func TestLeases(t *testing.T) {
	for _, kernels := range []bool{true, false} {
		timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
			w.o.Wanted = func() bool { return kernels }
			p.lease = Lease{ID: "x", For: time.Minute, Renewable: true}
			w.want(t, s, p.value)
			time.Sleep(time.Hour)
			synctest.Wait()
			if (p.renew > 60) != kernels || p.asked != 1 {
				t.Errorf("kernels %v: renewed %d times, asked %d times", kernels, p.renew, p.asked)
			}
			if !kernels {
				return
			}
			// The end of what can be renewed: a new credential before the old one ends.
			next := random()
			p.set(func() { p.lease.For, p.value = time.Second, next })
			time.Sleep(time.Minute)
			w.want(t, s, next)
		})
	}
}

func TestLockForgets(t *testing.T) {
	timed(t, func(t *testing.T, w *world, p *scripted, s Source) {
		w.want(t, s, p.value)
		k, q, _ := w.prepare(s)
		held := w.entries[keyOf(k, q)].doc.Value
		w.Lock()
		if held.Len() != 0 {
			t.Error("the value is still there")
		}
		w.refused(t, s, Setup, p.value)
		w.Unlock()
		w.want(t, s, p.value)
		p.count(t, "after the lock", 2)
	})
}
