package provider

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

const (
	readTime   = 10 * time.Second // for one answer, unless the settings have a timeout
	maxTime    = 25 * time.Second // an asker of the agent waits 30
	firstRetry = time.Second
	lastRetry  = time.Minute
	longRetry  = 10 * time.Minute // the longest Retry-After that is believed
	maxEntries = 1000
	minLease   = 5 * time.Second
)

// Options are what a Resolver needs to know.
type Options struct {
	// Stored returns a value of the store, which the Resolver wipes.
	Stored func(secret.Name) (secret.Value, error)
	// Wanted reports whether a kernel runs, for which leases are renewed though
	// nobody asks. Nil is no.
	Wanted func() bool
	// Programs is where nbhush-providers is looked for before PATH.
	Programs string
}

// Source is where one value comes from.
type Source struct {
	Name       secret.Name
	Ref        secret.Ref
	TTL, Stale time.Duration
	Poll       time.Duration                // how often a clock asks; 0: as TTL and lease say; or Never
	Fresh      bool                         // what was read before is not good enough
	Dir        string                       // of the nbhush.toml
	Providers  map[string]map[string]string // its settings
	Env        func(string) string          // of who asks; nil: none
}

// Answer is a value, which the caller wipes.
type Answer struct {
	Value secret.Value
	Stale bool // it is older than its lease: the provider could not be reached

	Document string // names what it is a field of, to this Resolver; also beside an error
	Leased   bool   // the document has a lease that can be given back
}

// Resolver answers references, and keeps documents in memory for their lease. It
// is safe for concurrent use.
type Resolver struct {
	o     Options
	known map[string]known

	mu      sync.Mutex
	own     map[string]*helper // nbhush-provider-NAME by NAME
	entries map[string]*entry
	locked  bool
	timer   *time.Timer
}

// entry is what is known of one reference with its settings; r.mu guards it.
type entry struct {
	doc     *Document
	query   Query
	from    known
	ttl     time.Duration
	read    time.Time
	tried   time.Time // the last question that failed
	luck    float64   // from 0 to 1
	refresh time.Time // when a new one is asked for beside the old
	ends    time.Time // of the lease
	fails   int
	err     *Error
	next    time.Time     // no question before it
	asking  chan struct{} // closed when the answer is there; nil: nobody asks
}

// New returns a Resolver that knows nothing yet.
func New(o Options) *Resolver {
	if o.Wanted == nil {
		o.Wanted = func() bool { return false }
	}
	r := &Resolver{o: o, entries: map[string]*entry{}, own: map[string]*helper{}}
	r.known = builtin(r)
	return r
}

// Lock wipes everything and answers nobody until Unlock.
func (r *Resolver) Lock() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locked = true
	for key, e := range r.entries {
		if e.doc != nil {
			e.doc.Wipe()
		}
		delete(r.entries, key)
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	for _, k := range r.known {
		stop(k.Provider)
	}
	for _, h := range r.own {
		stop(h)
	}
}

func stop(p Provider) {
	if s, ok := p.(interface{ stop() }); ok {
		s.stop()
	}
}

// Unlock ends a Lock.
func (r *Resolver) Unlock() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locked = false
}

// errLocked answers while the agent is locked.
var errLocked = fail(Setup, "nbhush agent unlock", "agent is locked")

// Get returns the value of s. Where ctx ends before the provider answered, the
// error is ctx's; the answer is kept for who asks next. Other errors are an *Error.
func (r *Resolver) Get(ctx context.Context, s Source) (Answer, error) {
	k, q, err := r.prepare(s)
	if err != nil {
		return Answer{}, about(s.Ref, err)
	}
	none := Answer{Document: keyOf(k, q)}
	doc, stale, err := r.document(ctx, k, q, s)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return none, err
		}
		return none, about(s.Ref, err)
	}
	defer doc.Wipe()
	v, e := doc.pick(s.Ref.Field, s.Name)
	switch {
	case e != nil:
		return Answer{}, about(s.Ref, e)
	case v.Len() == 0:
		return Answer{}, about(s.Ref, fail(Missing, "", "its value is empty"))
	case v.Len() > MaxValue:
		return Answer{}, about(s.Ref, fail(TooLong, "", "its value is longer than %d bytes", MaxValue))
	}
	return Answer{v.Clone(), stale, none.Document, doc.Lease.ID != ""}, nil
}

