package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
)

const (
	followTime  = 30 * time.Second // for the question about one document
	followSoon  = time.Second      // the shortest pause after a failure
	followAgain = time.Minute      // until a project is looked at again that says nothing any more
)

// follows are the documents of providers that running kernels have: their
// providers cannot say that something changed, so they are asked from time to
// time, and a new value ends all leases as one that was set does. It holds no
// value. It is safe for concurrent use, and its zero value follows nothing.
type follows struct {
	mu    sync.Mutex
	docs  map[string]*followed // by provider.Answer.Document
	timer *time.Timer
	over  bool
	busy  sync.WaitGroup // giving back
}

// followed is one document, and who has something of it.
type followed struct {
	kernels map[*kernel]struct{}
	shell   bool                // the owner, who does not say when he is done
	has     map[string]sourceOf // by the source, as values calls it
	next    time.Time           // when it is asked for; zero: never
	asking  bool
	failed  bool // the last time
}

// sourceOf says again where a name comes from, by what is approved then.
type sourceOf struct {
	dir     string // of the nbhush.toml
	profile string
	name    secret.Name
	ref     secret.Ref
}

// source returns what a provider is asked for the name that r says a source for.
func (r *rule) source(name secret.Name, w asker) provider.Source {
	s, _ := r.config.In(r.profile, name)
	return provider.Source{
		Name: name, Ref: s.From, TTL: s.TTL, Stale: s.Stale, Poll: s.Poll,
		Dir: r.dir(), Providers: r.config.Providers, Env: w.environment(),
	}
}

// sourceKey names the source of name to values.
func (r *rule) sourceKey(name secret.Name) string {
	s, _ := r.config.In(r.profile, name)
	return r.path + "\x00" + string(name) + "\x00" + s.From.String()
}

// follow notes that the asker has a value of a document.
func (a *agent) follow(w asker, r *rule, name secret.Name, got provider.Answer) {
	if w.kernel == nil && !got.Leased {
		return
	}
	fs := &a.follows
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.docs == nil {
		fs.docs = map[string]*followed{}
	}
	f := fs.docs[got.Document]
	if f == nil {
		f = &followed{kernels: map[*kernel]struct{}{}, has: map[string]sourceOf{}}
		fs.docs[got.Document] = f
	}
	from, _ := r.config.In(r.profile, name)
	f.has[r.sourceKey(name)] = sourceOf{r.dir(), r.profile, name, from.From}
	if w.kernel == nil {
		f.shell = true
		return
	}
	first := len(f.kernels) == 0
	if f.kernels[w.kernel] = struct{}{}; first {
		f.next = time.Now() // the provider knows when that is
		a.schedule()
	}
}

// unfollow ends what k had. Leases that nobody else needs are given back.
func (a *agent) unfollow(k *kernel) {
	fs := &a.follows
	fs.mu.Lock()
	over := map[string]*followed{}
	for key, f := range fs.docs {
		if delete(f.kernels, k); len(f.kernels) == 0 && !f.shell {
			over[key] = f
			delete(fs.docs, key)
		}
	}
	fs.mu.Unlock()
	if len(over) > 0 {
		fs.busy.Go(func() { a.giveBack(over) })
	}
}

// giveBack returns the leases of these documents, as far as they have one.
func (a *agent) giveBack(over map[string]*followed) {
	back := a.providers.Release(context.Background(), func(key string) bool { return over[key] != nil })
	for _, r := range back {
		e := audit.Entry{Who: a.self(), Op: audit.OpRevoke, Verdict: audit.Allowed, Reason: "the lease of " + r.Source + " given back"}
		if r.Err != nil {
			e.Verdict, e.Reason = audit.Failed, "the lease was not given back and ends by itself: "+r.Err.Error()
		}
		for _, s := range over[r.Document].sorted() {
			e.Name = s.name
			_ = a.note(e) // it is logged, and the lease is gone all the same
		}
	}
}

// giveAllBack returns the leases of what no kernel has: this agent ends, and
// kernels outlive it.
func (a *agent) giveAllBack() {
	fs := &a.follows
	fs.mu.Lock()
	fs.over = true
	if fs.timer != nil {
		fs.timer.Stop()
	}
	over := map[string]*followed{}
	for key, f := range fs.docs {
		maps.DeleteFunc(f.kernels, func(k *kernel, _ struct{}) bool { return a.kernels.over(k) })
		if len(f.kernels) == 0 {
			over[key] = f
		}
	}
	fs.mu.Unlock()
	a.giveBack(over)
	fs.busy.Wait()
}

func (f *followed) sorted() []sourceOf {
	return slices.SortedFunc(maps.Values(f.has), func(x, y sourceOf) int { return strings.Compare(string(x.name), string(y.name)) })
}

