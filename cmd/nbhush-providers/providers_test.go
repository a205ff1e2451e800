package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	stdnet "net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
	"github.com/nbhush/nbhush/agent/secret"
)

// The test binary also plays nbhush-providers, whose network may be bent.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "nbhush-providers" {
		n := net{}
		if to := os.Getenv("NBHUSH_TEST_DIAL"); to != "" {
			n.dial = func(ctx context.Context, network, _ string) (stdnet.Conn, error) {
				return new(stdnet.Dialer).DialContext(ctx, network, to)
			}
		}
		if err := provider.Serve(context.Background(), os.Stdin, os.Stdout, providers(n)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func need(t *testing.T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, peers.ErrNone) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// world is a Resolver, as the agent has it, and this program beside it.
type world struct {
	*provider.Resolver
	stored map[secret.Name]string
}

// newWorld starts the program with variables of its environment set or, where
// they are empty, taken away, when it is first asked.
func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nexec env -i HOME=" + dir + " AWS_EC2_METADATA_DISABLED=true GCE_METADATA_HOST=127.0.0.1:1 " + strings.Join(env, " ") +
		" " + filepath.Join(dir, "real", "nbhush-providers") + "\n"
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "real", "nbhush-providers")); err != nil {
		t.Skip("no symbolic links:", err)
	}
	if err := peers.WriteProgram(filepath.Join(dir, "nbhush-providers"), script); err != nil {
		t.Fatal(err)
	}
	w := &world{stored: map[secret.Name]string{}}
	w.Resolver = provider.New(provider.Options{Programs: dir, Stored: func(name secret.Name) (secret.Value, error) {
		return secret.New([]byte(w.stored[name])), nil
	}})
	t.Cleanup(w.Lock)
	return w
}

func source(t *testing.T, ref string, settings map[string]string) provider.Source {
	t.Helper()
	r, err := secret.ParseRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Source{Name: "NAME", Ref: r, Providers: map[string]map[string]string{r.Scheme: settings}}
}

func (w *world) want(t *testing.T, s provider.Source, want string) {
	t.Helper()
	got, err := w.Get(context.Background(), s)
	if err != nil {
		t.Errorf("%s: %v", s.Ref, err)
	} else if string(got.Value.Reveal()) != want {
		t.Errorf("%s: another value", s.Ref)
	}
}

func (w *world) refused(t *testing.T, s provider.Source, kind provider.Kind, values ...string) *provider.Error {
	t.Helper()
	_, err := w.Get(context.Background(), s)
	var e *provider.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v, want %s", s.Ref, err, kind)
		return &provider.Error{}
	}
	text := e.Error() + "\n" + e.Hint()
	if e.Kind != kind || e.Hint() == "" || !strings.Contains(e.Error(), s.Ref.String()) || strings.Count(text, "\n") != 1 {
		t.Errorf("%s: kind %s, %q, hint %q; want %s", s.Ref, e.Kind, e.Error(), e.Hint(), kind)
	}
	for _, v := range values {
		if strings.Contains(text, v) {
			t.Errorf("%s: the error holds a value", s.Ref)
		}
	}
	return e
}

func random() string { return "nk-" + strings.ToLower(rand.Text()) + rand.Text() }

