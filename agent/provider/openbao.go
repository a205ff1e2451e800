package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// openbao speaks the HTTP API of OpenBao and HashiCorp Vault: KV version 1 and 2,
// and every engine that answers a GET with fields, such as database/creds/ROLE.
//
// Settings: address, ca, namespace, timeout; auth is token (the default, with
// the setting token or else the file ~/.vault-token), approle (role_id,
// secret_id), userpass or ldap (username, password), kubernetes or jwt (role, and
// the file jwt); auth_mount where it is mounted under another name. The option
// version of a reference is that of KV 2.
type openbao struct {
	mu     sync.Mutex
	tokens map[string]token // by settings
	mounts map[string]mount // by settings and first part of the path
}

type token struct {
	value secret.Value
	ends  time.Time // zero: unknown
}

type mount struct {
	path string
	kv2  bool
}

// reply is the common form of all answers. Its raw parts are values.
type reply struct {
	LeaseID       string                     `json:"lease_id"`
	LeaseDuration int                        `json:"lease_duration"`
	Renewable     bool                       `json:"renewable"`
	Data          map[string]json.RawMessage `json:"data"`
	Auth          *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int    `json:"lease_duration"`
	} `json:"auth"`
}

func (p *openbao) Read(ctx context.Context, q Query) (Document, error) {
	e, err := newEndpoint(q, firstOf(os.Getenv("BAO_ADDR"), os.Getenv("VAULT_ADDR")))
	if err != nil {
		return Document{}, err
	}
	doc, err := p.read(ctx, e, q)
	if is(err, Denied) && p.forget(q) { // a token that we had from a login may have ended
		doc, err = p.read(ctx, e, q)
	}
	return doc, err
}

func (p *openbao) read(ctx context.Context, e *endpoint, q Query) (Document, error) {
	header, err := p.header(ctx, e, q)
	if err != nil {
		return Document{}, err
	}
	m, err := p.mount(ctx, e, q, header)
	if err != nil {
		return Document{}, err
	}
	paths, query := []string{strings.Trim(q.Ref.Path, "/")}, ""
	if m.kv2 {
		name := strings.TrimPrefix(paths[0], m.path)
		paths[0] = m.path + "data/" + name
		if strings.HasPrefix(name, "data/") { // or it is the path of the API already
			paths = append(paths, m.path+name)
		}
		if v := q.Ref.Option("version"); v != "" {
			query = url.Values{"version": {v}}.Encode()
		}
	}
	var r reply
	for _, path := range paths {
		if _, err = e.do(ctx, http.MethodGet, "/v1/"+path, query, header, nil, &r); !is(err, Missing) && !is(err, Denied) {
			break
		}
	}
	if err != nil {
		return Document{}, p.explain(err, q)
	}
	fields := r.Data
	if m.kv2 {
		var inner map[string]json.RawMessage
		if err := json.Unmarshal(r.Data["data"], &inner); err != nil {
			return Document{}, fail(Malformed, "", "its answer is not what its API describes")
		}
		fields = inner
	}
	doc := Document{Fields: textFields(fields)}
	if r.LeaseID != "" {
		doc.Lease = Lease{r.LeaseID, time.Duration(min(r.LeaseDuration, 1<<25)) * time.Second, r.Renewable}
	}
	return doc, nil
}

func (p *openbao) explain(err error, q Query) error {
	if e, ok := err.(*Error); ok && e.Kind == Denied { //nolint:errorlint // ours, unwrapped
		e.What = "permission denied, or there is no such path"
		e.Mend = "log in again (bao login), or see what the token may do: bao token capabilities " + strings.Trim(q.Ref.Path, "/")
	}
	return err
}

// Renew makes a lease longer, by as much as it was.
func (p *openbao) Renew(ctx context.Context, q Query, l Lease) (Lease, error) {
	e, err := newEndpoint(q, firstOf(os.Getenv("BAO_ADDR"), os.Getenv("VAULT_ADDR")))
	if err != nil {
		return l, err
	}
	header, err := p.header(ctx, e, q)
	if err != nil {
		return l, err
	}
	body, err := json.Marshal(map[string]any{"lease_id": l.ID, "increment": int(l.For.Seconds())})
	if err != nil {
		return l, err
	}
	var r reply
	if _, err := e.do(ctx, http.MethodPut, "/v1/sys/leases/renew", "", header, body, &r); err != nil {
		return l, err
	}
	return Lease{l.ID, time.Duration(min(r.LeaseDuration, 1<<25)) * time.Second, r.Renewable}, nil
}

