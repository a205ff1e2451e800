package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
)

// gcpSecret makes a secret of the project team, with its versions, and returns the
// address of Drongo, which looks at no login.
func gcpSecret(t *testing.T, name string, versions ...string) string {
	t.Helper()
	drongo, err := drongo()
	need(t, err)
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
	post("/v1/projects/team/secrets?secretId="+name, map[string]any{"replication": map[string]any{"automatic": map[string]any{}}})
	for _, v := range versions {
		post("/v1/projects/team/secrets/"+name+":addVersion", map[string]any{"payload": map[string]any{"data": []byte(v)}})
	}
	return drongo.Address
}

func TestGCP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, value, db := random(), random(), rand.Text()
	address := gcpSecret(t, db, old, `{"password":"`+value+`"}`)
	settings := map[string]string{"address": address, "auth": "none"}
	w.want(t, source(t, "gcp://team/"+db+"#password", settings), value)
	w.want(t, source(t, "gcp://team/"+db+"?version=1", settings), old)
	w.want(t, source(t, "ref+gcpsecrets://team/"+db+"?version=1", settings), old)
	w.refused(t, source(t, "gcp://team/none", settings), provider.Missing, value)
	w.refused(t, source(t, "gcp://team/"+db+"?version=9", settings), provider.Missing, value)
	w.refused(t, source(t, "gcp://db", settings), provider.Setup, value)
	w.refused(t, source(t, "gcp://team/"+db+"?x", map[string]string{"address": address}), provider.Denied, value) // nobody is logged in
	w.refused(t, source(t, "gcp://team/"+db+"?y", map[string]string{"auth": "none"}), provider.Setup, value)      // elsewhere than here
}

// googleStub is what stands before Drongo: the names of Google, TLS, and the services
// that give tokens, as their public descriptions have them (RFC 6749, 7523 and
// 8693). Every token is good for one secret.
type googleStub struct {
	address  string // of all of it
	name     string // of the secret
	ca       string
	value    string
	token    string // opens the secret
	key      *rsa.PrivateKey
	refresh  string // of a user
	client   string // secret of gcloud
	subject  string // of a workload
	exchange string // what a workload gets for it
}

func newGoogle(t *testing.T) *googleStub {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &googleStub{name: rand.Text(), value: random(), token: random(), key: key, refresh: random(), client: random(), subject: random(), exchange: random()}
	u, err := url.Parse(gcpSecret(t, g.name, g.value))
	if err != nil {
		t.Fatal(err)
	}
	drongo := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	stub, err := peers.NewStub(t.TempDir(), g.value, func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "secretmanager.googleapis.com" && r.Header.Get("Authorization") == "Bearer "+g.token {
			drongo.ServeHTTP(w, r)
			return
		}
		answer, status := g.answer(r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stub.Close)
	stub.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca, cert := certificate(t, "secretmanager.googleapis.com", "oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com")
	stub.TLS.Certificates[0] = cert
	g.address, g.ca = stub.Listener.Addr().String(), ca
	return g
}

func (g *googleStub) answer(r *http.Request) (string, int) {
	refused := `{"error":"invalid_grant","error_description":"` + g.value + `"}`
	ok := func(token string) (string, int) {
		return `{"access_token":"` + token + `","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}`, http.StatusOK
	}
	form := func(want map[string]string) bool {
		for key, v := range want {
			if r.PostFormValue(key) != v {
				return false
			}
		}
		return r.Method == http.MethodPost
	}
	switch r.Host + r.URL.Path {
	case "oauth2.googleapis.com/token":
		switch {
		case form(map[string]string{"grant_type": "refresh_token", "refresh_token": g.refresh, "client_id": "gcloud", "client_secret": g.client}):
			return ok(g.token)
		case form(map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}) && g.signed(r.PostFormValue("assertion")):
			return ok(g.token)
		}
		return refused, http.StatusBadRequest
	case "sts.googleapis.com/v1/token":
		if form(map[string]string{
			"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": audience, "subject_token": g.subject, "scope": gcpScope,
			"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
		}) {
			return ok(g.exchange)
		}
		if form(map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": audience, "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}) &&
			signedByAWS(r.PostFormValue("subject_token"), g.subject) {
			return ok(g.exchange)
		}
		return refused, http.StatusBadRequest
	case "iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/nb@team.iam.gserviceaccount.com:generateAccessToken":
		if r.Header.Get("Authorization") == "Bearer "+g.exchange {
			return fmt.Sprintf(`{"accessToken":"%s","expireTime":"%s"}`, g.token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), http.StatusOK
		}
	case "oauth2.googleapis.com/broken":
		return refused, http.StatusServiceUnavailable
	case "oauth2.googleapis.com/busy":
		return refused, http.StatusTooManyRequests
	case "oauth2.googleapis.com/garbage":
		return "<html>" + g.value, http.StatusOK
	}
	return `{"error":{"code":401,"message":"` + g.value + `","status":"UNAUTHENTICATED"}}`, http.StatusUnauthorized
}

const audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/ours"

