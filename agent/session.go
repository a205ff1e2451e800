package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/shared"
	"github.com/nbhush/nbhush/agent/socket"
	"github.com/nbhush/nbhush/agent/store"
)

// maxNames is the most that one request may ask for.
const maxNames = 10_000

// statusWait is how long Status waits for values that are being read.
const statusWait = 250 * time.Millisecond

// session is the agent as one connection may use it. The methods return what
// those of client.Client and client.Stream return. A session is used by one
// goroutine at a time.
type session struct {
	agent *agent
	line  []socket.Process
	exe   string
	was   *kernel    // that it belonged to, the last time it asked
	own   *kernel    // that it registered
	conn  *wipedConn // nil in tests

	shared *shared.Region // with the process at the other end of a stream, or nil
}

// asker says who asks now. A process that belonged to a kernel that has ended
// is nobody's: it does not become the owner.
func (s *session) asker() (asker, error) {
	w := asker{line: s.line, exe: s.exe, kernel: s.agent.kernels.of(s.line)}
	if w.kernel == nil && s.was != nil {
		w.kernel = s.was // for the log
		entry := audit.Entry{Who: w.who(), Op: audit.OpGet, Verdict: audit.Denied, Reason: "the kernel of this process has ended"}
		if err := s.agent.note(entry); err != nil {
			return w, err
		}
		return w, fail(api.CodeDenied, "", "the kernel of this process has ended")
	}
	s.was = w.kernel
	w.asks = s.own != nil && s.own == w.kernel && s.own.outer == nil && !s.own.info.Attached && s.own.info.API >= consentVersion
	return w, nil
}

// consentVersion is the first version of the protocol whose hooks ask for consent.
const consentVersion = 3

// owner returns the asker, or an error if that is a kernel, which the audit log notes.
func (s *session) owner(op audit.Op, name secret.Name) (asker, error) {
	w, err := s.asker()
	if err == nil && w.kernel == nil {
		return w, nil
	}
	e := audit.Entry{Who: w.who(), Op: op, Verdict: audit.Denied}
	e.Name, e.Reason = s.agent.harmless(name, "asked by a kernel")
	if err := s.agent.note(e); err != nil {
		return w, err
	}
	return w, fail(api.CodeDenied, "run the command in a terminal, outside of any notebook",
		"a process below a kernel may ask for values and nothing else")
}

func (s *session) Status(ctx context.Context) (api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	a := s.agent
	st := api.Status{
		API: api.Version, Version: a.version, PID: os.Getpid(), Started: a.started,
		Store: a.store.Kind(), Kernels: a.kernels.count(),
	}
	st.Locked, st.Known, st.Detail = a.values.state(ctx)
	entries, err := a.index.List()
	if err != nil && st.Detail == "" {
		st.Detail = err.Error()
	}
	st.Secrets = len(entries)
	return st, nil
}

func (s *session) List(context.Context) ([]api.Secret, error) {
	if _, err := s.owner(audit.OpGet, ""); err != nil {
		return nil, err
	}
	entries, err := s.agent.index.Load(s.agent.store)
	if err != nil { // a locked store still has names
		if entries, err = s.agent.index.List(); err != nil {
			return nil, err
		}
	}
	list := make([]api.Secret, len(entries))
	for i, e := range entries {
		list[i] = api.Secret{
			Name: string(e.Name), Store: e.Kind, Created: e.Created, Updated: e.Updated,
			Warning: s.agent.values.warning(e.Name), Expires: s.agent.values.expires(e.Name),
		}
	}
	return list, nil
}

// Set keeps a copy of value.
func (s *session) Set(ctx context.Context, name secret.Name, value secret.Value) (api.SetResult, error) {
	return s.SetUntil(ctx, name, value, time.Time{})
}

// SetUntil is Set of a value that expires then, or never where that is zero.
func (s *session) SetUntil(_ context.Context, name secret.Name, value secret.Value, expires time.Time) (api.SetResult, error) {
	w, err := s.owner(audit.OpSet, name)
	if err != nil {
		return api.SetResult{}, err
	}
	if _, err := secret.ParseName(string(name)); err != nil {
		return api.SetResult{}, err
	}
	switch {
	case value.Len() == 0:
		return api.SetResult{}, fail(api.CodeBadInput, "", "the value of %s is empty", name)
	case value.Len() > api.MaxValue:
		return api.SetResult{}, fail(api.CodeBadInput, "", "the value of %s is longer than %d bytes", name, api.MaxValue)
	}
	// So far: an import of many would wait each time for the one before to be known.
	if err := noValue(s.agent.values.FindSoFar, name); err != nil {
		return api.SetResult{}, err
	}
	return s.set(w, name, value, expires, "")
}

