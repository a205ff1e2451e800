package provider

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	pollFiles = time.Minute // for what is read from this machine's files each time
	lastPoll  = time.Hour   // the longest pause after questions that failed
	backTime  = 2 * time.Second
)

// Never is a Source.Poll: nobody asks because of a clock.
const Never time.Duration = -1

// Poll asks for the document of s anew if its time has come, for a kernel that
// has it and does not ask itself, and returns when the next time is. What is
// there Get says. The zero time is never: programs of the user may put a
// question on the screen, and an environment does not change.
func (r *Resolver) Poll(ctx context.Context, s Source) (next time.Time, err error) {
	k, q, err := r.prepare(s)
	if err != nil {
		return time.Time{}, about(s.Ref, err)
	}
	switch k.Provider.(type) {
	case command, envProvider:
		return time.Time{}, nil
	}
	switch {
	case s.Poll == Never:
		return time.Time{}, nil
	case k.keep == 0 && s.TTL == 0:
		return time.Now().Add(jitter(orElse(s.Poll, pollFiles))), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.locked {
		return time.Time{}, errLocked
	}
	e := r.entry(keyOf(k, q))
	if at := e.due(k, s); time.Now().Before(at) {
		return at, e.last()
	}
	if e.asking == nil {
		r.ask(e, k, q, s.TTL)
	}
	asking := e.asking
	r.mu.Unlock()
	select {
	case <-asking:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.mu.Lock()
	if err == nil {
		err = e.last()
	}
	return e.due(k, s), err
}

// last is what is wrong with the last answer.
func (e *entry) last() error {
	if e.err == nil {
		return nil
	}
	return e.err
}

// due is when a clock may ask for e again: by the source's own setting, or in
// the last third of the document's time; later and later where that fails.
func (e *entry) due(k known, s Source) time.Time {
	every := orElse(s.Poll, orElse(s.TTL, k.keep)*2/3)
	switch {
	case e.err != nil:
		wait := min(max(every, firstRetry)<<min(e.fails, 10), max(lastPoll, every))
		if at := e.tried.Add(wait); at.After(e.next) {
			return at
		}
		return e.next
	case e.doc == nil:
		return time.Time{}
	case s.Poll > 0:
		return e.read.Add(s.Poll).Add(e.chance(s.Poll))
	}
	return e.refresh.Add(e.chance(e.ends.Sub(e.refresh)))
}

// chance is up to a tenth of d, so that many agents do not ask at once; the same
// until the next answer.
func (e *entry) chance(d time.Duration) time.Duration {
	return time.Duration(e.luck * float64(d) / 10)
}

func jitter(d time.Duration) time.Duration { return d + rand.N(d/10+1) } //nolint:gosec // nobody gains by guessing it

func orElse(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

// revoker is a Provider that takes leases back.
type revoker interface {
	Revoke(ctx context.Context, q Query, l Lease) error
}

// Released is what became of one lease.
type Released struct {
	Document string // as in an Answer
	Source   string // the reference, without its field
	Err      error  // it ends by itself, later
}

// Release gives the leases back of all documents for which over says so, and
// forgets these. It returns within two seconds; what was not done by then is an error.
func (r *Resolver) Release(ctx context.Context, over func(document string) bool) []Released {
	ctx, cancel := context.WithTimeout(ctx, backTime)
	defer cancel()
	var mu sync.Mutex
	var all []Released
	var giving sync.WaitGroup
	r.mu.Lock()
	for key, e := range r.entries {
		if e.doc == nil || e.doc.Lease.ID == "" || e.asking != nil || !over(key) {
			continue
		}
		back, ok := e.from.Provider.(revoker)
		if !ok {
			continue
		}
		q, lease := e.query, e.doc.Lease
		e.doc.Wipe()
		e.doc = nil // somebody may be about to look
		delete(r.entries, key)
		giving.Go(func() {
			err := back.Revoke(ctx, q, lease)
			if err != nil {
				err = about(q.Ref, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, Released{key, q.Ref.Scheme + "://" + q.Ref.Path, err})
		})
	}
	r.mu.Unlock()
	giving.Wait()
	return all
}