func TestAWS(t *testing.T) {
	t.Parallel()
	moto, err := peers.Moto()
	need(t, err)
	t.Cleanup(moto.Stop)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-central-1"), config.WithBaseEndpoint(moto.Address),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("k", random(), "")))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	old, value := random(), random()
	sm, ps := secretsmanager.NewFromConfig(cfg), ssm.NewFromConfig(cfg)
	made, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: sdk.String("prod/db"), SecretString: sdk.String(`{"password":"` + old + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: sdk.String("prod/db"), SecretString: sdk.String(`{"user":"me","password":"` + value + `"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: sdk.String("bytes"), SecretBinary: []byte("\x00\xff" + value)}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{old, value} {
		if _, err := ps.PutParameter(t.Context(), &ssm.PutParameterInput{Name: sdk.String("/app/key"), Value: sdk.String(v), Type: ssmtypes.ParameterTypeSecureString, Overwrite: sdk.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	w.stored["AWS"] = random()
	settings := map[string]string{"address": moto.Address, "region": "eu-central-1", "access_key_id": "k", "secret_access_key": "store://AWS"}
	w.want(t, source(t, "aws-sm://prod/db#password", settings), value)
	w.want(t, source(t, "aws-sm://prod/db?stage=AWSPREVIOUS#password", settings), old)
	w.want(t, source(t, "aws-sm://prod/db?version="+*made.VersionId+"#password", settings), old)
	w.want(t, source(t, "aws-sm://"+*made.ARN+"#user", settings), "me")
	w.want(t, source(t, "aws-sm://bytes", settings), "\x00\xff"+value)
	w.want(t, source(t, "ref+awssecrets://prod/db#/password", settings), value)
	w.refused(t, source(t, "aws-sm://none", settings), provider.Missing, value)
	w.want(t, source(t, "aws-ssm:///app/key", settings), value)
	w.want(t, source(t, "aws-ssm:///app/key?version=1", settings), old)
	w.refused(t, source(t, "aws-ssm:///app/none", settings), provider.Missing, value)
	w.refused(t, source(t, "aws-sm://prod/db", map[string]string{"address": moto.Address, "region": "eu-central-1"}), provider.Denied, value) // nobody is logged in
	w.refused(t, source(t, "aws-sm://prod/db?x=1", map[string]string{"address": moto.Address}), provider.Setup, value)                        // no region
}

// The SDK's own chain: a profile of the shared files.
func TestAWSProfile(t *testing.T) {
	t.Parallel()
	moto, err := peers.Moto()
	need(t, err)
	t.Cleanup(moto.Stop)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := []string{
		"AWS_CONFIG_FILE=" + write("config", "[profile team]\nregion = eu-central-1\n"),
		"AWS_SHARED_CREDENTIALS_FILE=" + write("credentials", "[team]\naws_access_key_id = k\naws_secret_access_key = "+random()+"\n"),
	}
	value := random()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-central-1"), config.WithBaseEndpoint(moto.Address),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("k", random(), "")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: sdk.String("x"), SecretString: &value}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, files...)
	w.want(t, source(t, "aws-sm://x?profile=team", map[string]string{"address": moto.Address}), value)
	w.want(t, source(t, "aws-sm://x", map[string]string{"address": moto.Address, "profile": "team"}), value)
	w.refused(t, source(t, "aws-sm://x", map[string]string{"address": moto.Address, "profile": "none"}), provider.Setup, value)
}

func TestGCP(t *testing.T) {
	t.Parallel()
	drongo, err := peers.Drongo()
	need(t, err)
	t.Cleanup(drongo.Stop)
	post := func(path string, body any) {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(drongo.Address+path, "application/json", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if out, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %s %s", path, resp.Status, out)
		}
	}
	w := newWorld(t)
	old, value := random(), random()
	post("/v1/projects/team/secrets?secretId=db", map[string]any{"replication": map[string]any{"automatic": map[string]any{}}})
	for _, v := range []string{old, `{"password":"` + value + `"}`} {
		post("/v1/projects/team/secrets/db:addVersion", map[string]any{"payload": map[string]any{"data": []byte(v)}})
	}
	settings := map[string]string{"address": drongo.Address, "auth": "none"}
	w.want(t, source(t, "gcp://team/db#password", settings), value)
	w.want(t, source(t, "gcp://team/db?version=1", settings), old)
	w.want(t, source(t, "ref+gcpsecrets://team/db?version=1", settings), old)
	w.refused(t, source(t, "gcp://team/none", settings), provider.Missing, value)
	w.refused(t, source(t, "gcp://team/db?version=9", settings), provider.Missing, value)
	w.refused(t, source(t, "gcp://db", settings), provider.Setup, value)
	w.refused(t, source(t, "gcp://team/db?x", map[string]string{"address": drongo.Address}), provider.Denied, value) // nobody is logged in
	w.refused(t, source(t, "gcp://team/db?y", map[string]string{"auth": "none"}), provider.Setup, value)             // elsewhere than here
}

// vaultStub is Azure as its REST API 7.x is described, and the login of Entra: a 401
// with a challenge first, then the secret for who has the token.
func vaultStub(value, token, login string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		path := r.URL.Path
		switch {
		case strings.HasSuffix(path, "/common/discovery/instance"):
			fmt.Fprintf(w, `{"tenant_discovery_endpoint":"https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net","aliases":["login.microsoftonline.com"]}]}`)
		case strings.HasSuffix(path, "/openid-configuration"):
			fmt.Fprint(w, `{"issuer":"https://login.microsoftonline.com/t/v2.0","authorization_endpoint":"https://login.microsoftonline.com/t/oauth2/v2.0/authorize","token_endpoint":"https://login.microsoftonline.com/t/oauth2/v2.0/token"}`)
		case strings.HasSuffix(path, "/token"):
			if err := r.ParseForm(); err != nil || r.Form.Get("client_secret") != login || r.Form.Get("scope") == "" || !strings.HasPrefix(r.Form.Get("scope"), "https://vault.azure.net/.default") {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s"}`, value)
				return
			}
			fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"%s"}`, token)
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"code":"Unauthorized","message":"no"}}`)
		case path == "/secrets/db/" || path == "/secrets/db" || path == "/secrets/db/0123":
			fmt.Fprintf(w, `{"value":"%s","id":"https://team.vault.azure.net/secrets/db/0123","attributes":{"enabled":true}}`, value)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"error":{"code":"SecretNotFound","message":"%s"}}`, value)
		}
	}
}

// azureWorld sends every connection to a stub that has the names of Azure.
func azureWorld(t *testing.T, value string) (*world, *peers.Stub, map[string]string) {
	t.Helper()
	login := random()
	stub, err := peers.NewStub(t.TempDir(), value, vaultStub(value, random(), login))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stub.Close)
	stub.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca, cert := certificate(t, "team.vault.azure.net", "login.microsoftonline.com", "login.microsoft.com")
	stub.TLS.Certificates[0] = cert
	w := newWorld(t, "NBHUSH_TEST_DIAL="+stub.Listener.Addr().String())
	w.stored["LOGIN"] = login
	return w, stub, map[string]string{"ca": ca, "tenant_id": "t", "client_id": "c", "client_secret": "store://LOGIN", "timeout": "20s"}
}

// certificate makes one that is its own authority, and the file of it.
func certificate(t *testing.T, names ...string) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestAzure(t *testing.T) {
	t.Parallel()
	value := random()
	w, _, settings := azureWorld(t, value)
	w.want(t, source(t, "azure://team/db", settings), value)
	w.want(t, source(t, "azure://team/db/0123", settings), value)
	w.want(t, source(t, "ref+azurekeyvault://team/db", settings), value)
	w.refused(t, source(t, "azure://team/none", settings), provider.Missing, value)
	w.refused(t, source(t, "azure://team", settings), provider.Setup, value)
	w.refused(t, source(t, "azure://evil.example/db", settings), provider.Setup, value)
	w.stored["LOGIN"] = random()
	other := map[string]string{"ca": settings["ca"], "tenant_id": "t", "client_id": "other", "client_secret": "store://LOGIN"}
	w.refused(t, source(t, "azure://team/db", other), provider.Denied, value, w.stored["LOGIN"])
}

// Every fault of a server, for every SDK.
func TestServersThatMisbehave(t *testing.T) {
	kinds := map[string]provider.Kind{
		"denied": provider.Denied, "missing": provider.Missing, "silent": provider.Unreachable, "half": provider.Malformed, "error": provider.Failed,
		"throttled": provider.Throttled, "endless": provider.TooLong, "redirect": provider.Setup, "garbage": provider.Malformed, "closed": provider.Malformed,
	}
	for _, c := range []struct {
		name, ref string
		settings  map[string]string
	}{
		{"aws-sm", "aws-sm://x", map[string]string{"region": "eu-central-1", "access_key_id": "k", "secret_access_key": "store://LOGIN"}},
		{"aws-ssm", "aws-ssm://x", map[string]string{"region": "eu-central-1", "access_key_id": "k", "secret_access_key": "store://LOGIN"}},
		{"gcp", "gcp://team/db", map[string]string{"auth": "none"}},
		{"azure", "azure://team/db", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			value := random()
			w, stub, settings := azureWorld(t, value)
			if c.name != "azure" {
				good := map[string]string{
					"aws-sm":  `{"Name":"x","SecretString":"` + value + `"}`,
					"aws-ssm": `{"Parameter":{"Name":"x","Value":"` + value + `"}}`,
					"gcp":     `{"payload":{"data":"` + base64.StdEncoding.EncodeToString([]byte(value)) + `"}}`,
				}[c.name]
				var err error
				if stub, err = peers.NewStub(t.TempDir(), value, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/x-amz-json-1.1")
					_, _ = io.WriteString(w, good)
				}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(stub.Close)
				stub.Config.ErrorLog = log.New(io.Discard, "", 0)
				w, settings = newWorld(t), map[string]string{"address": stub.URL, "ca": stub.CA}
				w.stored["LOGIN"] = random()
				for key, v := range c.settings {
					settings[key] = v
				}
			}
			settings["timeout"] = "20s"
			w.want(t, source(t, c.ref, settings), value)
			for i, fault := range peers.Faults {
				t.Run(fault, func(t *testing.T) {
					stub.Fault.Store(fault)
					settings["timeout"] = fmt.Sprintf("%ds", 19-i) // another question each
					if fault == "silent" {
						settings["timeout"] = "2s"
					}
					e := w.refused(t, source(t, c.ref, settings), kinds[fault], value, w.stored["LOGIN"])
					if fault == "throttled" && e.RetryAfter != 7*time.Second {
						t.Errorf("Retry-After: %v", e.RetryAfter)
					}
				})
			}
			stub.Fault.Store("")
			settings["ca"] = ""
			w.refused(t, source(t, c.ref, settings), provider.Unreachable, value)
		})
	}
}
