package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
)

// Consent notes what the user answered to the hook's question, keeps a yes for
// as long as it was given, and returns the value then. Nothing below a kernel
// answers for the user: the hook itself sends it, on the stream on which it
// registered; and code of a kernel that makes itself a client of its own kernel,
// or of another one, is no user either.
func (s *session) Consent(ctx context.Context, name secret.Name, answer api.Answer, client int) (secret.Value, error) {
	w, err := s.asker()
	if err != nil {
		return secret.Value{}, err
	}
	text := name
	profile, name := splitName(name)
	if _, err := secret.ParseName(string(name)); err != nil {
		return secret.Value{}, err
	}
	a := s.agent
	entry := audit.Entry{Who: w.who(), Op: audit.OpConsent, Name: name, Verdict: audit.Denied}
	if !w.asks {
		entry.Name, entry.Reason = a.harmless(name, "not sent by the hook of a kernel that asks")
		return secret.Value{}, errors.Join(fail(api.CodeDenied, "", "only the hook of a kernel says what the user answered"), a.note(entry))
	}
	sc, err := a.scope(w, profile)
	if err != nil {
		return secret.Value{}, err
	}
	if client != 0 && a.kernels.below(client) {
		entry.Reason = fmt.Sprintf("answered by process %d, which belongs to a kernel", client)
		return secret.Value{}, errors.Join(fail(api.CodeDenied, "", "the client that answered for %s belongs to a kernel", name), a.note(entry))
	}
	d := sc.decide(name)
	if !d.Allow && !d.Ask {
		return a.resolve(ctx, w, sc, name)
	}
	g := policy.Grant{Name: name, Profile: sc.profile()}
	denied := &api.Error{Code: api.CodeDenied, Message: d.Reason, Mend: d.Hint}
	switch answer {
	case api.AnswerOnce:
		sc = sc.once(name)
		entry.Reason = "once"
	case api.AnswerKernel:
		g.Kernel = w.kernel.key()
		entry.Reason = "for this kernel"
		if d.Listed && d.Rule == nil { // the profile asks once a session
			g.Name = ""
			entry.Reason = "for this kernel, all of the profile " + g.Profile
		}
	case api.AnswerNotebook:
		if g.Notebook = w.kernel.notebook; g.Notebook == "" {
			return secret.Value{}, fail(api.CodeBadInput, "", "this kernel has no notebook that a grant could be for")
		}
		entry.Reason = "always for " + g.Notebook
	case api.AnswerNobody:
		entry.Reason = "there was nobody to ask"
	case api.AnswerLate:
		entry.Reason = "nobody answered"
		denied.Message = "nobody answered whether this kernel may have " + string(name)
	default:
		entry.Reason = "the user said no"
		denied.Message = "you said no to " + string(name)
	}
	if g.Profile != "" && g.Name != "" {
		entry.Reason += ", profile " + g.Profile
	}
	yes := g.Kernel != "" || g.Notebook != "" || answer == api.AnswerOnce
	if yes {
		entry.Verdict = audit.Allowed
	} else {
		entry.Name, entry.Reason = a.harmless(name, entry.Reason)
	}
	if err := a.note(entry); err != nil {
		return secret.Value{}, err
	}
	switch {
	case !yes:
		return secret.Value{}, denied
	case answer == api.AnswerOnce:
		w.kernel.given.Store(string(text), true)
	default:
		if _, err := a.grants.add(g); err != nil {
			return secret.Value{}, err
		}
		if sc, err = a.scope(w, profile); err != nil {
			return secret.Value{}, err
		}
	}
	return a.resolve(ctx, w, sc, name)
}

