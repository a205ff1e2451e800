package kernelhook

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// Agent is what the hook needs of a connection to the agent. Its errors are
// *api.Error, of code away when the connection is of no use any more. It is
// safe for concurrent use.
type Agent interface {
	match.Finder
	RegisterKernel(ctx context.Context, k api.Kernel) (api.Grant, error)
	Get(ctx context.Context, name string) (secret.Value, error)
	Names(ctx context.Context) ([]string, error)
	// Consent says what the user answered, and in which process as far as that
	// is known, and returns the value if it was a yes.
	Consent(ctx context.Context, name string, answer api.Answer, client int) (secret.Value, error)
	// Refresh says what has to change of the values that the kernel holds.
	Refresh(ctx context.Context, held []api.Held) (api.Refreshed, error)
	// Epoch returns a number that changes when anything changes that a value
	// depends on, and false where that cannot be known. It asks nobody.
	Epoch() (uint64, bool)
	// Profile returns the profile that is on for the kernel.
	Profile(ctx context.Context) (api.Profile, error)
	// Refused tells, for the audit log, what the hook refused.
	Refused(ctx context.Context, q api.Refused) error
	// Again says how often a value was served from a lease.
	Again(ctx context.Context, name string, times int) error
	Close() error
}

const (
	startPatience = time.Second           // for the agent, when a kernel starts
	patience      = 2 * time.Second       // for text to be searched while the agent is away
	askPatience   = 60 * time.Second      // for an answer to a cell, which has given up by then
	firstPause    = 50 * time.Millisecond // between attempts to reach it
	lastPause     = 20 * time.Second      // the same, after many attempts
)

// link keeps the connection to the agent: it connects again whenever the agent
// went away, and says what is to be done with text that nobody could search.
// It is safe for concurrent use.
type link struct {
	connect func(context.Context) (Agent, error)
	kernel  api.Kernel
	leases  leases
	typed   typed

	mu       sync.Mutex
	agent    Agent
	err      error         // why there is no agent
	changed  chan struct{} // closed when agent or err changes
	mending  bool
	notebook string // under which the agent knows it; "" if grants for it do not count
	profile  string // that is on
	granted  uint64 // the epoch before the grant, if hasEpoch
	hasEpoch bool
	promised bool // a value was served, or text was searched: nothing goes out unsearched any more
	closed   bool
	ask      chan struct{} // tells the mending not to wait any longer
}

func newLink(connect func(context.Context) (Agent, error), kernel api.Kernel) *link {
	l := &link{connect: connect, kernel: kernel, changed: make(chan struct{}), ask: make(chan struct{}, 1)}
	l.leases.tell = l.again
	return l
}

// start connects for the first time and returns what the kernel may have. On
// an error the link goes on trying.
func (l *link) start(ctx context.Context) (api.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	grant, err := l.dial(ctx)
	if err != nil {
		l.mend()
		return api.Grant{}, err
	}
	return grant, nil
}

// dial connects and registers the kernel.
func (l *link) dial(ctx context.Context) (api.Grant, error) {
	a, err := l.connect(ctx)
	var grant api.Grant
	var epoch uint64
	var known bool
	if err == nil {
		epoch, known = a.Epoch()
		k := l.kernel
		l.mu.Lock()
		k.Profile = cmp.Or(l.profile, k.Profile)
		l.mu.Unlock()
		if grant, err = a.RegisterKernel(ctx, k); err != nil {
			_ = a.Close()
		}
	}
	if err != nil {
		err = asAway(err)
		a = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && a != nil {
		_ = a.Close()
		return grant, context.Canceled
	}
	l.agent, l.err = a, err
	if err == nil {
		l.notebook = grant.Notebook
		if grant.Profile != "" { // it stays what it is, also with an agent that starts anew
			l.profile = grant.Profile
		}
		l.granted, l.hasEpoch = epoch, known
	}
	if len(grant.Values) > 0 {
		l.promised = true
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return grant, err
}

// mend tries to connect until it can, in the background.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mending || l.closed {
		return
	}
	l.mending = true
	go func() {
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			ctx, cancel := context.WithTimeout(context.Background(), startPatience)
			grant, err := l.dial(ctx)
			cancel()
			wipe(grant) // the kernel has its environment already
			l.mu.Lock()
			if err == nil || l.closed {
				l.mending = false
				l.mu.Unlock()
				return
			}
			l.mu.Unlock()
			select {
			case <-time.After(pause):
			case <-l.ask:
				pause = firstPause
			}
		}
	}()
}