// prepare finds the provider of s and what it is asked.
func (r *Resolver) prepare(s Source) (known, Query, error) {
	settings := s.Providers[s.Ref.Scheme]
	q := Query{Ref: s.Ref, Settings: settings, Dir: s.Dir, Env: s.Env}
	if q.Env == nil {
		q.Env = func(string) string { return "" }
	}
	q.login = func(ctx context.Context, key string) (secret.Value, error) { return r.login(ctx, s, key) }
	kind := s.Ref.Scheme
	if settings["type"] != "" {
		kind = settings["type"]
	}
	if k, ok := r.known[kind]; ok {
		return k, q, nil
	}
	name := "nbhush-provider-" + kind
	if _, err := secret.ParseRef(kind + "://x"); err != nil {
		return known{}, q, fail(Setup, "", "no provider has the type that its settings name")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.own[kind]
	if h == nil {
		h = &helper{program: func() (string, error) { return r.findHelper(name) }}
		r.own[kind] = h
	}
	return known{h, 5 * time.Minute}, q, nil
}

// login returns the credential that the setting key refers to. It comes from this
// machine: a provider that needs another to log in could need itself.
func (r *Resolver) login(ctx context.Context, s Source, key string) (secret.Value, error) {
	ref, err := secret.ParseRef(s.Providers[s.Ref.Scheme][key])
	if err != nil {
		return secret.Value{}, fail(Setup, "write it as "+key+" = \"store://NAME\" and run: nbhush set NAME", "the setting %s is no reference", key)
	}
	k, ok := r.known[ref.Scheme]
	if !ok || !local(k.Provider) {
		return secret.Value{}, fail(Setup, "keep it in the store: "+key+" = \"store://NAME\"", "the setting %s refers to what is not on this machine", key)
	}
	q := Query{Ref: ref, Dir: s.Dir, Env: s.Env}
	if q.Env == nil {
		q.Env = func(string) string { return "" }
	}
	doc, err := k.Read(ctx, q)
	if err != nil {
		e := about(ref, err)
		return secret.Value{}, fail(Setup, e.Hint(), "the credential %s cannot be read from %s: %s", key, ref, e.What)
	}
	defer doc.Wipe()
	v, e := doc.pick(ref.Field, "")
	if e != nil {
		return secret.Value{}, fail(Setup, e.Hint(), "the credential %s cannot be read from %s: %s", key, ref, e.What)
	}
	return v.Clone(), nil
}

func local(p Provider) bool {
	switch p.(type) {
	case storeProvider, envProvider, fileProvider, netrcProvider:
		return true
	}
	return false
}

// document returns a copy of the document that q asks for.
func (r *Resolver) document(ctx context.Context, k known, q Query, s Source) (Document, bool, error) {
	if k.keep == 0 && s.TTL == 0 {
		ctx, cancel := context.WithTimeout(ctx, r.timeout(q))
		defer cancel()
		doc, err := k.Read(ctx, q)
		return doc, false, err
	}
	key, began := keyOf(k, q), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.locked {
			return Document{}, false, errLocked
		}
		e := r.entry(key)
		now := time.Now()
		fresh := e.doc != nil && now.Before(e.ends) && (!s.Fresh || !e.read.Before(began))
		switch {
		case fresh:
			if e.asking == nil && now.After(e.refresh) && now.After(e.next) {
				r.ask(e, k, q, s.TTL)
			}
			if r.timer == nil {
				r.schedule()
			}
			return e.doc.clone(), false, nil
		case e.err != nil && now.Before(e.next):
			return r.failed(e, s, now)
		case e.asking == nil:
			r.ask(e, k, q, s.TTL)
		}
		asking := e.asking
		r.mu.Unlock()
		var err error
		select {
		case <-asking:
		case <-ctx.Done():
			err = ctx.Err()
		}
		r.mu.Lock()
		if err != nil {
			return Document{}, false, err
		}
		if e.err != nil { // of the question that was just answered
			return r.failed(e, s, time.Now())
		}
		if e.doc != nil {
			return e.doc.clone(), false, nil
		}
	}
}

// failed answers with the old document where the source allows it, or why there is none.
func (r *Resolver) failed(e *entry, s Source, now time.Time) (Document, bool, error) {
	if e.doc != nil && e.err.Kind.passing() && now.Before(e.ends.Add(s.Stale)) {
		return e.doc.clone(), true, nil
	}
	return Document{}, false, e.err
}

// entry returns the one of key; r.mu is held.
func (r *Resolver) entry(key string) *entry {
	if e := r.entries[key]; e != nil {
		return e
	}
	if len(r.entries) >= maxEntries {
		for old, e := range r.entries {
			if e.asking == nil {
				if e.doc != nil {
					e.doc.Wipe()
				}
				delete(r.entries, old)
				break
			}
		}
	}
	e := &entry{}
	r.entries[key] = e
	return e
}

// ask starts a question, whose time does not depend on who waits; r.mu is held.
func (r *Resolver) ask(e *entry, k known, q Query, ttl time.Duration) {
	e.asking = make(chan struct{})
	e.from, e.query, e.ttl = k, q, ttl
	old := Lease{}
	if e.doc != nil && time.Now().Before(e.ends) {
		old = e.doc.Lease
	}
	go secret.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), r.timeout(q))
		defer cancel()
		if renews, ok := k.Provider.(renewer); ok && old.Renewable {
			if l, err := renews.Renew(ctx, q, old); err == nil && l.For > minLease {
				r.renewed(e, l)
				return
			}
		}
		doc, err := k.Read(ctx, q)
		if err != nil && ctx.Err() != nil {
			err = fail(Unreachable, "", "no answer within %v", r.timeout(q))
		}
		r.answered(e, doc, err)
	})
}