// Refresh says which of the values that the kernel of this hook holds have to
// change: a new value if it may have that, and which it may not keep. It looks
// only, and asks nobody.
func (s *session) Refresh(_ context.Context, held []api.Held) (r api.Refreshed, err error) {
	w, err := s.asker()
	if err != nil {
		return r, err
	}
	a := s.agent
	switch {
	case s.own == nil || w.kernel != s.own:
		return r, fail(api.CodeDenied, "", "only the hook of a kernel asks what has changed")
	case len(held) > maxNames:
		return r, fail(api.CodeBadInput, "", "%d names at once are too many", len(held))
	case a.values.isLocked():
		return r, errLocked
	}
	scopes := map[string]scope{} // by the profile: most names are of one
	for _, h := range held {
		profile, name := splitName(secret.Name(h.Name))
		sc, ok := scopes[profile]
		if !ok {
			sc, err = a.scope(w, profile)
			scopes[profile] = sc
		}
		if err == nil {
			err = s.refresh(w, sc, name, h, &r)
		}
		if err != nil {
			for _, b := range r.New {
				clear(b)
			}
			return api.Refreshed{}, err
		}
	}
	return r, nil
}

// refresh adds to r what has to be done about one name.
func (s *session) refresh(w asker, sc scope, name secret.Name, h api.Held, r *api.Refreshed) error {
	if _, err := secret.ParseName(string(name)); err != nil {
		return err
	}
	a, d := s.agent, sc.decide(name)
	entry := audit.Entry{Who: w.who(), Op: audit.OpRevoke, Name: name, Verdict: audit.Allowed, Reason: d.Reason}
	gone := func() error {
		entry.Name, entry.Reason = a.harmless(name, "taken from a running kernel: "+entry.Reason)
		r.Gone = append(r.Gone, h.Name)
		return a.note(entry)
	}
	if _, given := w.kernel.given.Load(h.Name); !sc.keep(name) && (!d.Ask || !given) {
		return gone()
	}
	p, err := sc.from(name)
	if err != nil {
		entry.Reason = err.Error()
		return gone()
	}
	value, from := secret.Value{}, ""
	if p == nil {
		value, err = a.values.get(name)
	} else { // as it was served last: providers are asked elsewhere
		value, _ = a.values.servedNow(p.sourceKey(name))
		from = fmt.Sprintf(", from %s", p.source(name, w).Ref)
		if value.Len() == 0 {
			return nil
		}
	}
	if errors.Is(err, &api.Error{Code: api.CodeNotFound}) {
		entry.Reason = "it was removed"
		return gone()
	}
	if err != nil {
		return err
	}
	now := sha256.Sum256(value.Reveal())
	once := d.Grant != nil && d.Grant.Once // is for a get
	if !d.Allow || once || subtle.ConstantTimeCompare(now[:], h.Sum) == 1 {
		value.Wipe()
		return nil
	}
	if r.New == nil {
		r.New = map[string][]byte{}
	}
	r.New[h.Name] = value.Reveal()
	entry.Op, entry.Reason = audit.OpRotate, "a new value for a running kernel: "+d.Reason+from
	return a.note(entry)
}

// AddRule allows or denies one name, as the user says in a terminal.
func (s *session) AddRule(_ context.Context, q api.Rule) (api.Rule, error) {
	op := audit.OpAllow
	if q.Deny {
		op = audit.OpDeny
	}
	w, err := s.owner(op, "")
	if err != nil {
		return api.Rule{}, err
	}
	name, err := secret.ParseName(q.Name)
	if err != nil && (q.Name != "" || q.Profile == "" || q.Deny) {
		return api.Rule{}, err
	}
	if err := noValue(s.agent.values.Find, name); err != nil {
		return api.Rule{}, err
	}
	if q.Notebook, err = notebookPath(q.Notebook); err != nil {
		return api.Rule{}, err
	}
	switch {
	case q.Kernel != 0:
		return api.Rule{}, fail(api.CodeBadInput, "", "only an answer in a kernel grants something to that kernel alone")
	case q.Notebook == "" && !q.Deny:
		return api.Rule{}, fail(api.CodeBadInput, "list the name in "+policy.FileName+", or name a notebook", "a name is allowed for one notebook")
	case q.Once && (q.Deny || q.Name == ""):
		return api.Rule{}, fail(api.CodeBadInput, "", "once is for a grant of one name")
	case !q.Until.IsZero() && !q.Until.After(time.Now()):
		return api.Rule{}, fail(api.CodeBadInput, "", "%s is over", q.Until.Format(time.RFC3339))
	}
	g := policy.Grant{Name: name, Deny: q.Deny, Notebook: q.Notebook, Until: q.Until, Profile: q.Profile, Once: q.Once}
	reason := []string{"all kernels"}
	if g.Notebook != "" {
		reason[0] = g.Notebook
	}
	if g.Profile != "" {
		reason = append(reason, "profile "+g.Profile)
	}
	if g.Once {
		reason = append(reason, "once")
	}
	if !g.Until.IsZero() {
		reason = append(reason, "until "+g.Until.UTC().Format(time.RFC3339))
	}
	a := s.agent
	entry := audit.Entry{Who: w.who(), Op: op, Name: name, Verdict: audit.Allowed, Reason: strings.Join(reason, " ")}
	entry.Name, entry.Reason = a.harmless(name, entry.Reason)
	if err := a.note(entry); err != nil {
		return api.Rule{}, err
	}
	made, err := a.grants.add(g)
	a.epoch.next()
	return ruleOf(made), err
}

