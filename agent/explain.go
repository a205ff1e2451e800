package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// Explain says what a kernel would be told, by the rules that it would meet: the
// same Decide. It asks no provider and uses up no grant.
func (s *session) Explain(_ context.Context, q api.ExplainRequest) (e api.Explanation, err error) {
	if _, err := s.owner(audit.OpGet, ""); err != nil {
		return e, err
	}
	if !filepath.IsAbs(q.Dir) {
		return e, fail(api.CodeBadInput, "", "a directory must be given by its absolute path")
	}
	name, err := secret.ParseName(q.Name)
	if err != nil && q.Name != "" {
		return e, err
	}
	r, c, err := s.agent.hypothetical(q)
	if err != nil {
		return e, err
	}
	e = api.Explanation{
		Config: r.path, Approved: r.approved(),
		Profile: api.Profile{Profile: c.Profile, By: c.By, Known: r.config.Known()},
	}
	if q.Name == "" {
		return e, nil
	}
	d := r.decide(name)
	e.Name, e.Verdict, e.Reason, e.Mend = q.Name, string(policy.Deny), d.Reason, d.Hint
	switch {
	case d.Allow:
		e.Verdict = string(policy.Allow)
	case d.Ask:
		e.Verdict = string(policy.Ask)
	}
	entry, _ := r.config.In(r.profile, name)
	switch {
	case d.Rule != nil:
		e.Rule = d.Rule.String()
	case d.Grant != nil:
		e.Rule = "nbhush grants"
	case d.Allow:
		e.Rule = fmt.Sprintf("%s:%d", r.path, entry.Line)
	case d.Listed:
		e.Rule = fmt.Sprintf("%s:%d", r.path, r.config.Profiles[r.profile].Line)
	}
	e.From = "store"
	if r.says(name) {
		e.From = entry.From.String()
	}
	e.Stored = s.agent.stored(name)
	locked := s.agent.values.isLocked()
	if locked { // the index has the names
		known, err := s.agent.index.List()
		e.Stored = err == nil && slices.ContainsFunc(known, func(k store.Entry) bool { return k.Name == name })
	}
	if e.Verdict == string(policy.Ask) && !e.Stored && !d.Listed { // the user would not be asked
		e.Verdict, e.Mend = string(policy.Deny), "store it first: nbhush set "+q.Name
	}
	switch {
	case locked:
		e.Reason += "; the agent is locked, and gives nothing"
		e.Mend = hintUnlock
	case d.Allow:
		e.Mend = "keep it from kernels with: nbhush deny --name " + q.Name
	}
	return e, nil
}

// hypothetical returns the rule of a kernel that does not run.
func (a *agent) hypothetical(q api.ExplainRequest) (r rule, c policy.Choice, err error) {
	k := &kernel{info: api.Kernel{Dir: q.Dir, Notebook: q.Notebook, Spec: q.Kernel, Language: q.Language}, dir: realDir(q.Dir)}
	if k.notebook = notebookOf(k.info); k.notebook == "" && q.Notebook != "" {
		return r, c, fail(api.CodeBadInput, "", "%s is not the folder of %s", q.Dir, q.Notebook)
	}
	r.kernel = k
	if r.project, err = a.projects.of(k.dir); err == nil {
		r.project, err = a.projects.guarded(k.dir, r.project)
	}
	if err != nil {
		return r, c, badInput(err)
	}
	if r.grants, err = a.grants.current(); err != nil {
		return r, c, err
	}
	if r.own, err = a.own.current(); err != nil {
		return r, c, err
	}
	c, err = choose(r.project, policy.Wanted{Flag: q.Profile, Env: q.Env}, k.notebook)
	var unknown *policy.UnknownProfileError
	if errors.As(err, &unknown) {
		return r, c, badInput(err)
	}
	if r.approved() {
		r.profile = c.Profile
	}
	return r, c, err
}
