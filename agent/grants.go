package agent

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/policy"
)

// grants keeps what the last look at the file of grants said for as long as the
// file is the same by its stat. It is safe for concurrent use.
type grants struct {
	list *policy.Grants
	file string
	over func() // called when the time of a grant is over
	now  func() time.Time

	mu     sync.Mutex
	known  bool
	at     stamp
	all    []policy.Grant // not changed in place
	timer  *time.Timer    // for the next grant whose time will be over
	looked time.Time      // when it was looked last whether one's is
}

// current returns the grants and denials, which the caller does not change.
func (g *grants) current() ([]policy.Grant, error) {
	at, ok := stampOf(g.file) // before it is read, so that a change in between is seen next time
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known && ok && at == g.at {
		return g.all, nil
	}
	all, err := g.list.List()
	if err != nil {
		return nil, err
	}
	g.known, g.at, g.all = ok, at, all
	g.watch()
	return all, nil
}

// lookEvery is how soon a clock that was set is noticed: dates are of the calendar, a timer is not.
const lookEvery = time.Minute

// watch sets the timer; mu is held.
func (g *grants) watch() {
	if g.timer != nil {
		g.timer.Stop()
	}
	now := g.now()
	if g.looked.IsZero() {
		g.looked = now
	}
	var next time.Time
	for _, x := range g.all {
		if x.Until.After(g.looked) && (next.IsZero() || x.Until.Before(next)) {
			next = x.Until
		}
	}
	if !next.IsZero() {
		g.timer = time.AfterFunc(max(0, min(next.Sub(now), lookEvery)), g.look)
	}
}

// look tells when the time of a grant was over since the last look.
func (g *grants) look() {
	g.mu.Lock()
	now := g.now()
	ended := slices.ContainsFunc(g.all, func(x policy.Grant) bool { return x.Until.After(g.looked) && !x.Until.After(now) })
	g.looked = now
	g.watch()
	g.mu.Unlock()
	if ended {
		g.over()
	}
}

// add keeps a grant or a denial.
func (g *grants) add(x policy.Grant) (policy.Grant, error) {
	x, err := g.list.Add(x)
	g.changed()
	return x, err
}

// remove takes those away for which gone says so.
func (g *grants) remove(gone func(policy.Grant) bool) ([]policy.Grant, error) {
	was, err := g.list.Remove(gone)
	g.changed()
	return was, err
}

func (g *grants) changed() {
	g.mu.Lock()
	g.known = false
	g.mu.Unlock()
	_, _ = g.current() // sets the timer; who asks next meets the error
}

// forget takes away what was granted to a kernel that has ended.
func (g *grants) forget(k *kernel, to *slog.Logger) {
	all, err := g.current()
	if err != nil {
		return
	}
	for _, x := range all {
		if x.Kernel == k.key() {
			if _, err := g.remove(func(x policy.Grant) bool { return x.Kernel == k.key() }); err != nil {
				to.Warn("forget the grants of a kernel", "err", err)
			}
			return
		}
	}
}

// sweep takes away what was granted to kernels that ended while no agent ran.
func (g *grants) sweep(ks *kernels, to *slog.Logger) {
	all, err := g.current()
	if err != nil {
		to.Warn("read the grants", "err", err)
		return
	}
	for _, x := range all {
		if x.Kernel != "" && !ks.has(x.Kernel) {
			if _, err := g.remove(func(x policy.Grant) bool { return x.Kernel != "" && !ks.has(x.Kernel) }); err != nil {
				to.Warn("sweep the grants", "err", err)
			}
			return
		}
	}
}

func (g *grants) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
	g.all, g.known = nil, false // the timer's function, should it run now, sets none
}
