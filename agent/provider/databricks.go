package provider

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"gopkg.in/ini.v1"

	"github.com/nbhush/nbhush/agent/secret"
)

// databricks reads databricks://SCOPE/KEY through the REST API 2.0, with the
// address and token of the settings, or else of a profile in ~/.databrickscfg.
type databricks struct{}

func (p databricks) Read(ctx context.Context, q Query) (Document, error) {
	scope, key, ok := strings.Cut(q.Ref.Path, "/")
	if !ok {
		return Document{}, fail(Setup, "write it as databricks://SCOPE/KEY", "the reference has no key")
	}
	t, err := q.Login(ctx, "token")
	if err != nil {
		return Document{}, err
	}
	defer func() { t.Wipe() }()
	host := ""
	if t.Len() == 0 {
		if host, t, err = databricksProfile(q); err != nil {
			return Document{}, err
		}
	}
	e, err := newEndpoint(q, host)
	if err != nil {
		return Document{}, err
	}
	var r struct {
		Value string `json:"value"` // base64
	}
	header := http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(t.Reveal()))}}
	query := url.Values{"scope": {scope}, "key": {key}}.Encode()
	if _, err := e.do(ctx, http.MethodGet, "/api/2.0/secrets/get", query, header, nil, &r); err != nil {
		return Document{}, err
	}
	b, err := base64.StdEncoding.DecodeString(r.Value)
	if err != nil {
		return Document{}, Failure(Malformed, ReasonNone)
	}
	return Document{Value: secret.New(b)}, nil
}

// databricksProfile reads what the databricks program keeps. Its token is for its
// own host only.
func databricksProfile(q Query) (host string, t secret.Value, err error) {
	path := firstOf(q.Settings["file"], "~/.databrickscfg")
	mend := "run: databricks configure, or set address and token in [providers.databricks]"
	b, err := readFile(q.file(path))
	if err != nil {
		return "", t, fail(Denied, mend, "nobody is logged in: %s cannot be read", path)
	}
	defer clear(b)
	f, err := ini.Load(b)
	if err != nil {
		return "", t, notA("an INI file")
	}
	s := f.Section(firstOf(q.Setting("profile"), ini.DefaultSection))
	host = s.Key("host").String()
	if address := q.Settings["address"]; address != "" && strings.TrimSuffix(address, "/") != strings.TrimSuffix(host, "/") {
		return "", t, fail(Denied, mend, "the profile in %s is of another address", path)
	}
	if s.Key("token").String() == "" {
		return "", t, fail(Denied, mend, "the profile in %s has no token", path)
	}
	return host, secret.New([]byte(s.Key("token").String())), nil
}
