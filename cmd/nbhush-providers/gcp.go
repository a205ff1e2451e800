package main

import (
	"context"
	"encoding/json"
	"hash/crc32"
	"io"
	stdnet "net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/nbhush/nbhush/agent/provider"
)

// gcp reads gcp://PROJECT/SECRET?version=… through the REST API of Secret Manager,
// version 1. Who asks is found by Google's own library: application default
// credentials, workload identity, the metadata server; the setting credentials
// names the file of a service account instead.
type gcp struct{ net net }

const gcpScope = "https://www.googleapis.com/auth/cloud-platform"

func (p gcp) Read(ctx context.Context, q provider.Query) (provider.Document, error) {
	project, name, ok := strings.Cut(q.Ref.Path, "/")
	if !ok || strings.Contains(name, "/") {
		return provider.Document{}, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	base, err := address(q)
	if err != nil {
		return provider.Document{}, err
	}
	if base == "" {
		base = "https://secretmanager.googleapis.com"
	}
	client, err := p.net.client(file(q, q.Settings["ca"]))
	if err != nil {
		return provider.Document{}, err
	}
	version := q.Ref.Option("version")
	if version == "" {
		version = "latest"
	}
	place := base + "/v1/projects/" + url.PathEscape(project) + "/secrets/" + url.PathEscape(name) + "/versions/" + url.PathEscape(version) + ":access"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return provider.Document{}, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	if err := p.sign(ctx, q, client, req); err != nil {
		return provider.Document{}, err
	}
	return accessed(ctx, client, req)
}

// sign adds the token. Without one only a server of this machine is asked.
func (p gcp) sign(ctx context.Context, q provider.Query, client *http.Client, req *http.Request) error {
	if q.Settings["auth"] == "none" {
		if ip := stdnet.ParseIP(req.URL.Hostname()); ip == nil || !ip.IsLoopback() {
			return provider.Failure(provider.Setup, provider.ReasonSetting)
		}
		return nil
	}
	login, last := loginClient(client)
	source, err := p.credentials(context.WithValue(ctx, oauth2.HTTPClient, login), q)
	if err != nil {
		return err
	}
	token, err := source.Token()
	if err != nil {
		return last.explain(ctx)
	}
	token.SetAuthHeader(req)
	return nil
}

func (p gcp) credentials(ctx context.Context, q provider.Query) (oauth2.TokenSource, error) {
	path := q.Settings["credentials"]
	if path == "" {
		c, err := google.FindDefaultCredentials(ctx, gcpScope)
		if err != nil {
			return nil, provider.Failure(provider.Denied, provider.ReasonLogin)
		}
		return c.TokenSource, nil
	}
	b, err := os.ReadFile(file(q, path))
	if err != nil {
		return nil, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	defer clear(b)
	// Other types may name servers to send tokens to, and a project's file is not to choose them.
	c, err := google.CredentialsFromJSONWithType(ctx, b, google.ServiceAccount, gcpScope)
	if err != nil {
		return nil, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	return c.TokenSource, nil
}

// accessed sends the request and reads its answer.
func accessed(ctx context.Context, client *http.Client, req *http.Request) (provider.Document, error) {
	resp, err := client.Do(req)
	if err != nil {
		if e := network(ctx, err); e != nil {
			return provider.Document{}, e
		}
		return provider.Document{}, provider.Failure(provider.Unreachable, provider.ReasonNone)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return provider.Document{}, status(resp.StatusCode, resp.Header)
	}
	b, err := io.ReadAll(resp.Body)
	defer clear(b)
	if err != nil {
		if e := network(ctx, err); e != nil {
			return provider.Document{}, e
		}
		return provider.Document{}, provider.Failure(provider.Malformed, provider.ReasonHalf)
	}
	var out struct {
		Payload struct {
			Data []byte `json:"data"`
			CRC  string `json:"dataCrc32c"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(b, &out); err != nil || out.Payload.Data == nil {
		return provider.Document{}, provider.Failure(provider.Malformed, provider.ReasonNone)
	}
	if sum := crc32.Checksum(out.Payload.Data, crc32.MakeTable(crc32.Castagnoli)); out.Payload.CRC != "" && out.Payload.CRC != strconv.FormatUint(uint64(sum), 10) {
		return provider.Document{}, provider.Failure(provider.Malformed, provider.ReasonHalf)
	}
	return provider.TextDocument(out.Payload.Data), nil
}