// set keeps value, which is a good one; reason is for the audit log.
func (s *session) set(w asker, name secret.Name, value secret.Value, expires time.Time, reason string) (api.SetResult, error) {
	a := s.agent
	if a.values.isLocked() {
		return api.SetResult{}, errLocked
	}
	a.write.Lock()
	defer a.write.Unlock()
	entry := audit.Entry{Who: w.who(), Op: audit.OpSet, Name: name, Verdict: audit.Allowed, Reason: reason}
	if err := a.put(name, value, expires); err != nil {
		entry.Verdict, entry.Reason = audit.Failed, err.Error()
		return api.SetResult{}, errors.Join(storeError(fmt.Errorf("set %s: %w", name, err)), a.note(entry))
	}
	e, replaced, err := a.index.Put(name, a.store.Kind())
	if err := errors.Join(a.note(entry), err); err != nil {
		return api.SetResult{}, fmt.Errorf("%s is kept, but: %w", name, err)
	}
	return api.SetResult{Secret: api.Secret{
		Name: string(name), Store: e.Kind, Created: e.Created, Updated: e.Updated,
		Warning: warning(value), Expires: a.values.expires(name),
	}, Replaced: replaced}, nil
}

func (s *session) Delete(_ context.Context, name secret.Name) (api.Secret, error) {
	w, err := s.owner(audit.OpRemove, name)
	if err != nil {
		return api.Secret{}, err
	}
	if _, err := secret.ParseName(string(name)); err != nil {
		return api.Secret{}, err
	}
	a := s.agent
	if a.values.isLocked() {
		return api.Secret{}, errLocked
	}
	a.write.Lock()
	defer a.write.Unlock()
	entry := audit.Entry{Who: w.who(), Op: audit.OpRemove, Name: name, Verdict: audit.Allowed}
	if err := a.remove(name); err != nil {
		entry.Verdict = audit.Failed
		entry.Name, entry.Reason = a.harmless(name, err.Error())
		e := storeError(fmt.Errorf("remove %s: %w", name, err))
		if e.Code == api.CodeNotFound {
			e = a.missing(name)
			e.Mend = hintList
		}
		return api.Secret{}, errors.Join(e, a.note(entry))
	}
	e, err := a.index.Delete(name)
	if errors.Is(err, store.ErrNotFound) { // somebody who listed meanwhile did that already
		err = nil
	}
	if err := errors.Join(a.note(entry), err); err != nil {
		return api.Secret{}, fmt.Errorf("%s is removed, but: %w", name, err)
	}
	return api.Secret{Name: string(name), Store: e.Kind, Created: e.Created, Updated: e.Updated}, nil
}

// Get returns the values of all names, or an error and none.
func (s *session) Get(ctx context.Context, names []secret.Name, dir string) (map[secret.Name]secret.Value, error) {
	values, _, err := s.get(ctx, names, dir, policy.Wanted{})
	return values, err
}

// get is Get in a profile, which it returns.
func (s *session) get(ctx context.Context, names []secret.Name, dir string, in policy.Wanted) (map[secret.Name]secret.Value, api.Profile, error) {
	var on api.Profile
	if len(names) > maxNames {
		return nil, on, fail(api.CodeBadInput, "", "%d names at once are too many", len(names))
	}
	for _, name := range names {
		if _, err := secret.ParseName(string(name)); err != nil {
			return nil, on, err
		}
	}
	w, err := s.asker()
	if err != nil {
		return nil, on, err
	}
	sc, err := s.agent.scope(w, s.agent.asked(w, in))
	if err != nil {
		return nil, on, err
	}
	if sc.owner {
		var c policy.Choice
		if sc.source, c, err = s.agent.sources(dir, in); err != nil {
			return nil, on, err
		}
		on = api.Profile{Profile: c.Profile, By: c.By}
	}
	values, err := s.agent.resolveAll(ctx, w, sc, names)
	return values, on, err
}