// Rules lists what was granted and denied by name and is not over.
func (s *session) Rules(context.Context) ([]api.Rule, error) {
	if _, err := s.owner(audit.OpGet, ""); err != nil {
		return nil, err
	}
	all, err := s.agent.grants.current()
	list := []api.Rule{}
	for _, g := range all {
		if g.Until.IsZero() || g.Until.After(time.Now()) {
			list = append(list, s.agent.shown(g))
		}
	}
	return list, err
}

// Revoke takes grants back, or denials, and returns them.
func (s *session) Revoke(_ context.Context, q api.RevokeRequest) ([]api.Rule, error) {
	w, err := s.owner(audit.OpRevoke, "")
	if err != nil {
		return nil, err
	}
	name, err := secret.ParseName(q.Name)
	if err != nil && (q.Name != "" || q.Profile == "") {
		return nil, err
	}
	if q.Notebook, err = notebookPath(q.Notebook); err != nil {
		return nil, err
	}
	a := s.agent
	list := []api.Rule{}
	_, err = a.grants.remove(func(g policy.Grant) bool {
		shown := a.shown(g)
		gone := g.Name == name && g.Deny == q.Deny && (q.Notebook == "" || q.Notebook == shown.Notebook) &&
			(q.Profile == "" || q.Profile == g.Profile)
		if gone {
			list = append(list, shown)
		}
		return gone
	})
	a.epoch.next()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		what := "granted"
		if q.Deny {
			what = "denied"
		}
		return nil, fail(api.CodeNotFound, "nbhush grants", "nothing was %s for %s", what, cmp.Or(string(name), "the profile "+q.Profile))
	}
	reason := fmt.Sprintf("%d taken back", len(list))
	return list, a.note(audit.Entry{Who: w.who(), Op: audit.OpRevoke, Name: name, Verdict: audit.Allowed, Reason: reason})
}

// shown is ruleOf, with the notebook of the kernel that a grant is for.
func (a *agent) shown(g policy.Grant) api.Rule {
	r := ruleOf(g)
	if g.Kernel != "" {
		r.Notebook = a.kernels.notebook(g.Kernel)
	}
	return r
}

func ruleOf(g policy.Grant) api.Rule {
	pid, _, _ := strings.Cut(g.Kernel, "-")
	n, _ := strconv.Atoi(pid) // 0 where there is no kernel
	return api.Rule{Name: string(g.Name), Deny: g.Deny, Notebook: g.Notebook, Kernel: n, Since: g.Since, Until: g.Until, Profile: g.Profile, Once: g.Once}
}

// notebookPath returns the path in the form in which kernels' notebooks are known.
func notebookPath(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if !filepath.IsAbs(path) {
		return "", fail(api.CodeBadInput, "", "a notebook must be given by its absolute path")
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) { // what was said of it can still be taken back
		return filepath.Clean(path), nil
	}
	return filepath.Join(dir, filepath.Base(path)), err
}
