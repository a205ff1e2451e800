package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
	"github.com/nbhush/nbhush/agent/store"
)

// agent is the daemon without its socket.
type agent struct {
	version   string
	started   time.Time
	store     store.Store
	index     *store.Index
	past      *store.Past
	heads     *heads
	alerts    *alerts // nil: nobody wants any
	mover     *move   // nil: the store was given, and stays
	approvals *policy.Approvals
	audit     auditor
	log       *slog.Logger
	values    *values
	search    match.Finder // values, and what looks like a secret
	kernels   *kernels
	streams   streams
	projects  projects
	providers *provider.Resolver
	follows   follows
	grants    grants
	own       ownRules
	epoch     epoch
	around    surroundings
	found     found
	tidy      tidy
	stop      func() // asks Serve to end

	write sync.Mutex // held by one set or rm at a time, so that store, index and values agree
}

// auditor is *audit.Log.
type auditor interface{ Append(audit.Entry) error }

// parts are what an agent is made of.
type parts struct {
	version   string
	store     store.Store
	past      *store.Past // nil: in memory
	served    *servedFile // nil: nowhere
	index     *store.Index
	approvals *policy.Approvals
	allowed   string // the file of approvals
	grants    string // the file of grants
	audit     auditor
	log       *slog.Logger
	ghosts    string // the file of registered hooks
	stop      func()
	looks     match.Finder // may be nil
	alerts    *alerts      // may be nil
	programs  string       // the folder of nbhush-providers
	userHome  string       // where the user's programs keep credentials; may be ""
	settings  string       // the file of the user's settings; "": none
}

func newAgent(p parts) *agent {
	ghosts := ghostFile{p.ghosts, p.log}
	a := &agent{
		version: p.version, started: time.Now().UTC().Truncate(time.Second),
		store: p.store, index: p.index, approvals: p.approvals,
		audit: p.audit, log: p.log, stop: p.stop, alerts: p.alerts,
		kernels: &kernels{live: ghosts.load(), file: ghosts},
	}
	a.around = surroundings{home: p.userHome, now: time.Now}
	a.projects = projects{approvals: p.approvals, file: p.allowed}
	if a.past = p.past; a.past == nil {
		a.past = store.NewPast(store.NewMemory())
	}
	a.heads = &heads{past: a.past, full: make(chan struct{}, 1), ending: make(chan struct{})}
	if l, ok := p.audit.(*audit.Log); ok {
		a.heads.log, a.heads.path = l, l.Path()
	}
	a.grants = grants{list: policy.NewGrants(p.grants), file: p.grants, over: a.epoch.next, now: time.Now}
	a.own = ownRules{path: p.settings}
	if home, err := os.UserHomeDir(); err == nil {
		a.own.home = realDir(home)
	}
	a.values = newValues(p.store, a.names, a.kernels.any, p.log)
	a.values.past, a.values.file = a.past.All, p.served
	a.values.changed = a.epoch.next
	a.providers = provider.New(provider.Options{Stored: a.values.get, Wanted: a.kernels.any, Programs: p.programs})
	a.search = a.values
	if p.looks != nil {
		a.search = match.Join(a.values, p.looks)
	}
	return a
}