// asked returns the profile that the process of a kernel asks for. Where its
// project has none, NBHUSH_PROFILE is for other projects.
func (a *agent) asked(w asker, in policy.Wanted) string {
	if in.Flag != "" || w.kernel == nil || in.Env == "" {
		return in.Flag
	}
	if p, err := a.projects.of(w.kernel.info.Dir); err != nil || len(p.config.Known()) == 0 {
		return ""
	}
	return in.Env
}

// GetAll returns the values of all names that the nbhush.toml of dir lists. It
// must be approved also when the owner asks: who runs a command in a folder
// that somebody else made has not said that it may have his secrets.
func (s *session) GetAll(ctx context.Context, dir string) (map[secret.Name]secret.Value, error) {
	values, _, err := s.getAll(ctx, dir, policy.Wanted{})
	return values, err
}

// getAll is GetAll in a profile, which it returns. What a rule denies is left out.
func (s *session) getAll(ctx context.Context, dir string, in policy.Wanted) (map[secret.Name]secret.Value, api.Profile, error) {
	var on api.Profile
	if !filepath.IsAbs(dir) {
		return nil, on, fail(api.CodeBadInput, "", "a directory must be given by its absolute path")
	}
	w, err := s.asker()
	if err != nil {
		return nil, on, err
	}
	if w.kernel != nil {
		dir = w.kernel.info.Dir
	}
	sc, err := s.agent.scope(w, s.agent.asked(w, in))
	if err != nil {
		return nil, on, err
	}
	p, err := s.agent.projects.of(dir)
	if err != nil {
		return nil, on, err
	}
	if p.path == "" {
		return nil, on, fail(api.CodeNotFound, "make one that lists the names under [secrets], then run: nbhush allow",
			"there is no %s in %s or above", policy.FileName, dir)
	}
	if sc.owner {
		r := rule{project: p, shell: true}
		c, err := choose(p, in, "")
		if err != nil {
			return nil, on, badInput(err)
		}
		if r.own, err = s.agent.own.current(); err != nil {
			return nil, on, err
		}
		r.profile, on = c.Profile, api.Profile{Profile: c.Profile, By: c.By}
		sc = scope{rules: []rule{r}}
	}
	names := slices.DeleteFunc(p.config.NamesIn(sc.profile()), func(name secret.Name) bool { return ruledOut(sc.decide(name)) })
	values, err := s.agent.resolveAll(ctx, w, sc, names)
	return values, on, err
}

// ruledOut reports whether a rule says no to a name, so that who asks for all of
// a project is not told of an error.
func ruledOut(d policy.Decision) bool { return d.Rule != nil && d.Rule.Verdict == policy.Deny }

func (s *session) Allow(_ context.Context, path, hash string) (api.Allowed, error) {
	w, err := s.owner(audit.OpAllow, "")
	if err != nil {
		return api.Allowed{}, err
	}
	path, err = configPath(path)
	if err != nil {
		return api.Allowed{}, err
	}
	c, now, err := policy.Load(path)
	if err != nil {
		return api.Allowed{}, badInput(err)
	}
	if hash != now {
		return api.Allowed{}, fail(api.CodeBadInput, "read it again, then run: nbhush allow", "%s has changed since it was read", path)
	}
	entry := audit.Entry{Who: w.who(), Op: audit.OpAllow, Verdict: audit.Allowed, Reason: path}
	if err := s.agent.note(entry); err != nil {
		return api.Allowed{}, err
	}
	ap, err := s.agent.approvals.Allow(path, hash, c)
	s.agent.projects.forget()
	s.agent.epoch.next()
	return allowed(ap), err
}

func (s *session) Deny(_ context.Context, path string) (api.Allowed, error) {
	w, err := s.owner(audit.OpDeny, "")
	if err != nil {
		return api.Allowed{}, err
	}
	path, err = configPath(path)
	if err != nil {
		return api.Allowed{}, err
	}
	ap, err := s.agent.approvals.Deny(path)
	s.agent.projects.forget()
	s.agent.epoch.next()
	if errors.Is(err, policy.ErrNotApproved) {
		return api.Allowed{}, fail(api.CodeNotFound, "", "%s was not approved", path)
	}
	if err != nil {
		return api.Allowed{}, err
	}
	entry := audit.Entry{Who: w.who(), Op: audit.OpDeny, Verdict: audit.Allowed, Reason: path}
	return allowed(ap), s.agent.note(entry)
}

