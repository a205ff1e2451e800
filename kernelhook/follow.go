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

// Followed is what a Follower asks. Its errors are *api.Error.
type Followed interface {
	Get(ctx context.Context, name string) (secret.Value, error)
	// Refresh says what has to change of the values that the kernel holds.
	Refresh(ctx context.Context, held []api.Held) (api.Refreshed, error)
	// Know makes a copy of what was the value of name known for this kernel.
	Know(name string, value secret.Value)
}

// Follower has the environment of a kernel that is not of Python follow what
// changes at the agent: variables that it was started with, and those that Hold
// put there. While the kernel does nothing it executes code for each that
// changes; the code asks what to put there (nbhush follow), and says what is there
// now: a value that is not nbhush's stays. Where each cell is a process of its
// own, the code asks in each. It is safe for concurrent use.
type Follower struct {
	agent   Followed
	program string

	mu     sync.Mutex
	held   map[string][sha256.Size]byte // of what nbhush put there
	next   map[string]secret.Value      // what is to be put there, empty for nothing; wiped when it was
	each   map[string]then              // where each cell is a process of its own
	seen   uint64                       // epoch of the agent
	failed time.Time
}

// then is what the process of a cell is to have in the place of what it starts with.
type then struct {
	start [sha256.Size]byte // of that
	gone  bool
}

// NewFollower returns the Follower of a kernel that is started with these values.
// program is the path of nbhush.
func NewFollower(agent Followed, program string, values map[string][]byte) *Follower {
	f := &Follower{agent: agent, program: program, held: map[string][sha256.Size]byte{}, next: map[string]secret.Value{}, each: map[string]then{}}
	for name, value := range values {
		f.held[name] = sha256.Sum256(value)
	}
	return f
}

// before returns the code to be executed before a cell of a kernel of this
// language that does nothing now: nothing while the agent's epoch is the same.
func (f *Follower) before(ctx context.Context, epoch func() (uint64, bool), language string) []string {
	if l, _ := inject.LanguageOf(language); !l.Follows() {
		return nil
	}
	now, known := epoch() // before the question: what changes after it is seen next time
	f.mu.Lock()
	idle := !known || now == f.seen || time.Since(f.failed) < followAgain
	f.mu.Unlock()
	if idle {
		return nil
	}
	code, err := f.Changes(ctx, language)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed = time.Now()
		return nil
	}
	f.seen = now
	return code
}

// Changes asks the agent, which gets 2.5 seconds for it, and returns the code that a kernel of this
// language has to execute, in this order.
func (f *Follower) Changes(ctx context.Context, language string) (code []string, err error) {
	l, _ := inject.LanguageOf(language)
	if !l.Follows() {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.held) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	var held []api.Held
	for name, sum := range f.held {
		held = append(held, api.Held{Name: name, Sum: sum[:]})
	}
	r, err := f.agent.Refresh(ctx, held)
	if err != nil {
		return nil, err
	}
	f.forget()
	change := func(name string, v secret.Value) {
		code = append(code, l.Follow(f.program, secret.Name(name)))
		if l.Each() {
			f.changeEach(name, v)
		} else {
			f.next[name] = v
		}
	}
	for name, value := range r.New {
		change(name, secret.New(value))
	}
	for _, name := range r.Gone {
		change(name, secret.Value{})
	}
	slices.Sort(code)
	return code, nil
}

// changeEach notes what the cells to come have to begin with, and wipes v, which they
// ask for themselves; mu is held.
func (f *Follower) changeEach(name string, v secret.Value) {
	defer v.Wipe()
	e, ok := f.each[name]
	if !ok {
		e.start = f.held[name]
	}
	e.gone = v.Len() == 0
	f.each[name] = e
	f.hold(name, v)
}

// forget wipes what nobody asked for; mu is held.
func (f *Follower) forget() {
	for _, v := range f.next {
		v.Wipe()
	}
	clear(f.next)
}

// hold notes what nbhush put there; mu is held.
func (f *Follower) hold(name string, v secret.Value) {
	if v.Len() == 0 {
		delete(f.held, name)
	} else {
		f.held[name] = sha256.Sum256(v.Reveal())
	}
}

// Hold is inject.Source's.
func (f *Follower) Hold(ctx context.Context, name string) (secret.Value, error) {
	v, err := f.agent.Get(ctx, name)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hold(name, v)
	}
	return v, err
}

// Follow is inject.Source's.
func (f *Follower) Follow(ctx context.Context, name string, value secret.Value) (v secret.Value, same bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.each[name]; ok {
		return f.begin(ctx, name, value, e)
	}
	v, ok := f.next[name]
	if !ok {
		return secret.Value{}, true, nil
	}
	delete(f.next, name)
	if f.held[name] != sha256.Sum256(value.Reveal()) {
		v.Wipe()
		delete(f.held, name) // the user's own from now on
		return secret.Value{}, true, nil
	}
	f.agent.Know(name, value) // it may be printed yet
	f.hold(name, v)
	return v, false, nil
}

// begin says what the process of a cell has to have in the place of value; mu is held.
func (f *Follower) begin(ctx context.Context, name string, value secret.Value, e then) (v secret.Value, same bool, err error) {
	if e.start != sha256.Sum256(value.Reveal()) {
		return v, true, nil
	}
	f.agent.Know(name, value)
	if !e.gone {
		v, err = f.agent.Get(ctx, name)
	}
	return v, false, err
}
