package kernelhook

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/inject"
)

const (
	followTime  = 2500 * time.Millisecond // for the agent to say what has changed, while a cell waits
	followAgain = 5 * time.Second         // after it could not
)

// follower has the environment of a kernel that is not of Python follow what
// changes at the agent: variables that it was started with. Before a cell, while
// the kernel does nothing, it has code executed for each that changes; the code
// asks what to put there (nbhush follow), and says what is there now: a value that
// is not nbhush's stays. It is safe for concurrent use.
type follower struct {
	*link
	program string // path of nbhush

	mu     sync.Mutex
	held   map[string][sha256.Size]byte // of what nbhush put there
	next   map[string]secret.Value      // what is to be put there, empty for nothing; wiped when it was
	seen   uint64                       // epoch of the agent
	failed time.Time
}

// source is what a kernel asks.
type source struct {
	*consent
	follower *follower
}

// Follow says what the kernel has to put in the place of value.
func (s source) Follow(name string, value secret.Value) (secret.Value, bool) {
	return s.follower.Follow(name, value)
}

// newFollower returns the follower of a kernel that is started with grant.
func newFollower(l *link, grant api.Grant, program string) *follower {
	f := &follower{link: l, program: program, held: map[string][sha256.Size]byte{}, next: map[string]secret.Value{}}
	f.seen, _ = l.startEpoch()
	for name, value := range grant.Values {
		f.held[name] = sha256.Sum256(value)
	}
	return f
}

// before returns the code to be executed before a cell of a kernel of this
// language that does nothing now.
func (f *follower) before(ctx context.Context, language string) (code []string) {
	l, ok := inject.LanguageOf(language)
	if !ok || !l.Follows() {
		return nil
	}
	epoch, known := f.epoch() // before the question: what changes after it is seen next time
	f.mu.Lock()
	defer f.mu.Unlock()
	if !known || epoch == f.seen || time.Since(f.failed) < followAgain {
		return nil
	}
	if len(f.held) == 0 {
		f.seen = epoch
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	var held []api.Held
	for name, sum := range f.held {
		held = append(held, api.Held{Name: name, Sum: sum[:]})
	}
	r, err := f.Refresh(ctx, held)
	if err != nil {
		f.failed = time.Now()
		return nil
	}
	f.seen = epoch
	f.forget()
	for name, value := range r.New {
		f.next[name] = secret.New(value)
	}
	for _, name := range r.Gone {
		f.next[name] = secret.Value{}
	}
	for name := range f.next {
		code = append(code, l.Follow(f.program, secret.Name(name)))
	}
	slices.Sort(code)
	return code
}

// forget wipes what nobody asked for; mu is held.
func (f *follower) forget() {
	for _, v := range f.next {
		v.Wipe()
	}
	clear(f.next)
}

// Follow says what the kernel has to put in the place of value.
func (f *follower) Follow(name string, value secret.Value) (v secret.Value, same bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.next[name]
	if !ok {
		return secret.Value{}, true
	}
	delete(f.next, name)
	if f.held[name] != sha256.Sum256(value.Reveal()) {
		v.Wipe()
		delete(f.held, name) // the user's own from now on
		return secret.Value{}, true
	}
	f.Know(name, value) // it may be printed yet
	if v.Len() == 0 {
		delete(f.held, name)
	} else {
		f.held[name] = sha256.Sum256(v.Reveal())
	}
	return v, false
}