func (s *session) Allowed(context.Context) ([]api.Allowed, error) {
	if _, err := s.owner(audit.OpGet, ""); err != nil {
		return nil, err
	}
	approvals, err := s.agent.approvals.List()
	list := make([]api.Allowed, len(approvals))
	for i, ap := range approvals {
		list[i] = allowed(ap)
	}
	return list, err
}

func allowed(ap policy.Approval) api.Allowed {
	names := make([]string, len(ap.Names))
	for i, name := range ap.Names {
		names[i] = string(name)
	}
	return api.Allowed{Path: ap.Path, Hash: ap.Hash, Since: ap.Since, Names: names}
}

// configPath returns path in the form in which policy.Find returns it.
func configPath(path string) (string, error) {
	name := filepath.Base(path)
	if !filepath.IsAbs(path) || name != policy.FileName && name != policy.SecretspecName {
		return "", fail(api.CodeBadInput, "", "an %s must be given by its absolute path", policy.FileName)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) { // its approval can still be taken back
		return filepath.Clean(path), nil
	}
	return filepath.Join(dir, name), err
}

func badInput(err error) *api.Error {
	e := apiError(err)
	if e.Code == api.CodeInternal {
		e.Code = api.CodeBadInput
	}
	return e
}

func (s *session) Lock(ctx context.Context) (api.Status, error) {
	w, err := s.owner(audit.OpLock, "")
	if err != nil {
		return api.Status{}, err
	}
	s.agent.heads.save(s.agent) // which it cannot when it is locked
	s.agent.lock()
	if l, ok := s.agent.store.(interface{ Lock() }); ok {
		l.Lock()
	}
	s.agent.past.Lock()
	for range 2 { // what pools kept for one collection more goes with the second
		debug.FreeOSMemory()
	}
	if err := s.agent.note(audit.Entry{Who: w.who(), Op: audit.OpLock, Verdict: audit.Allowed}); err != nil {
		return api.Status{}, err
	}
	return s.Status(ctx)
}

// Unlock opens the store, with the passphrase where one wraps its key, and
// reads it.
func (s *session) Unlock(ctx context.Context, passphrase []byte) (api.Status, error) {
	w, err := s.owner(audit.OpUnlock, "")
	if err != nil {
		return api.Status{}, err
	}
	entry := audit.Entry{Who: w.who(), Op: audit.OpUnlock, Verdict: audit.Allowed}
	if u, ok := s.agent.store.(interface{ Unlock([]byte) error }); ok {
		if err := u.Unlock(passphrase); err != nil {
			entry.Verdict, entry.Reason = audit.Failed, err.Error()
			return api.Status{}, errors.Join(storeError(fmt.Errorf("unlock: %w", err)), s.agent.note(entry))
		}
	}
	if err := s.agent.note(entry); err != nil {
		return api.Status{}, err
	}
	s.agent.providers.Unlock()
	s.agent.values.open()
	s.agent.again()
	s.agent.epoch.next() // running kernels look again for what changed meanwhile
	if _, err := s.Find(ctx, nil); err != nil {
		return api.Status{}, err
	}
	return s.Status(ctx)
}

func (s *session) Stop(ctx context.Context) (api.Status, error) {
	w, err := s.owner(audit.OpStop, "")
	if err != nil {
		return api.Status{}, err
	}
	if err := s.agent.note(audit.Entry{Who: w.who(), Op: audit.OpStop, Verdict: audit.Allowed}); err != nil {
		return api.Status{}, err
	}
	st, err := s.Status(ctx)
	s.agent.stop()
	return st, err
}

// Find is match.Finder. Kernels may ask: a cell runs git, and git the filter. To
// a hook the secrets around its kernel's folder are known, too.
func (s *session) Find(ctx context.Context, text []byte) (match.Result, error) {
	found, err := s.agent.values.Find(ctx, text)
	if err != nil || s.own == nil {
		return found, err
	}
	if err := s.agent.unknown(s.own); err != nil {
		return match.Result{}, err
	}
	found, err = s.agent.around.find(ctx, s.own.info.Dir, text, found)
	if s.agent.values.isLocked() { // since the first question: the second may have read files
		s.agent.around.forget()
		return match.Result{}, errLocked
	}
	return found, err
}