// Revoke gives a lease back: what it was for works no more.
func (p *openbao) Revoke(ctx context.Context, q Query, l Lease) error {
	e, err := newEndpoint(q, firstOf(os.Getenv("BAO_ADDR"), os.Getenv("VAULT_ADDR")))
	if err != nil {
		return err
	}
	header, err := p.header(ctx, e, q)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"lease_id": l.ID})
	if err != nil {
		return err
	}
	_, err = e.do(ctx, http.MethodPut, "/v1/sys/leases/revoke", "", header, body, nil)
	return err
}

// mount finds which engine the path belongs to, which any token may ask that may
// read there. Where the server does not say, the path is taken as it is.
func (p *openbao) mount(ctx context.Context, e *endpoint, q Query, header http.Header) (mount, error) {
	path := strings.Trim(q.Ref.Path, "/")
	key := sessionKey(q) + "\x00" + path
	p.mu.Lock()
	m, ok := p.mounts[key]
	p.mu.Unlock()
	if ok {
		return m, nil
	}
	var r struct {
		Data struct {
			Path    string            `json:"path"`
			Type    string            `json:"type"`
			Options map[string]string `json:"options"`
		} `json:"data"`
	}
	status, err := e.do(ctx, http.MethodGet, "/v1/sys/internal/ui/mounts/"+path, "", header, nil, &r)
	switch {
	case status == http.StatusNotFound || status == http.StatusBadRequest:
		return mount{}, nil
	case err != nil:
		return mount{}, p.explain(err, q)
	}
	m = mount{r.Data.Path, r.Data.Type == "kv" && r.Data.Options["version"] == "2"}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mounts == nil || len(p.mounts) >= maxEntries {
		p.mounts = map[string]mount{}
	}
	p.mounts[key] = m
	return m, nil
}

// header has the token and the namespace.
func (p *openbao) header(ctx context.Context, e *endpoint, q Query) (http.Header, error) {
	h := http.Header{"X-Vault-Request": {"true"}}
	if ns := firstOf(q.Setting("namespace"), os.Getenv("BAO_NAMESPACE"), os.Getenv("VAULT_NAMESPACE")); ns != "" {
		h["X-Vault-Namespace"] = []string{ns}
	}
	t, err := p.token(ctx, e, q, h)
	if err != nil {
		return nil, err
	}
	defer t.Wipe()
	h["X-Vault-Token"] = []string{strings.TrimSpace(string(t.Reveal()))}
	return h, nil
}