func (r *Resolver) renewed(e *entry, l Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.done()
	if e.doc == nil || r.locked {
		return
	}
	e.doc.Lease = l
	e.keep(time.Now())
	r.schedule()
}

func (r *Resolver) answered(e *entry, doc Document, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.done()
	now := time.Now()
	if r.locked {
		doc.Wipe()
		e.err, e.next = errLocked, now
		return
	}
	if err != nil {
		doc.Wipe()
		e.err = about(e.query.Ref, err)
		e.fails++
		e.tried, e.next = now, now
		if e.err.Kind.passing() || e.err.Kind == Denied {
			e.next = now.Add(pause(e.fails, e.err.RetryAfter))
		}
		r.schedule()
		return
	}
	if e.doc != nil {
		e.doc.Wipe()
	}
	e.doc, e.err, e.fails = &doc, nil, 0
	e.keep(now)
	r.schedule()
}

func (e *entry) done() {
	close(e.asking)
	e.asking = nil
}

// keep sets the times by the lease of the document, which settings can make
// shorter; where there is no lease, they decide.
func (e *entry) keep(now time.Time) {
	lasts := e.from.keep
	if e.ttl > 0 {
		lasts = e.ttl
	}
	if l := e.doc.Lease.For; l > 0 && (l < lasts || e.ttl == 0) {
		lasts = l
	}
	e.err, e.fails, e.next = nil, 0, now
	e.luck = rand.Float64() //nolint:gosec // nobody gains by guessing it
	e.read, e.ends, e.refresh = now, now.Add(lasts), now.Add(lasts*2/3)
}

// pause is how long nobody asks again: doubled with each failure, a bit of chance
// in it so that many agents do not ask at once, or what the other side said.
func pause(fails int, after time.Duration) time.Duration {
	d := min(firstRetry<<min(fails-1, 10), lastRetry)
	d += rand.N(d/4 + 1) //nolint:gosec // nobody gains by guessing it
	return max(d, min(after, longRetry))
}

// schedule sets the timer for the next lease that ends while kernels run. It is
// for documents with a lease of their own only; what else a kernel has, Poll asks
// for; r.mu is held.
func (r *Resolver) schedule() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	var first time.Time
	for _, e := range r.entries {
		if e.doc == nil || e.doc.Lease.ID == "" || e.asking != nil {
			continue
		}
		at := e.refresh
		if e.next.After(at) {
			at = e.next
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if !first.IsZero() {
		r.timer = time.AfterFunc(max(time.Until(first), time.Second), r.tick)
	}
}

func (r *Resolver) tick() {
	wanted := r.o.Wanted()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.timer = nil
	if r.locked || !wanted {
		return
	}
	for _, e := range r.entries {
		if e.doc != nil && e.doc.Lease.ID != "" && e.asking == nil && !now.Before(e.refresh) && !now.Before(e.next) {
			r.ask(e, e.from, e.query, e.ttl)
		}
	}
	r.schedule()
}

func (r *Resolver) timeout(q Query) time.Duration {
	if d, err := time.ParseDuration(q.Settings["timeout"]); err == nil && d > 0 {
		return min(d, maxTime)
	}
	return readTime
}

// keyOf holds everything that the answer depends on, but for the field.
func keyOf(k known, q Query) string {
	parts := []string{q.Ref.Place(), q.Dir}
	for key, v := range q.Settings {
		parts = append(parts, key+"="+v)
	}
	slices.Sort(parts[2:])
	if f, ok := k.Provider.(interface{ stamp(Query) string }); ok {
		parts = append(parts, f.stamp(q))
	}
	return strings.Join(parts, "\x00")
}

func (d *Document) clone() Document {
	c := Document{Value: d.Value.Clone(), Lease: d.Lease}
	if d.Fields != nil {
		c.Fields = make(map[string]secret.Value, len(d.Fields))
	}
	for key, v := range d.Fields {
		c.Fields[key] = v.Clone()
	}
	return c
}

// findHelper looks for a program that speaks the provider protocol: beside nbhush
// first, so that the two are of one version, then on PATH.
func (r *Resolver) findHelper(name string) (string, error) {
	if r.o.Programs != "" {
		path := filepath.Join(r.o.Programs, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		mend := "put an executable of this name on PATH"
		if name == "nbhush-providers" {
			mend = "./install.sh builds it beside nbhush"
		}
		return "", fail(Setup, mend, "there is no program %s", name)
	}
	return path, nil
}
