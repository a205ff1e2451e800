package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/nbhush/nbhush/agent/provider"
)

// aws reads aws-sm://NAME-OR-ARN?version=…&stage=…#field of Secrets Manager and
// aws-ssm://NAME?version=… of Parameter Store. Who asks is found by the SDK's own
// chain: profiles, SSO, web identity, container and instance roles; settings
// region, profile, access_key_id with secret_access_key, address and ca come first.
type aws struct {
	net  net
	ca   string // AWS_CA_BUNDLE, where the settings have no ca
	read func(context.Context, sdk.Config, provider.Query) (provider.Document, error)

	mu      sync.Mutex
	configs map[string]sdk.Config // so that credentials are kept while they last
}

func (p *aws) Read(ctx context.Context, q provider.Query) (provider.Document, error) {
	key := q.Setting("profile") + "\x00" + q.Setting("region") + "\x00" + q.Settings["address"] + "\x00" + file(q, q.Settings["ca"])
	cfg, err := p.config(ctx, q, key)
	if err != nil {
		return provider.Document{}, err
	}
	doc, err := p.ask(ctx, cfg, q)
	var e *provider.Error
	if errors.As(err, &e) && e.Kind == provider.Denied { // who logs in again writes files that cfg has read already
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.configs, key)
	}
	return doc, err
}

func (p *aws) ask(ctx context.Context, cfg sdk.Config, q provider.Query) (provider.Document, error) {
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil { // it keeps them while they last
		return provider.Document{}, loginError(ctx, err)
	}
	doc, err := p.read(ctx, cfg, q)
	if err != nil {
		return doc, awsError(ctx, err)
	}
	return doc, nil
}

// config makes a configuration or takes the one of key. Those with an access key
// of the settings are not kept.
func (p *aws) config(ctx context.Context, q provider.Query, key string) (sdk.Config, error) {
	id := q.Settings["access_key_id"]
	p.mu.Lock()
	cfg, ok := p.configs[key]
	p.mu.Unlock()
	if ok && id == "" {
		return cfg, nil
	}
	ca := cmp.Or(file(q, q.Settings["ca"]), p.ca)
	client, err := p.net.client(ca)
	if err != nil {
		return cfg, err
	}
	endpoint, err := address(q)
	if err != nil {
		return cfg, err
	}
	options := []func(*config.LoadOptions) error{config.WithRetryMaxAttempts(2)}
	if v := q.Setting("profile"); v != "" {
		options = append(options, config.WithSharedConfigProfile(v))
	}
	if v := q.Setting("region"); v != "" {
		options = append(options, config.WithRegion(v))
	}
	if id != "" {
		v, err := q.Login(ctx, "secret_access_key")
		if err != nil {
			return cfg, err
		}
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, string(v.Reveal()), "")))
		v.Wipe()
	}
	cfg, err = config.LoadDefaultConfig(ctx, append(options, config.WithHTTPClient(client))...)
	if err != nil { // perhaps the profile has a ca_bundle
		own, e := p.net.awsClient(ca)
		if e != nil {
			return cfg, e
		}
		cfg, err = config.LoadDefaultConfig(ctx, append(options, config.WithHTTPClient(own))...)
	}
	if err != nil {
		return cfg, provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	if cfg.Region == "" {
		return cfg, provider.Failure(provider.Setup, provider.ReasonRegion)
	}
	if endpoint != "" { // not before: tokens of a login go to the servers of logins
		cfg.BaseEndpoint = &endpoint
	}
	if id == "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.configs == nil || len(p.configs) > 100 {
			p.configs = map[string]sdk.Config{}
		}
		p.configs[key] = cfg
	}
	return cfg, nil
}

// awsClient is client as the SDK has it: to no other does it give the ca_bundle of a profile.
func (n net) awsClient(ca string) (*awshttp.BuildableClient, error) {
	own, err := n.cappedTransport(ca)
	if err != nil {
		return nil, err
	}
	return awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext, tr.DisableKeepAlives, tr.ForceAttemptHTTP2 = own.DialContext, own.DisableKeepAlives, own.ForceAttemptHTTP2
		tr.TLSClientConfig, tr.MaxResponseHeaderBytes = own.TLSClientConfig, own.MaxResponseHeaderBytes
		tr.Proxy = func(r *http.Request) (*url.URL, error) {
			if r.Response != nil { // some of which the SDK's client follows, with the headers of a login
				return nil, errRedirect
			}
			return own.Proxy(r)
		}
	}), nil
}

func readSecret(ctx context.Context, cfg sdk.Config, q provider.Query) (provider.Document, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &q.Ref.Path}
	if v := q.Ref.Option("version"); v != "" {
		in.VersionId = &v
	}
	if v := q.Ref.Option("stage"); v != "" {
		in.VersionStage = &v
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, in)
	if err != nil {
		return provider.Document{}, err
	}
	if out.SecretString != nil {
		return provider.TextDocument([]byte(*out.SecretString)), nil
	}
	return provider.TextDocument(out.SecretBinary), nil
}

