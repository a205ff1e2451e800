package kernelhook

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// leases are the values that the agent gave for the kernel a moment ago. A cell
// that asks in a loop gets them from here, which takes half the time; the agent
// hears for its audit log how often. A value stays for api.Lease, and is served
// only while the agent's epoch is what it was before the agent was asked: after
// a lock, a new value or a withdrawn approval there is nothing to serve. It is
// safe for concurrent use.
type leases struct {
	tell func(name string, times int) // on a goroutine of its own

	mu   sync.Mutex
	held map[string]*lease
}

type lease struct {
	value secret.Value
	epoch uint64
	until time.Time
	times int // served from here
}

// get returns a copy of the value, which the caller wipes.
func (l *leases) get(name string, epoch uint64) (secret.Value, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	le, ok := l.held[name]
	if !ok || le.epoch != epoch || !time.Now().Before(le.until) {
		return secret.Value{}, false
	}
	le.times++
	return le.value.Clone(), true
}

// put keeps a copy of value, which the agent gave when epoch was its epoch or
// after. It replaces the lease that was there.
func (l *leases) put(name string, value secret.Value, epoch uint64) {
	le := &lease{value: value.Clone(), epoch: epoch, until: time.Now().Add(api.Lease)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(name, l.held[name])
	if l.held == nil {
		l.held = map[string]*lease{}
	}
	l.held[name] = le
	time.AfterFunc(api.Lease, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.end(name, le)
	})
}

// end wipes a lease if it is still the one of name; mu is held.
func (l *leases) end(name string, le *lease) {
	if le == nil || l.held[name] != le {
		return
	}
	le.value.Wipe()
	delete(l.held, name)
	if le.times > 0 {
		go l.tell(name, le.times)
	}
}

// close ends all leases, and tells the agent before it returns.
func (l *leases) close() {
	l.mu.Lock()
	held := maps.Clone(l.held)
	clear(l.held)
	l.mu.Unlock()
	for name, le := range held {
		le.value.Wipe()
		if le.times > 0 {
			l.tell(name, le.times)
		}
	}
}

// again tells the agent what was served from a lease. An agent that is away
// hears of it when it is back, if that is soon.
func (l *link) again(name string, times int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = l.use(ctx, nil, func(a Agent) error { return a.Again(ctx, name, times) })
}