// Search is Find that also finds what looks like a secret.
func (s *session) Search(ctx context.Context, text []byte) (match.Result, error) {
	return s.agent.search.Find(ctx, text)
}

// Value returns one value. It does not wait for a provider: the answers of a
// stream have an order, and text that waits to be searched is behind this one.
// The name may be one that api.JoinName made.
func (s *session) Value(ctx context.Context, name secret.Name) (secret.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	profile, name := splitName(name)
	values, _, err := s.get(ctx, []secret.Name{name}, "", policy.Wanted{Flag: profile})
	return values[name], err
}

func splitName(text secret.Name) (profile string, name secret.Name) {
	profile, rest := api.SplitName(string(text))
	return profile, secret.Name(rest)
}

// Profile says which profile is on for the kernel that asks.
func (s *session) Profile(context.Context) (api.Profile, error) {
	w, err := s.asker()
	if err != nil {
		return api.Profile{}, err
	}
	sc, err := s.agent.scope(w, "")
	if err != nil || sc.owner {
		return api.Profile{}, err
	}
	r := sc.rules[0]
	return api.Profile{Profile: r.profile, By: w.kernel.choose(r.project).By, Known: r.config.Known()}, nil
}

// Refused notes what the hook of a kernel refused at its endpoint.
func (s *session) Refused(_ context.Context, q api.Refused) error {
	w, err := s.asker()
	if err != nil {
		return err
	}
	if s.own == nil {
		return fail(api.CodeDenied, "", "only the hook of a kernel says what it refused")
	}
	entry := audit.Entry{Who: w.who(), Op: audit.OpGet, Verdict: audit.Denied}
	if q.Message {
		entry.Op = audit.OpKernel
	}
	entry.Who.PID, entry.Who.Exe = q.PID, executable(q.PID)
	_, entry.Reason = s.agent.harmless("", "refused by the hook: "+q.Why)
	return s.agent.note(entry)
}

// Again notes that a hook served a value again within its lease.
func (s *session) Again(_ context.Context, name secret.Name, times int) error {
	w, err := s.asker()
	if err != nil {
		return err
	}
	if s.own == nil {
		return fail(api.CodeDenied, "", "only the hook of a kernel answers for the agent")
	}
	profile, name := splitName(name)
	more := ""
	if profile != "" {
		more = ", profile " + profile
	}
	often := "once"
	if times != 1 {
		often = fmt.Sprintf("%d times", times)
	}
	name, reason := s.agent.harmless(name, fmt.Sprintf("%s more within %v, by the hook", often, api.Lease)+more)
	return s.agent.note(audit.Entry{Who: w.who(), Op: audit.OpGet, Name: name, Verdict: audit.Allowed, Reason: reason})
}