func readParameter(ctx context.Context, cfg sdk.Config, q provider.Query) (provider.Document, error) {
	name := q.Ref.Path
	if v := q.Ref.Option("version"); v != "" {
		name += ":" + v
	}
	out, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: sdk.Bool(true)})
	if err != nil {
		return provider.Document{}, err
	}
	if out.Parameter == nil || out.Parameter.Value == nil {
		return provider.Document{}, provider.Failure(provider.Malformed, provider.ReasonNone)
	}
	return provider.TextDocument([]byte(*out.Parameter.Value)), nil
}

// awsKinds are the codes of the APIs' errors.
var awsKinds = map[string]provider.Kind{
	"ResourceNotFoundException":     provider.Missing,
	"ParameterNotFound":             provider.Missing,
	"ParameterVersionNotFound":      provider.Missing,
	"AccessDeniedException":         provider.Denied,
	"UnrecognizedClientException":   provider.Denied,
	"InvalidSignatureException":     provider.Denied,
	"ExpiredTokenException":         provider.Denied,
	"InvalidClientTokenId":          provider.Denied,
	"IncompleteSignature":           provider.Denied,
	"DecryptionFailure":             provider.Denied,
	"ThrottlingException":           provider.Throttled,
	"TooManyRequestsException":      provider.Throttled,
	"InternalServiceError":          provider.Failed,
	"InternalServerError":           provider.Failed,
	"ValidationException":           provider.Setup,
	"InvalidParameterException":     provider.Setup,
	"InvalidRequestException":       provider.Missing, // it is marked for deletion
	"MissingAuthenticationToken":    provider.Denied,
	"AccessDenied":                  provider.Denied,
	"NotAuthorized":                 provider.Denied,
	"InvalidKeyId":                  provider.Denied,
	"MalformedPolicyDocument":       provider.Denied,
	"RequestLimitExceeded":          provider.Throttled,
	"Throttling":                    provider.Throttled,
	"ServiceUnavailable":            provider.Failed,
	"IDPCommunicationError":         provider.Failed, // of STS, which comes with status 400
	"MissingAuthenticationTokenExc": provider.Denied,
}

// loginError says why there are no credentials.
func loginError(ctx context.Context, err error) error {
	var op *smithy.OperationError
	for e := err; errors.As(e, &op); e = op.Err {
		if op.ServiceID == "ec2imds" { // asked where nothing is set up, and this machine may have none
			return provider.Failure(provider.Denied, provider.ReasonLogin)
		}
	}
	if e := network(ctx, err); e != nil {
		return e
	}
	var api smithy.APIError
	var answer interface{ HTTPStatusCode() int }
	var half *smithy.DeserializationError
	switch {
	case errors.As(err, &api) && (awsKinds[api.ErrorCode()] == provider.Throttled || awsKinds[api.ErrorCode()] == provider.Failed):
		return provider.Failure(awsKinds[api.ErrorCode()], provider.ReasonNone)
	case errors.As(err, &answer) && answer.HTTPStatusCode()/100 == 4 && answer.HTTPStatusCode() != http.StatusTooManyRequests:
		return provider.Failure(provider.Denied, provider.ReasonRefused)
	case errors.As(err, &answer) && answer.HTTPStatusCode()/100 != 2:
		return status(answer.HTTPStatusCode(), nil)
	case errors.As(err, &half):
		return provider.Failure(provider.Malformed, provider.ReasonHalf)
	}
	return provider.Failure(provider.Denied, provider.ReasonLogin) // a file is missing or too old, or a program failed
}

// awsError turns err into one of our own words.
func awsError(ctx context.Context, err error) error {
	var ours *provider.Error
	if errors.As(err, &ours) {
		return ours
	}
	if e := network(ctx, err); e != nil {
		return e
	}
	var api smithy.APIError
	var half *smithy.DeserializationError
	var resp *smithyhttp.ResponseError
	hasResponse := errors.As(err, &resp)
	header := http.Header{}
	if hasResponse && resp.Response != nil {
		header = resp.Response.Header
	}
	switch {
	case errors.As(err, &api) && awsKinds[api.ErrorCode()] != "":
		e := provider.Failure(awsKinds[api.ErrorCode()], provider.ReasonNone)
		if hasResponse {
			e.RetryAfter = status(resp.HTTPStatusCode(), header).RetryAfter
		}
		return e
	case hasResponse && resp.HTTPStatusCode()/100 != 2:
		return status(resp.HTTPStatusCode(), header)
	case errors.As(err, &half):
		return provider.Failure(provider.Malformed, provider.ReasonHalf)
	case !hasResponse: // nothing was sent
		return provider.Failure(provider.Setup, provider.ReasonSetting)
	}
	return provider.Failure(provider.Malformed, provider.ReasonNone)
}
