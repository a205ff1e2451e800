package agent

import (
	"context"
	"net/http"
	"path/filepath"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/secret"
)

func postRotate(s *session, r *http.Request) (any, error) {
	var q api.RotateRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.RotateFrom(r.Context(), secret.Name(r.PathValue("name")), q)
}

// RotateFrom gives name the value that a provider has now. It does not leave
// the agent.
func (s *session) RotateFrom(ctx context.Context, name secret.Name, q api.RotateRequest) (api.SetResult, error) {
	w, err := s.owner(audit.OpSet, name)
	if err != nil {
		return api.SetResult{}, err
	}
	if _, err := secret.ParseName(string(name)); err != nil {
		return api.SetResult{}, err
	}
	from, err := secret.ParseRef(q.From)
	if err != nil {
		return api.SetResult{}, badInput(err)
	}
	a := s.agent
	if a.values.isLocked() {
		return api.SetResult{}, errLocked
	}
	settings, err := a.providersOf(q.Dir, from)
	if err != nil {
		return api.SetResult{}, err
	}
	got, err := a.providers.Get(ctx, provider.Source{Name: name, Ref: from, Fresh: true, Dir: q.Dir, Providers: settings, Env: w.environment()})
	if err != nil {
		return api.SetResult{}, providerError(name, policy.Secret{From: from}, err)
	}
	defer got.Value.Wipe()
	return s.set(w, name, got.Value, q.Expires, "from "+from.String())
}

// providersOf returns the settings for references that the owner gives in dir.
// What a file says of the provider that he means counts only if he approved it:
// it says where his credentials go.
func (a *agent) providersOf(dir string, ref secret.Ref) (map[string]map[string]string, error) {
	if !filepath.IsAbs(dir) {
		return nil, fail(api.CodeBadInput, "", "a directory must be given by its absolute path")
	}
	p, err := a.projects.of(dir)
	if err != nil {
		return nil, badInput(err)
	}
	if p.config == nil || p.config.Providers[ref.Scheme] == nil {
		return nil, nil
	}
	if p.approval == nil || p.approval.Hash != p.hash {
		return nil, fail(api.CodeDenied, "look at it, then run in its folder: nbhush allow",
			"%s has settings for %s, and is not approved", p.path, ref.Scheme)
	}
	return p.config.Providers, nil
}