// current returns the connection. While there is none it waits for one as
// long as wait says.
func (l *link) current(ctx context.Context, wait <-chan time.Time) (Agent, error) {
	for {
		l.mu.Lock()
		a, err, changed := l.agent, l.err, l.changed
		l.mu.Unlock()
		if a != nil {
			return a, nil
		}
		l.mend()
		select {
		case <-changed:
		case <-wait:
			if err == nil {
				err = asAway(context.DeadlineExceeded)
			}
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lost forgets a connection that is of no use any more.
func (l *link) lost(a Agent, err error) {
	l.mu.Lock()
	if l.agent == a {
		l.agent, l.err = nil, err
		_ = a.Close()
	}
	l.mu.Unlock()
	l.mend()
}

// use runs f with a connection, again with a new one if it was lost.
func (l *link) use(ctx context.Context, wait <-chan time.Time, f func(Agent) error) error {
	for {
		a, err := l.current(ctx, wait)
		if err != nil {
			return err
		}
		err = f(a)
		if err == nil || ctx.Err() != nil || !isAway(err) {
			return err
		}
		l.lost(a, err)
	}
}

// Find searches text for what the agent knows and for what the user typed.
func (l *link) Find(ctx context.Context, text []byte) (match.Result, error) {
	res, err := l.findStored(ctx, text)
	if err != nil {
		return res, err
	}
	return l.typed.find(ctx, text, res)
}

// Lend is match.Lender's, where the agent has memory to lend.
func (l *link) Lend() (text []byte, giveBack func()) {
	l.mu.Lock()
	a := l.agent
	l.mu.Unlock()
	if lender, ok := a.(match.Lender); ok {
		return lender.Lend()
	}
	return nil, nil
}

// Know makes a value known for this kernel: one that the user typed, or what was
// the value of name.
func (l *link) Know(name string, value secret.Value) { l.typed.add(name, value) }

// findStored asks the agent. If that cannot be, it returns an error, or, as long
// as nothing is promised, that nothing was found.
func (l *link) findStored(ctx context.Context, text []byte) (match.Result, error) {
	var res match.Result
	l.mu.Lock()
	a, down, promised := l.agent, l.err, l.promised
	l.mu.Unlock()
	if a == nil && !promised {
		return res, nil
	}
	var wait <-chan time.Time
	if a == nil && down != nil {
		wait = expired() // it was waited for already
	} else {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		wait = timer.C
	}
	err := l.use(ctx, wait, func(a Agent) (err error) {
		res, err = a.Find(ctx, text)
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.promised = true
		return res, nil
	}
	if !l.promised {
		return match.Result{}, nil
	}
	return match.Result{}, err
}

// hurry makes the next attempt to connect a sooner one: a cell is waiting.
func (l *link) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.agent != nil {
		return
	}
	select {
	case l.ask <- struct{}{}:
	default:
	}
}

// Get returns a value for the kernel, whom the agent knows.
func (l *link) Get(ctx context.Context, name string) (secret.Value, error) {
	if epoch, ok := l.epoch(); ok {
		if v, ok := l.leases.get(name, epoch); ok {
			return v, nil
		}
	}
	var v secret.Value
	err := l.question(ctx, func(ctx context.Context, a Agent) (err error) {
		epoch, ok := a.Epoch()
		if v, err = a.Get(ctx, name); err == nil && ok {
			l.leases.put(name, v, epoch)
		}
		return err
	})
	if err == nil {
		l.promise()
	}
	return v, err
}

// promise notes that the kernel has a value: nothing goes out unsearched any more.
func (l *link) promise() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promised = true
}

// startEpoch returns what the epoch was before the agent's grant, if that is known.
func (l *link) startEpoch() (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.granted, l.hasEpoch
}

// grantsNotebook reports whether the agent knows the notebook, so that something can be
// granted to it.
func (l *link) grantsNotebook() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notebook != ""
}

// Refresh says which of the values that the kernel holds have to change.
func (l *link) Refresh(ctx context.Context, held []api.Held) (r api.Refreshed, err error) {
	err = l.question(ctx, func(ctx context.Context, a Agent) (err error) {
		r, err = a.Refresh(ctx, held)
		return err
	})
	return r, err
}

// epoch returns the epoch of the agent, if that can be known.
func (l *link) epoch() (uint64, bool) {
	l.mu.Lock()
	a := l.agent
	l.mu.Unlock()
	if a == nil {
		return 0, false
	}
	return a.Epoch()
}

// question asks the agent for a cell that waits.
func (l *link) question(ctx context.Context, f func(context.Context, Agent) error) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	l.hurry()
	return l.use(ctx, time.After(patience), func(a Agent) error { return f(ctx, a) })
}

// Names returns the names that the kernel may have.
func (l *link) Names(ctx context.Context) (names []string, err error) {
	err = l.question(ctx, func(ctx context.Context, a Agent) (err error) {
		names, err = a.Names(ctx)
		return err
	})
	return names, err
}

// Profile returns the profile that is on for the kernel.
func (l *link) Profile(ctx context.Context) (on api.Profile, err error) {
	err = l.question(ctx, func(ctx context.Context, a Agent) (err error) {
		on, err = a.Profile(ctx)
		return err
	})
	return on, err
}

// Refused tells the agent of a request that was refused, if it can be reached soon.
func (l *link) Refused(ctx context.Context, from zsock.Conn, why string) {
	l.refused(ctx, api.Refused{PID: processOf(from), Why: why})
}

// replayed tells the agent of messages that were sent again, like Refused.
func (l *link) replayed(from zsock.Conn, why string) {
	l.refused(context.Background(), api.Refused{PID: processOf(from), Why: why, Message: true})
}

func (l *link) refused(ctx context.Context, q api.Refused) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = l.use(ctx, nil, func(a Agent) error { return a.Refused(ctx, q) })
}

// Close ends the connection.
func (l *link) Close() error {
	l.leases.close()
	l.typed.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.agent == nil {
		return nil
	}
	return l.agent.Close()
}

func expired() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

// asAway returns err as it is if it is the agent's, otherwise as one of code away.
func asAway(err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		return err
	}
	return &api.Error{Code: api.CodeAway, Message: "the agent cannot be reached: " + err.Error(), Mend: "start it with: nbhush agent start"}
}

func isAway(err error) bool {
	var e *api.Error
	return !errors.As(err, &e) || e.Code == api.CodeAway
}

// wipe overwrites the values of a grant.
func wipe(g api.Grant) {
	for _, v := range g.Values {
		clear(v)
	}
}