// Names returns the names that the asker may have, sorted.
func (s *session) Names(context.Context) ([]secret.Name, error) {
	w, err := s.asker()
	if err != nil {
		return nil, err
	}
	sc, err := s.agent.scope(w, "")
	if err != nil {
		return nil, err
	}
	if sc.owner {
		return s.agent.names()
	}
	names := []secret.Name{}
	for _, r := range sc.rules[:1] {
		names = append(names, r.config.NamesIn(r.profile)...)
		for _, g := range r.grants {
			if g.Name != "" {
				names = append(names, g.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name secret.Name) bool { return !sc.decide(name).Allow }), nil
}

// RegisterKernel makes the peer the hook of a kernel until end. The grant's
// values are the caller's to clear. What keeps a value from the kernel is in
// the grant's Notice: the kernel runs all the same.
func (s *session) RegisterKernel(ctx context.Context, info api.Kernel) (api.Grant, error) {
	switch {
	case info.API > api.Version:
		return api.Grant{}, tooNew(info.API)
	case !filepath.IsAbs(info.Dir):
		return api.Grant{}, fail(api.CodeBadInput, "", "a kernel's directory must be given by its absolute path")
	case s.own != nil:
		return api.Grant{}, fail(api.CodeBadInput, "", "this connection has a kernel already")
	case len(s.line) == 0:
		return api.Grant{}, fail(api.CodeDenied, "", "the process of the hook cannot be seen")
	}
	if _, err := s.asker(); err != nil {
		return api.Grant{}, err
	}
	running, err := attached(&info)
	if err != nil {
		return api.Grant{}, err
	}
	if s.own = s.agent.kernels.add(s.line, running, info); s.own == nil {
		return api.Grant{}, fail(api.CodeDenied, "ask in its cells: nbhush get NAME", "process %d belongs to a kernel that nbhush serves already", info.PID)
	}
	w := asker{line: s.line, exe: s.exe, kernel: s.own}
	s.was = s.own
	entry := audit.Entry{Who: w.who(), Op: audit.OpKernel, Verdict: audit.Allowed, Reason: info.Argv0 + " in " + info.Dir}
	if info.Attached {
		entry.Reason = "attached to " + entry.Reason
	}
	if err := s.agent.note(entry); err != nil {
		return api.Grant{}, err
	}
	if info.Attached { // it gets what it asks for
		g := api.Grant{ID: s.own.id}
		if sc, err := s.agent.scope(w, ""); err == nil {
			g.Profile = sc.rules[0].profile
		}
		return g, nil
	}
	return s.agent.grant(ctx, w), nil
}

// attached returns the process of a kernel that is attached, and its ancestors,
// where that is known.
func attached(info *api.Kernel) ([]socket.Process, error) {
	if !info.Attached || info.PID <= 0 {
		info.PID = 0
		return nil, nil
	}
	line, err := socket.Ancestors(info.PID)
	if err != nil {
		return nil, fail(api.CodeBadInput, "", "the kernel cannot be seen: %v", err)
	}
	return line, nil
}

// end takes the registration back, when the connection is gone.
func (s *session) end() {
	if s.own == nil {
		return
	}
	if s.agent.kernels.remove(s.own) {
		s.agent.values.forget()
		s.agent.around.forget()
	}
	if s.agent.kernels.over(s.own) {
		s.agent.unfollow(s.own)
		s.agent.grants.forget(s.own, s.agent.log)
	}
	s.own = nil
}

// grant collects what the kernel of w may have now.
func (a *agent) grant(ctx context.Context, w asker) api.Grant {
	g := api.Grant{ID: w.kernel.id, Notebook: w.kernel.notebook}
	sc, err := a.scope(w, "")
	if err != nil {
		g.Notice = badInput(err)
		return g
	}
	p := sc.rules[0]
	g.Config, g.Profile = p.path, p.profile
	if p.config == nil {
		return g
	}
	var missing, names, asks []secret.Name
	for _, name := range p.config.NamesIn(p.profile) {
		switch d := sc.decide(name); {
		case ruledOut(d):
		case d.Listed, d.Grant != nil && d.Grant.Once: // nobody can be asked yet
			asks = append(asks, name)
		default:
			names = append(names, name)
		}
	}
	if len(asks) > 0 {
		g.Notice = asksFirst(asks, p.profile)
	}
	ctx, cancel := context.WithTimeout(ctx, grantTime)
	defer cancel()
	for _, r := range a.resolveEach(ctx, w, sc, names) {
		switch {
		case errors.Is(r.err, &api.Error{Code: api.CodeNotFound}):
			missing = append(missing, r.name)
		case r.err != nil:
			g.Notice = apiError(r.err)
		default:
			if g.Values == nil {
				g.Values = map[string][]byte{}
			}
			g.Values[string(r.name)] = r.value.Reveal()
		}
	}
	if g.Notice == nil && len(missing) > 0 {
		g.Notice = a.missing(missing...)
	}
	return g
}

// asksFirst is the notice for names that a kernel does not have at its start.
func asksFirst(names []secret.Name, profile string) *api.Error {
	in := ""
	if profile != "" {
		in = " in the profile " + profile
	}
	return fail(api.CodeConsent, "you are asked when a cell asks: nbhush.get(\""+string(names[0])+"\") or nbhush get "+string(names[0]),
		"this kernel starts without %s: your yes is needed%s", joinNames(names), in)
}

func tooNew(version int) *api.Error {
	return fail(api.CodeVersion, "nbhush agent stop, then try again",
		"the running agent is older than this program: it speaks version %d of the protocol, not %d", api.Version, version)
}