// signed reports whether a JWT is of the service account, for this scope and now.
func (g *googleStub) signed(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	now := time.Now().Unix()
	return err == nil && json.Unmarshal(b, &claims) == nil && claims.Iss == "nb@team.iam.gserviceaccount.com" && claims.Scope == gcpScope &&
		claims.Aud == "https://oauth2.googleapis.com/token" && claims.Iat <= now && now < claims.Exp && claims.Exp <= now+3600
}

// account is the file of a service account.
func (g *googleStub) account(t *testing.T, key *rsa.PrivateKey, server string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "team", "private_key_id": "1", "client_email": "nb@team.iam.gserviceaccount.com", "token_uri": server,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// awsID is of credentials whose key the stub of Google's STS asks AWS about, as it were.
const awsID = "AKIDEXAMPLE"

// signedByAWS reports whether a token is a GetCallerIdentity of AWS's STS for this audience
// that key has signed, by version 4 of AWS's signatures.
func signedByAWS(token, key string) bool {
	text, err := url.QueryUnescape(token)
	var in struct {
		URL, Method string
		Headers     []struct{ Key, Value string }
	}
	if err != nil || json.Unmarshal([]byte(text), &in) != nil || in.URL != "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15" {
		return false
	}
	req, err := http.NewRequest(in.Method, in.URL, nil)
	if err != nil {
		return false
	}
	for _, h := range in.Headers {
		if h.Key != "Host" {
			req.Header.Add(h.Key, h.Value)
		}
	}
	at, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
	got := req.Header.Get("Authorization")
	req.Header.Del("Authorization")
	empty := sha256.Sum256(nil)
	if err != nil || req.Header.Get("X-Goog-Cloud-Target-Resource") != audience || time.Since(at).Abs() > 5*time.Minute {
		return false
	}
	who := sdk.Credentials{AccessKeyID: awsID, SecretAccessKey: key}
	return v4.NewSigner().SignHTTP(context.Background(), who, req, hex.EncodeToString(empty[:]), "sts", "eu-central-1", at) == nil && got == req.Header.Get("Authorization")
}

func TestGCPLogins(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const server = "https://oauth2.googleapis.com/token"
	wrong := random()
	metadata := func(token string) string {
		return strings.TrimPrefix(serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Metadata-Flavor", "Google")
			switch {
			case r.Header.Get("Metadata-Flavor") != "Google":
				broken(g.value, http.StatusForbidden)(w, r)
			case r.URL.Path == "/computeMetadata/v1/project/project-id":
				_, _ = io.WriteString(w, "team")
			case r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/token" && r.URL.Query().Get("scopes") == gcpScope && token != "":
				fmt.Fprintf(w, `{"access_token":"%s","expires_in":3600,"token_type":"Bearer"}`, token)
			default:
				broken(g.value, http.StatusNotFound)(w, r)
			}
		}), "http://")
	}
	user := func(refresh string) string {
		return `{"type":"authorized_user","client_id":"gcloud","client_secret":"` + g.client + `","refresh_token":"` + refresh + `"}`
	}
	workload := func(subject, more string) string {
		file := filepath.Join(write(t, map[string]string{"subject": subject}), "subject")
		return `{"type":"external_account","audience":"` + audience + `","subject_token_type":"urn:ietf:params:oauth:token-type:jwt",` +
			`"token_url":"https://sts.googleapis.com/v1/token","credential_source":{"file":"` + file + `"}` + more + `}`
	}
	const as = `,"service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/`
	// The other sources of a workload's token: a URL with a header, and a program that is allowed to run.
	from := func(source string) string {
		text := workload(g.subject, as+`nb@team.iam.gserviceaccount.com:generateAccessToken"`)
		start := strings.Index(text, `{"file"`)
		return text[:start] + source + text[start+strings.Index(text[start:], "}")+1:]
	}
	issuer := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Workload") != "ours" {
			broken(g.value, http.StatusForbidden)(w, r)
			return
		}
		fmt.Fprintf(w, `{"token":"%s"}`, g.subject)
	})
	byURL := func(header string) string {
		return from(`{"url":"` + issuer + `","headers":{"X-Workload":"` + header + `"},"format":{"type":"json","subject_token_field_name":"token"}}`)
	}
	program := func(token string) string {
		dir := write(t, map[string]string{"answer": `{"version":1,"success":true,"token_type":"urn:ietf:params:oauth:token-type:jwt","expiration_time":` +
			strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10) + `,"id_token":"` + token + `"}`})
		if err := peers.WriteProgram(filepath.Join(dir, "program"), "#!/bin/sh\ntest \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE\" = "+audience+" && exec cat "+dir+"/answer\n"); err != nil {
			t.Fatal(err)
		}
		return from(`{"executable":{"command":"` + filepath.Join(dir, "program") + `","timeout_millis":20000}}`)
	}
	const allowed, path = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1", "PATH=/usr/bin:/bin"
	env := func(more ...string) []string { return append(more, "NBHUSH_TEST_DIAL="+g.address) }
	named := func(text string) []string {
		return env("GOOGLE_APPLICATION_CREDENTIALS=" + filepath.Join(write(t, map[string]string{"c.json": text}), "c.json"))
	}
	// A machine of AWS, by the second version of its metadata.
	session := random()
	byAWS := func(key string) []string {
		at := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
				_, _ = io.WriteString(w, session)
			case r.Header.Get("X-Aws-Ec2-Metadata-Token") != session:
				broken(g.value, http.StatusUnauthorized)(w, r)
			case r.URL.Path == "/latest/meta-data/placement/availability-zone":
				_, _ = io.WriteString(w, "eu-central-1b")
			case r.URL.Path == "/latest/meta-data/iam/security-credentials":
				_, _ = io.WriteString(w, "reader")
			case r.URL.Path == "/latest/meta-data/iam/security-credentials/reader":
				fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"%s","SecretAccessKey":"%s"}`, awsID, key)
			default:
				broken(g.value, http.StatusNotFound)(w, r)
			}
		})
		const meta = "http://169.254.169.254/latest/"
		text := strings.Replace(from(`{"environment_id":"aws1","region_url":"`+meta+`meta-data/placement/availability-zone","url":"`+meta+`meta-data/iam/security-credentials",`+
			`"imdsv2_session_token_url":"`+meta+`api/token","regional_cred_verification_url":"https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"}`),
			"oauth:token-type:jwt", "aws:token-type:aws4_request", 1)
		return append(named(text), "NBHUSH_TEST_METADATA="+strings.TrimPrefix(at, "http://"))
	}
	gcloud := func(text string) []string {
		return env("HOME=" + write(t, map[string]string{".config/gcloud/application_default_credentials.json": text}))
	}
	s := source(t, "gcp://team/"+g.name, map[string]string{"ca": g.ca, "timeout": "20s"})
	logins(t, s, g.value, []string{g.token, g.refresh, g.client, g.subject, g.exchange, wrong, session}, []login{
		{"service account", named(g.account(t, g.key, server)), "", ""},
		{"service account with a wrong key", named(g.account(t, other, server)), provider.Denied, refused},
		{"service account with no key", named(`{"type":"service_account","private_key":"` + wrong + `"}`), provider.Denied, nobody},
		{"no file", env("GOOGLE_APPLICATION_CREDENTIALS=/none"), provider.Denied, nobody},
		{"user", gcloud(user(g.refresh)), "", ""},
		{"user whose login has ended", gcloud(user(wrong)), provider.Denied, refused},
		{"workload as a service account", named(workload(g.subject, as+`nb@team.iam.gserviceaccount.com:generateAccessToken"`)), "", ""},
		{"workload as another's service account", named(workload(g.subject, as+`other@team.iam.gserviceaccount.com:generateAccessToken"`)), provider.Denied, refused},
		{"workload with a wrong token", named(workload(wrong, as+`nb@team.iam.gserviceaccount.com:generateAccessToken"`)), provider.Denied, refused},
		{"workload without a token", named(strings.Replace(workload(g.subject, ""), `/subject"`, `/none"`, 1)), provider.Denied, nobody},
		{"workload that may not read", named(workload(g.subject, "")), provider.Denied, "permission denied"},
		{"workload by a URL", named(byURL("ours")), "", ""},
		{"workload by a URL that refuses", named(byURL("theirs")), provider.Denied, refused},
		{"workload by a program", append(named(program(g.subject)), allowed, path), "", ""},
		{"workload by a program with a wrong token", append(named(program(wrong)), allowed, path), provider.Denied, refused},
		{"workload by a program that may not run", append(named(program(g.subject)), path), provider.Denied, nobody},
		{"workload of AWS", byAWS(g.subject), "", ""},
		{"workload of AWS with a wrong key", byAWS(wrong), provider.Denied, refused},
		{"machine", env("GCE_METADATA_HOST=" + metadata(g.token)), "", ""},
		{"machine that may not read", env("GCE_METADATA_HOST=" + metadata(wrong)), provider.Denied, "permission denied"},
		{"machine without an account", env("GCE_METADATA_HOST=" + metadata("")), provider.Denied, nobody},
		{"server of tokens fails", named(g.account(t, g.key, "https://oauth2.googleapis.com/broken")), provider.Failed, ""},
		{"server of tokens is asked too often", named(g.account(t, g.key, "https://oauth2.googleapis.com/busy")), provider.Throttled, ""},
		{"server of tokens says something else", named(g.account(t, g.key, "https://oauth2.googleapis.com/garbage")), provider.Malformed, ""},
		{"server of tokens is another", named(g.account(t, g.key, "https://other.googleapis.com/token")), provider.Unreachable, "its certificate"},
	})
	t.Run("settings", func(t *testing.T) {
		w := newWorld(t, env()...)
		s := source(t, "gcp://team/"+g.name, map[string]string{"ca": g.ca, "credentials": "c.json"})
		s.Dir = write(t, map[string]string{"c.json": g.account(t, g.key, server), "user.json": user(g.refresh)})
		w.want(t, s, g.value)
		s.Providers["gcp"]["credentials"] = "user.json" // no service account's
		w.refused(t, s, provider.Setup, g.value, g.refresh)
	})
}