// token returns a token, which the caller wipes.
func (p *openbao) token(ctx context.Context, e *endpoint, q Query, h http.Header) (secret.Value, error) {
	if auth := q.Settings["auth"]; auth == "" || auth == "token" {
		return userToken(ctx, q)
	}
	key := sessionKey(q)
	p.mu.Lock()
	t, ok := p.tokens[key]
	if ok && (t.ends.IsZero() || time.Now().Before(t.ends)) {
		defer p.mu.Unlock()
		return t.value.Clone(), nil
	}
	p.mu.Unlock()
	path, body, err := loginBody(ctx, q)
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(body)
	var r reply
	status, err := e.do(ctx, http.MethodPost, "/v1/auth/"+path, "", h, body, &r)
	if status == http.StatusBadRequest || status == http.StatusNotFound || is(err, Denied) {
		return secret.Value{}, fail(Denied, "check the credentials in [providers."+q.Ref.Scheme+"]", "the login by %s was refused", q.Settings["auth"])
	}
	if err != nil {
		return secret.Value{}, err
	}
	if r.Auth == nil || r.Auth.ClientToken == "" {
		return secret.Value{}, fail(Malformed, "", "its answer is not what its API describes")
	}
	t = token{value: secret.New([]byte(r.Auth.ClientToken))}
	if r.Auth.LeaseDuration > 0 {
		t.ends = time.Now().Add(time.Duration(r.Auth.LeaseDuration) * time.Second * 9 / 10)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil {
		p.tokens = map[string]token{}
	}
	p.tokens[key].value.Wipe()
	p.tokens[key] = t
	return t.value.Clone(), nil
}

// loginBody returns what logs in, and where.
func loginBody(ctx context.Context, q Query) (path string, body []byte, err error) {
	auth := q.Settings["auth"]
	at := firstOf(q.Settings["auth_mount"], auth)
	fields := map[string]string{}
	switch auth {
	case "approle":
		path = at + "/login"
		fields["role_id"] = q.Settings["role_id"]
		err = logins(ctx, q, fields, "secret_id")
	case "userpass", "ldap":
		path = at + "/login/" + q.Settings["username"]
		err = logins(ctx, q, fields, "password")
	case "kubernetes", "jwt":
		path = at + "/login"
		fields["role"] = q.Settings["role"]
		var b []byte
		file := firstOf(q.Settings["jwt"], "/var/run/secrets/kubernetes.io/serviceaccount/token")
		if b, err = readFile(q.file(file)); err != nil {
			return "", nil, fail(Setup, "name the file that holds it in [providers."+q.Ref.Scheme+"]: jwt = \"PATH\"", "the token for the login by %s cannot be read", auth)
		}
		fields["jwt"] = strings.TrimSpace(string(b))
		clear(b)
	default:
		return "", nil, fail(Setup, "auth is token, approle, userpass, ldap, kubernetes or jwt", "its setting auth is not known")
	}
	if err != nil {
		return "", nil, err
	}
	body, err = json.Marshal(fields)
	return path, body, err
}

func logins(ctx context.Context, q Query, fields map[string]string, keys ...string) error {
	for _, key := range keys {
		v, err := q.Login(ctx, key)
		if err != nil {
			return err
		}
		if v.Len() == 0 {
			return fail(Setup, "add to [providers."+q.Ref.Scheme+"]: "+key+" = \"store://NAME\"", "the credential %s is missing", key)
		}
		fields[key] = string(oneLine(v.Reveal())) // a file's last newline; blanks may belong to it
		v.Wipe()
	}
	return nil
}

// userToken is the token of the settings, or the one that bao login left.
func userToken(ctx context.Context, q Query) (secret.Value, error) {
	t, err := q.Login(ctx, "token")
	if err != nil || t.Len() > 0 {
		return t, err
	}
	b, err := readFile(filepath.Join(homeDir(), ".vault-token"))
	if err != nil {
		return t, fail(Denied, "run: bao login, or keep a token in the store and name it: token = \"store://NAME\"", "nobody is logged in")
	}
	return secret.New(b), nil
}

// forget drops the token of a login, and reports whether there was one.
func (p *openbao) forget(q Query) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := sessionKey(q)
	t, ok := p.tokens[key]
	t.value.Wipe()
	delete(p.tokens, key)
	return ok
}

// stop wipes the tokens.
func (p *openbao) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tokens {
		t.value.Wipe()
	}
	p.tokens, p.mounts = nil, nil
}

// sessionKey is the same for all questions that one login serves.
func sessionKey(q Query) string {
	return keyOf(known{}, Query{Settings: q.Settings, Dir: q.Dir}) + "\x00" + q.Setting("namespace")
}

// textFields returns fields as values: a string is its text, anything else its JSON.
func textFields(raw map[string]json.RawMessage) map[string]secret.Value {
	fields := make(map[string]secret.Value, len(raw))
	for key, b := range raw {
		var text string
		switch {
		case string(b) == "null":
		case json.Unmarshal(b, &text) == nil:
			fields[key] = secret.New([]byte(text))
		default:
			fields[key] = secret.New(append([]byte(nil), b...))
		}
	}
	return fields
}

func is(err error, kind Kind) bool {
	e, ok := err.(*Error) //nolint:errorlint // ours, unwrapped
	return ok && e.Kind == kind
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