// names lists the store, and the index agrees with it afterwards.
func (a *agent) names() ([]secret.Name, error) {
	entries, err := a.index.Load(a.store)
	if err != nil {
		return nil, err
	}
	names := make([]secret.Name, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names, nil
}

// asker is who asks, on one connection.
type asker struct {
	line   []socket.Process // the peer, its parent and so on, when it connected
	exe    string
	kernel *kernel // that it belongs to, nil for the owner
	asks   bool    // it is a hook that can ask the user
}

func (w asker) who() audit.Who {
	who := audit.Who{Exe: w.exe}
	if len(w.line) > 0 {
		who.PID = w.line[0].PID
	}
	if w.kernel != nil {
		who.Kernel, who.Notebook = w.kernel.id, w.kernel.info.Notebook
	}
	return who
}

// resolve returns the value called name, which the caller wipes, if policy says
// yes and the audit log has noted it. Nothing else serves a value.
func (a *agent) resolve(ctx context.Context, w asker, s scope, name secret.Name) (secret.Value, error) {
	entry := audit.Entry{Who: w.who(), Op: audit.OpGet, Name: name}
	d, used, err := a.decide(w, s, name)
	if err != nil {
		return secret.Value{}, err
	}
	in := ""
	if profile := s.profile(); profile != "" {
		in = ", profile " + profile
	}
	entry.Reason = d.Reason + in
	if !d.Allow {
		denied := &api.Error{Code: api.CodeDenied, Message: d.Reason, Mend: d.Hint}
		if d.Ask && w.asks && (d.Listed || a.stored(name)) {
			denied.Code, denied.Name = api.CodeConsent, api.JoinName(s.asked, string(name))
			denied.Profile, denied.Session = s.profile(), d.Listed && d.Rule == nil
			d.Reason = "needs consent: " + d.Reason
		}
		entry.Verdict = audit.Denied
		entry.Name, entry.Reason = a.harmless(name, d.Reason+in)
		if err := a.note(entry); err != nil {
			return secret.Value{}, err
		}
		return secret.Value{}, denied
	}
	value, from, err := a.value(ctx, w, s, name)
	entry.Reason += from
	entry.Verdict = audit.Allowed
	if err != nil {
		entry.Verdict = audit.Failed
		entry.Name, entry.Reason = a.harmless(name, err.Error())
		if used != nil { // and not for nothing: a provider may need longer than this request
			_, again := a.grants.add(*used)
			err = errors.Join(err, again)
		}
	}
	if noted := a.note(entry); noted != nil {
		value.Wipe()
		return secret.Value{}, noted
	}
	return value, err
}

// decide is the scope's decision. A grant for one get is used up by it, and returned.
func (a *agent) decide(w asker, s scope, name secret.Name) (d policy.Decision, used *policy.Grant, err error) {
	for {
		d = s.decide(name)
		if !d.Allow || d.Grant == nil || !d.Grant.Once {
			return d, nil, nil
		}
		was, err := a.grants.remove(func(g policy.Grant) bool { return g == *d.Grant })
		if err != nil {
			return d, nil, err
		}
		a.epoch.next() // or the hook would serve it again for a second
		if len(was) > 0 {
			w.kernel.given.Store(api.JoinName(s.asked, string(name)), true)
			return d, &was[0], nil
		}
		// Somebody else was quicker, with a grant that this scope still has.
		if s, err = a.scope(w, s.asked); err != nil {
			return d, nil, err
		}
	}
}

// stored reports whether the store has a value called name.
func (a *agent) stored(name secret.Name) bool {
	value, err := a.values.get(name)
	value.Wipe()
	return err == nil
}

// harmless returns what the audit log may say of a request that was not granted:
// people paste a value where its name belongs.
func (a *agent) harmless(name secret.Name, reason string) (secret.Name, string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	found, err := a.values.Find(ctx, []byte(string(name)+"\n"+reason))
	switch {
	case err != nil:
		return "", "the name was not checked for values: " + err.Error()
	case len(found.Spans) > 0:
		return "", "a value was asked for as if it were a name"
	}
	return name, reason
}

// noValue refuses to write down, as a name, what is a value that find knows.
func noValue(find func(context.Context, []byte) (match.Result, error), name secret.Name) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if found, err := find(ctx, []byte(name)); err == nil && len(found.Spans) > 0 {
		return fail(api.CodeBadInput, "give the name; a value is read from the terminal, or from standard input with --stdin",
			"a stored value stands where the name belongs")
	}
	return nil
}

// missing is the error for names that no store holds. It repeats no value.
func (a *agent) missing(names ...secret.Name) *api.Error {
	for _, name := range names {
		if err := noValue(a.values.Find, name); err != nil {
			return fail(api.CodeNotFound, hintList, "no secret is called so: %v", err)
		}
	}
	return notThere(names)
}

// resolveAll is resolve for several names: all or an error. It looks for what
// is missing first, so that the error names every name.
func (a *agent) resolveAll(ctx context.Context, w asker, s scope, names []secret.Name) (map[secret.Name]secret.Value, error) {
	values := make(map[secret.Name]secret.Value, len(names))
	var missing []secret.Name
	var failed error
	for _, r := range a.resolveEach(ctx, w, s, names) {
		switch {
		case errors.Is(r.err, &api.Error{Code: api.CodeNotFound}):
			missing = append(missing, r.name)
		case r.err != nil && failed == nil:
			failed = r.err
		case r.err == nil:
			values[r.name] = r.value
		}
	}
	if failed != nil {
		wipeAll(values)
		return nil, failed
	}
	if len(missing) > 0 {
		wipeAll(values)
		return nil, a.missing(missing...)
	}
	return values, nil
}

// notThere is the error for names that no store holds.
func notThere(names []secret.Name) *api.Error {
	if len(names) == 1 {
		return notFound(names[0])
	}
	e := notFound(names[0])
	e.Message = "no secrets are called " + joinNames(names)
	return e
}

func joinNames(names []secret.Name) string {
	var list strings.Builder
	for i, name := range names {
		if i > 0 {
			list.WriteString(", ")
		}
		list.WriteString(string(name))
	}
	return list.String()
}

// note appends to the audit log. What cannot be noted must not happen.
func (a *agent) note(e audit.Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	if err := a.audit.Append(e); err != nil {
		a.log.Error("write the audit log", "err", err)
		return fail(api.CodeInternal, "nbhush doctor", "audit log cannot be written: %v", err)
	}
	a.heads.count(a)
	a.alerts.see(e)
	return nil
}

// close wipes what the agent holds.
func (a *agent) close() {
	a.heads.close()
	a.grants.close()
	a.lock()
	a.epoch.close()
}
