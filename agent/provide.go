package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/secret"
)

const (
	// grantTime is how long a kernel's start waits for providers; what comes later
	// the kernel gets when it asks.
	grantTime = 700 * time.Millisecond
	// streamTime is how long a stream's other requests wait for a provider.
	streamTime = 50 * time.Millisecond
	maxAsking  = 8 // providers that one request asks at once
)

// from says where name comes from by the rule s: the rule that says so, which
// is nil for the store. Projects that do not agree are an error: a kernel inside
// another one must not choose for it.
func (s scope) from(name secret.Name) (*rule, error) {
	if s.owner {
		if p := s.source; p != nil && p.says(name) {
			return p, nil
		}
		return nil, nil
	}
	var first *rule
	for i := range s.rules {
		p := &s.rules[i]
		if !p.says(name) {
			p = nil
		}
		switch {
		case i == 0:
			first = p
		case p == nil && first == nil:
		case p == nil || first == nil || !sameSource(first, p, name):
			return nil, fail(api.CodeDenied, "", "%s and %s do not agree where %s comes from", s.rules[0].path, s.rules[i].path, name)
		}
	}
	return first, nil
}

// says reports whether r says where name comes from, in a file that is approved
// as it is: what the user consents to by a name is what the store has.
func (r rule) says(name secret.Name) bool {
	s, listed := r.config.In(r.profile, name)
	return listed && !s.From.IsZero() && r.approved()
}

func sameSource(p, q *rule, name secret.Name) bool {
	a, _ := p.config.In(p.profile, name)
	b, _ := q.config.In(q.profile, name)
	return a.From == b.From && (p.path == q.path ||
		filepath.Dir(p.path) == filepath.Dir(q.path) && maps.Equal(p.config.Providers[a.From.Scheme], q.config.Providers[a.From.Scheme]))
}

// sources returns the rule whose sources count when the owner asks in dir, or
// nil. A file that cannot be read has none: the owner's own store goes on. But
// who names a profile gets what that has, or an error.
func (a *agent) sources(dir string, w policy.Wanted) (*rule, policy.Choice, error) {
	var p project
	var err error
	if filepath.IsAbs(dir) {
		p, err = a.projects.of(dir)
	}
	if err != nil && w.Flag == "" {
		return nil, policy.Choice{}, nil
	}
	if err != nil {
		return nil, policy.Choice{}, err
	}
	c, err := choose(p, w, "")
	if err != nil {
		return nil, c, badInput(err)
	}
	if c.Profile != "" && (w.Flag != "" || w.Env != "") && !p.approved() {
		return nil, c, fail(api.CodeDenied, "look at it, then run in its folder: nbhush allow", "%s is not approved", p.path)
	}
	if p.config == nil {
		return nil, c, nil
	}
	return &rule{project: p, profile: c.Profile}, c, nil
}

// value takes the value called name from where s says that it is. from says it
// for the audit log, where that is not the store.
func (a *agent) value(ctx context.Context, w asker, s scope, name secret.Name) (v secret.Value, from string, err error) {
	p, err := s.from(name)
	if err != nil {
		return secret.Value{}, "", err
	}
	if p == nil {
		v, err := a.values.get(name)
		if errors.Is(err, &api.Error{Code: api.CodeNotFound}) && s.offers(name) {
			err = fail(api.CodeDenied, "look at it, then run in its folder: nbhush allow",
				"%s says where %s comes from, and is not approved", s.source.path, name)
		}
		return v, "", err
	}
	if a.values.isLocked() {
		return secret.Value{}, "", errLocked
	}
	entry, _ := p.config.In(p.profile, name)
	from = fmt.Sprintf(", from %s", entry.From)
	got, err := a.providers.Get(ctx, p.source(name, w))
	source := p.sourceKey(name)
	if err != nil {
		if w.kernel != nil && slices.Contains(a.kernels.servedTo(w.kernel), source) {
			a.follow(w, p, name, got) // it has the value, from the agent before
		}
		return secret.Value{}, from, providerError(name, entry, err)
	}
	if got.Stale {
		from += ", stale: the provider did not answer"
	}
	if w.kernel != nil {
		a.kernels.gets(w.kernel, source)
	}
	if err := a.values.serve(source, name, got.Value, w.kernel != nil); err != nil {
		got.Value.Wipe()
		return secret.Value{}, from, err
	}
	a.follow(w, p, name, got)
	return got.Value, from, nil
}

// offers reports whether the owner's project would say where name comes from if
// it were approved.
func (s scope) offers(name secret.Name) bool {
	if !s.owner || s.source == nil {
		return false
	}
	entry, _ := s.source.config.In(s.source.profile, name)
	return !entry.From.IsZero()
}

func providerError(name secret.Name, entry policy.Secret, err error) *api.Error {
	var e *provider.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(api.CodeWait, "ask for it again: nbhush get "+string(name), "%s: %s is being asked", name, entry.From)
	case errors.As(err, &e):
		return fail(api.CodeProvider, e.Hint(), "%s: %s", name, e.Error())
	}
	return fail(api.CodeProvider, "", "%s: %s did not give it", name, entry.From)
}

// resolved is what resolve said of one name.
type resolved struct {
	name  secret.Name
	value secret.Value
	err   error
}

// resolveEach resolves every name once. Providers are asked at the same time.
func (a *agent) resolveEach(ctx context.Context, w asker, s scope, names []secret.Name) []resolved {
	all := make([]resolved, 0, len(names))
	seen := make(map[secret.Name]struct{}, len(names))
	for _, name := range names {
		if _, twice := seen[name]; !twice {
			seen[name] = struct{}{}
			all = append(all, resolved{name: name})
		}
	}
	var asking sync.WaitGroup
	slots := make(chan struct{}, maxAsking)
	for i := range all {
		r := &all[i]
		if p, _ := s.from(r.name); p == nil {
			r.value, r.err = a.resolve(ctx, w, s, r.name)
			continue
		}
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			secret.Do(func() { r.value, r.err = a.resolve(ctx, w, s, r.name) })
		})
	}
	asking.Wait()
	return all
}

// lock wipes every value and answers nobody until open.
func (a *agent) lock() {
	a.providers.Lock()
	a.values.lock()
	a.around.forget()
}

// environment returns the variables that the asking program was started with. It
// reads them only if a source asks.
func (w asker) environment() func(string) string {
	if len(w.line) == 0 {
		return nil
	}
	read := sync.OnceValue(func() map[string]string { return environOf(w.line[0].PID) })
	return func(name string) string { return read()[name] }
}
