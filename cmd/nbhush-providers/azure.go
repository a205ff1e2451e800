package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/nbhush/nbhush/agent/provider"
)

// azure reads azure://VAULT/SECRET[/VERSION] of Key Vault. Who asks is found by the
// SDK's own chain: workload identity, managed identity, az login; the settings
// tenant_id, client_id and client_secret come first. The setting address is for
// another cloud than the public one: https://VAULT.vault.azure.cn.
type azure struct{ net net }

func (p azure) Read(ctx context.Context, q provider.Query) (provider.Document, error) {
	parts := strings.Split(q.Ref.Path, "/")
	if len(parts) < 2 || len(parts) > 3 || strings.Trim(strings.ToLower(parts[0]), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return provider.Document{}, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	version := ""
	if len(parts) == 3 {
		version = parts[2]
	}
	place, err := address(q)
	if err != nil {
		return provider.Document{}, err
	}
	if place == "" {
		place = "https://" + parts[0] + ".vault.azure.net"
	}
	client, err := p.net.client(file(q, q.Settings["ca"]))
	if err != nil {
		return provider.Document{}, err
	}
	options := policy.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}} // the agent decides when to ask again
	last := &lastAnswer{}
	login := policy.ClientOptions{Transport: client, Retry: options.Retry, PerRetryPolicies: []policy.Policy{azureLogin{last}}}
	if os.Getenv("IDENTITY_SERVER_THUMBPRINT") != "" {
		// Service Fabric: the SDK pins the certificate of a server of the cluster, and can do
		// that with a transport of the standard library alone.
		tr, err := p.net.cappedTransport("")
		if err != nil {
			return provider.Document{}, err
		}
		login.Transport = &http.Client{Transport: tr, CheckRedirect: noRedirect}
	}
	who, err := p.credential(ctx, q, login)
	if err != nil {
		return provider.Document{}, err
	}
	vault, err := azsecrets.NewClient(place, who, &azsecrets.ClientOptions{ClientOptions: options})
	if err != nil {
		return provider.Document{}, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	out, err := vault.GetSecret(ctx, parts[1], version, nil)
	if err != nil {
		return provider.Document{}, azureError(ctx, err, last)
	}
	if out.Value == nil {
		return provider.Document{}, provider.Failure(provider.Malformed, provider.ReasonNone)
	}
	return provider.TextDocument([]byte(*out.Value)), nil
}

// azureLogin notes how a login goes.
type azureLogin struct{ last *lastAnswer }

func (l azureLogin) Do(req *policy.Request) (*http.Response, error) { return l.last.note(req.Next()) }

func (p azure) credential(ctx context.Context, q provider.Query, options policy.ClientOptions) (azcore.TokenCredential, error) {
	v, err := q.Login(ctx, "client_secret")
	if err != nil {
		return nil, err
	}
	defer v.Wipe()
	var who azcore.TokenCredential
	if v.Len() > 0 {
		who, err = azidentity.NewClientSecretCredential(q.Settings["tenant_id"], q.Settings["client_id"], string(v.Reveal()),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options})
	} else {
		who, err = azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{ClientOptions: options, TenantID: q.Settings["tenant_id"]})
	}
	if err != nil {
		return nil, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	return who, nil
}

func azureError(ctx context.Context, err error, last *lastAnswer) error {
	var login *azidentity.AuthenticationFailedError
	var resp *azcore.ResponseError
	if e := network(ctx, err); e != nil {
		return e
	}
	switch {
	case errors.As(err, &login) && (login.RawResponse != nil || last.err != nil):
		return last.explain(ctx)
	case errors.As(err, &login):
		return provider.Failure(provider.Denied, provider.ReasonLogin)
	case errors.As(err, &resp) && resp.StatusCode/100 != 2:
		h := http.Header{}
		if resp.RawResponse != nil {
			h = resp.RawResponse.Header
		}
		return status(resp.StatusCode, h)
	case strings.Contains(err.Error(), "DefaultAzureCredential"):
		return provider.Failure(provider.Denied, provider.ReasonLogin)
	}
	return provider.Failure(provider.Malformed, provider.ReasonNone)
}
