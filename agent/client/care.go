package client

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// SetUntil is Set of a value that expires then, or never where that is zero.
func (c *Client) SetUntil(ctx context.Context, name secret.Name, value secret.Value, expires time.Time) (res api.SetResult, err error) {
	if expires.IsZero() {
		return c.Set(ctx, name, value)
	}
	if _, err := secret.ParseName(string(name)); err != nil {
		return res, badInput(err)
	}
	path := "/v1/secrets/" + string(name) + "?expires=" + url.QueryEscape(expires.UTC().Format(time.RFC3339))
	return res, c.do(ctx, "PUT", path, value.Reveal(), &res)
}

// History returns when name had which version, never a value.
func (c *Client) History(ctx context.Context, name secret.Name) (list []api.VersionInfo, err error) {
	return list, c.do(ctx, "GET", "/v1/secrets/"+url.PathEscape(string(name))+"/history", nil, &list)
}

// Restore makes the version since then the current one, or the one before the
// current one where since is zero.
func (c *Client) Restore(ctx context.Context, name secret.Name, since time.Time) (res api.SetResult, err error) {
	return res, c.doOnce(ctx, "POST", "/v1/secrets/"+url.PathEscape(string(name))+"/restore", api.RestoreRequest{Since: since}, &res)
}

// RotateFrom gives name the value that a provider has now, which only the agent
// gets to see.
func (c *Client) RotateFrom(ctx context.Context, name secret.Name, q api.RotateRequest) (res api.SetResult, err error) {
	return res, c.doOnce(ctx, "POST", "/v1/secrets/"+url.PathEscape(string(name))+"/rotate", q, &res)
}

// Forget wipes the former values of name.
func (c *Client) Forget(ctx context.Context, name secret.Name) error {
	var was api.Secret
	return c.do(ctx, "POST", "/v1/secrets/"+url.PathEscape(string(name))+"/forget", nil, &was)
}

// Passphrase changes what wraps the vault's key. Both stay the caller's.
func (c *Client) Passphrase(ctx context.Context, old, new []byte) (st api.Status, err error) {
	return st, c.doOnce(ctx, "POST", "/v1/vault/passphrase", api.PassphraseRequest{Old: old, New: new}, &st)
}

// Rollback puts damaged files of the store back to their previous generation.
func (c *Client) Rollback(ctx context.Context) (res api.Rollback, err error) {
	return res, c.do(ctx, "POST", "/v1/vault/rollback", nil, &res)
}

// Sync merges with an encrypted file, as q says.
func (c *Client) Sync(ctx context.Context, q api.SyncRequest) (res api.SyncResult, err error) {
	return res, c.do(ctx, "POST", "/v1/sync", q, &res)
}

// AuditHead returns what the agent remembers of the end of the audit log.
func (c *Client) AuditHead(ctx context.Context) (h api.AuditHead, err error) {
	return h, c.do(ctx, "GET", "/v1/audit/head", nil, &h)
}

// AcceptAudit makes the agent remember the end of the audit log as it is.
func (c *Client) AcceptAudit(ctx context.Context) (h api.AuditHead, err error) {
	return h, c.do(ctx, "POST", "/v1/audit/accept", nil, &h)
}

// Found tells the agent of secrets that are where none should be. It waits for no
// answer: a process that ends then has told it all the same.
func (s *Stream) Found(ctx context.Context, all []api.Found) error {
	out, err := json.Marshal(all)
	if err != nil {
		return err
	}
	l, err := s.connect(ctx)
	if err != nil {
		return err
	}
	return l.write(ctx, &call{done: make(chan struct{})}, api.OpFound, out)
}

// Found tells the agent of a secret that is where none should be.
func (c *Client) Found(ctx context.Context, q api.Found) error {
	var none struct{}
	return c.ask(ctx, "POST", "/v1/found", q, &none)
}

// Move carries the secrets to the other kind of store. The agent that did it has
// ended when Move returns nil.
func (c *Client) Move(ctx context.Context, to string) (st api.Status, err error) {
	if err := c.do(ctx, "POST", "/v1/store/move", api.MoveRequest{To: to}, &st); err != nil {
		return st, err
	}
	c.Close()
	c.waitGone(ctx)
	return st, nil
}