// again has every document asked for at once: what was known of them is gone.
func (a *agent) again() {
	fs := &a.follows
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.docs {
		f.next = time.Now()
	}
	a.schedule()
}

// schedule sets the timer for the document that is next. follows.mu is held.
func (a *agent) schedule() {
	fs := &a.follows
	if fs.timer != nil {
		fs.timer.Stop()
	}
	var first time.Time
	for _, f := range fs.docs {
		if len(f.kernels) > 0 && !f.asking && !f.next.IsZero() && (first.IsZero() || f.next.Before(first)) {
			first = f.next
		}
	}
	if !first.IsZero() && !fs.over {
		fs.timer = time.AfterFunc(time.Until(first), a.pollDue)
	}
}

// pollDue asks for what is due, several at once.
func (a *agent) pollDue() {
	fs := &a.follows
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.over || a.values.isLocked() {
		return // unlocking asks for everything
	}
	asking := 0
	for _, f := range fs.docs {
		if f.asking {
			asking++
		}
	}
	now := time.Now()
	for _, f := range fs.docs {
		if f.asking || f.next.IsZero() || f.next.After(now) || asking >= maxAsking {
			continue
		}
		maps.DeleteFunc(f.kernels, func(k *kernel, _ struct{}) bool { return !a.kernels.has(k.key()) })
		for k := range f.kernels {
			asking++
			f.asking = true
			go secret.Do(func() { a.poll(f, asker{line: []socket.Process{k.proc}, kernel: k}) })
			break
		}
	}
	if asking < maxAsking {
		a.schedule()
	}
}

// poll asks for one document and serves what changed in it. w is one of the
// kernels that have it.
func (a *agent) poll(f *followed, w asker) {
	ctx, cancel := context.WithTimeout(context.Background(), followTime)
	defer cancel()
	fs := &a.follows
	fs.mu.Lock()
	has := maps.Clone(f.has)
	fs.mu.Unlock()
	var next time.Time
	asked := false
	for served, of := range has {
		p, err := a.projects.of(of.dir)
		r := rule{project: p, profile: of.profile}
		if err != nil || !r.says(of.name) || r.sourceKey(of.name) != served {
			continue // it was edited, or is not approved any more: nobody is asked in its name
		}
		s := r.source(of.name, w)
		if !asked {
			asked = true
			next, err = a.providers.Poll(ctx, s)
			if err != nil {
				a.pollFailed(s, err, f)
				break
			}
			f.failed = false
		}
		if err := a.renew(ctx, served, s); err != nil {
			a.log.Warn("serve what changed", "name", of.name, "err", err)
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.asking = false
	switch now := time.Now(); {
	case next.IsZero() && (!asked || f.failed): // what the project says may be mended
		next = now.Add(followAgain)
	case !next.IsZero() && next.Before(now.Add(followSoon)) && f.failed:
		next = now.Add(followSoon)
	}
	f.next = next
	a.schedule()
}

// pollFailed notes, once, why nobody knows whether a value changed.
func (a *agent) pollFailed(s provider.Source, err error, f *followed) {
	a.log.Warn("ask whether a value changed", "name", s.Name, "err", err)
	if !f.failed {
		f.failed = true
		_ = a.note(audit.Entry{Who: a.self(), Op: audit.OpRotate, Name: s.Name, Verdict: audit.Failed, Reason: err.Error()})
	}
}

// renew serves the value of s to the kernels that have it, if it is another one
// than theirs, and notes that before.
func (a *agent) renew(ctx context.Context, served string, s provider.Source) error {
	got, err := a.providers.Get(ctx, s)
	if err != nil {
		return err
	}
	defer got.Value.Wipe()
	if got.Stale || a.values.isLocked() {
		return nil
	}
	if v, ok := a.values.servedNow(served); ok {
		same := v.Equal(got.Value)
		v.Wipe()
		if same {
			return nil
		}
		reason := fmt.Sprintf("%s has a new value, which running kernels get", s.Ref)
		if err := a.note(audit.Entry{Who: a.self(), Op: audit.OpRotate, Name: s.Name, Verdict: audit.Allowed, Reason: reason}); err != nil {
			return err
		}
	}
	return a.values.serve(served, s.Name, got.Value, true)
}

// unknown is an error where a kernel has a value of a provider that is not known
// yet: the agent began anew, and its provider has not answered.
func (a *agent) unknown(k *kernel) error {
	for ; k != nil; k = k.outer {
		for _, served := range a.kernels.servedTo(k) {
			if !a.values.knows(served) {
				_, rest, _ := strings.Cut(served, "\x00")
				name, ref, _ := strings.Cut(rest, "\x00")
				return fail(api.CodeWait, "see whether it answers: nbhush get "+name+", or restart the kernel",
					"%s of this kernel is not known again yet: %s has not answered", name, ref)
			}
		}
	}
	return nil
}
