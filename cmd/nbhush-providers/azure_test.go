package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
)

// vaultStub is Azure as its REST API 7.x is described, and the login of Entra, which
// looks at a form: a 401 with a challenge first, then the secret for who has the token.
func vaultStub(value, token string, login func(url.Values) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		path := r.URL.Path
		switch {
		case strings.HasSuffix(path, "/common/discovery/instance"):
			fmt.Fprintf(w, `{"tenant_discovery_endpoint":"https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net","aliases":["login.microsoftonline.com"]}]}`)
		case strings.HasSuffix(path, "/openid-configuration"):
			fmt.Fprint(w, `{"issuer":"https://login.microsoftonline.com/t/v2.0","authorization_endpoint":"https://login.microsoftonline.com/t/oauth2/v2.0/authorize","token_endpoint":"https://login.microsoftonline.com/t/oauth2/v2.0/token"}`)
		case strings.HasSuffix(path, "/token"):
			if err := r.ParseForm(); err != nil || r.Form.Get("grant_type") != "client_credentials" || !login(r.Form) || !strings.HasPrefix(r.Form.Get("scope"), "https://vault.azure.net/.default") {
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

// entra are the servers that a login asks.
var entra = []string{"login.microsoftonline.com", "login.microsoft.com"}

// azureStub has the name of a vault and those others; the file is of its certificate.
func azureStub(t *testing.T, value, token string, login func(url.Values) bool, names ...string) (*peers.Stub, string) {
	t.Helper()
	stub, err := peers.NewStub(t.TempDir(), value, vaultStub(value, token, login))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stub.Close)
	stub.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca, cert := certificate(t, append(names, "team.vault.azure.net")...)
	stub.TLS.Certificates[0] = cert
	return stub, ca
}

// azureWorld sends every connection to a stub, where a client secret logs in.
func azureWorld(t *testing.T, value string) (*world, *peers.Stub, map[string]string) {
	t.Helper()
	login := random()
	stub, ca := azureStub(t, value, random(), func(form url.Values) bool { return form.Get("client_secret") == login }, entra...)
	w := newWorld(t, "NBHUSH_TEST_DIAL="+stub.Listener.Addr().String())
	w.stored["LOGIN"] = login
	return w, stub, map[string]string{"ca": ca, "tenant_id": "t", "client_id": "c", "client_secret": "store://LOGIN", "timeout": "20s"}
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

// The chain of the SDK: Entra's token for the assertion of a workload (RFC 7523), the
// endpoints of App Service and of a machine as their descriptions have them, and az.
func TestAzureLogins(t *testing.T) {
	t.Parallel()
	value, token, assertion, header, wrong := random(), random(), random(), random(), random()
	stub, ca := azureStub(t, value, token, func(form url.Values) bool {
		return form.Get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && form.Get("client_assertion") == assertion && form.Get("client_id") == "c"
	}, entra...)
	const resource = "https://vault.azure.net"
	answer := func(w http.ResponseWriter, token string) {
		fmt.Fprintf(w, `{"access_token":"%s","expires_on":"%d","resource":"%s","token_type":"Bearer"}`, token, time.Now().Add(time.Hour).Unix(), resource)
	}
	service := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.URL.Path != "/msi/token" || r.Header.Get("X-Identity-Header") != header || q.Get("api-version") != "2019-08-01" || q.Get("resource") != resource {
			broken(value, http.StatusUnauthorized)(w, r)
			return
		}
		answer(w, token)
	})
	machine := func(token string) string {
		return "NBHUSH_TEST_METADATA=" + strings.TrimPrefix(serve(t, func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true" || q.Get("resource") != resource || q.Get("client_id") != "" || token == "" {
				broken(value, http.StatusBadRequest)(w, r) // also what the SDK asks first, to see whether there is somebody
				return
			}
			answer(w, token)
		}), "http://")
	}
	env := func(more ...string) []string {
		return append([]string{"NBHUSH_TEST_DIAL=" + stub.Listener.Addr().String()}, more...)
	}
	workload := func(assertion string) []string {
		return env("AZURE_TENANT_ID=t", "AZURE_CLIENT_ID=c", "AZURE_FEDERATED_TOKEN_FILE="+filepath.Join(write(t, map[string]string{"a": assertion}), "a"))
	}
	learning := func(secret string) []string {
		return env("MSI_SECRET="+secret, "DEFAULT_IDENTITY_CLIENT_ID=own", "MSI_ENDPOINT="+serve(t, func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); r.Header.Get("Secret") != header || q.Get("api-version") != "2017-09-01" || q.Get("resource") != resource || q.Get("clientid") != "own" {
				broken(value, http.StatusUnauthorized)(w, r)
				return
			}
			answer(w, token)
		}))
	}
	shell := env("MSI_ENDPOINT=" + serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Metadata") != "true" || r.FormValue("resource") != resource {
			broken(value, http.StatusBadRequest)(w, r)
			return
		}
		answer(w, token)
	}))
	// Service Fabric's endpoint has a certificate of its own, which is known by its thumbprint.
	fabric := func(known bool) []string {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); !known || r.Header.Get("Secret") != header || q.Get("api-version") != "2019-07-01-preview" || q.Get("resource") != resource {
				t.Errorf("a server with a thumbprint that is known: %v: was asked", known)
				broken(value, http.StatusUnauthorized)(w, r)
				return
			}
			answer(w, token)
		}))
		t.Cleanup(s.Close)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		thumbprint := sha1.Sum(s.Certificate().Raw)
		if !known {
			thumbprint[0] ^= 1
		}
		return env("IDENTITY_ENDPOINT="+s.URL+"/metadata/identity/oauth2/token", "IDENTITY_HEADER="+header, "IDENTITY_SERVER_THUMBPRINT="+hex.EncodeToString(thumbprint[:]))
	}
	az := func(script string) []string {
		dir := write(t, map[string]string{"token.json": fmt.Sprintf(`{"accessToken":"%s","expires_on":%d,"tenant":"t","tokenType":"Bearer"}`, token, time.Now().Add(time.Hour).Unix())})
		if err := peers.WriteProgram(filepath.Join(dir, "az"), "#!/bin/sh\ncd "+dir+"\n"+script+"\n"); err != nil {
			t.Fatal(err)
		}
		return env("PATH=" + dir + ":/usr/bin:/bin")
	}
	s := source(t, "azure://team/db", map[string]string{"ca": ca, "timeout": "20s"})
	logins(t, s, value, []string{token, assertion, header, wrong}, []login{
		{"workload", workload(assertion), "", ""},
		{"workload with a wrong token", workload(wrong), provider.Denied, refused},
		{"workload without a token", append(workload(assertion), "AZURE_FEDERATED_TOKEN_FILE=/none"), provider.Denied, nobody},
		{"App Service", env("IDENTITY_ENDPOINT="+service+"/msi/token", "IDENTITY_HEADER="+header), "", ""},
		{"App Service with a wrong header", env("IDENTITY_ENDPOINT="+service+"/msi/token", "IDENTITY_HEADER="+wrong), provider.Denied, refused},
		{"App Service fails", env("IDENTITY_ENDPOINT="+serve(t, broken(value, 500)), "IDENTITY_HEADER="+header), provider.Failed, ""},
		{"Machine Learning", learning(header), "", ""},
		{"Machine Learning with a wrong secret", learning(wrong), provider.Denied, refused},
		{"Cloud Shell", shell, "", ""},
		{"Service Fabric", fabric(true), "", ""},
		{"Service Fabric with another certificate", fabric(false), provider.Unreachable, ""},
		{"machine", env(machine(token)), "", ""},
		{"machine that may not read", env(machine(wrong)), provider.Denied, "permission denied"},
		{"machine without an identity", env(machine("")), provider.Denied, nobody},
		{"az", az(`test "$*" = "account get-access-token -o json --resource https://vault.azure.net --tenant t" && cat token.json`), "", ""},
		{"az that is not logged in", az(`cat token.json; echo "Please run 'az login' to setup account. $(cat token.json)" >&2; exit 1`), provider.Denied, nobody},
		{"nobody", env(), provider.Denied, nobody},
	})
}

// A token of the workload goes to no server that only says it is Entra.
func TestAzureOtherEntra(t *testing.T) {
	t.Parallel()
	value, assertion := random(), random()
	stub, ca := azureStub(t, value, random(), func(url.Values) bool {
		t.Error("it was asked for a token")
		return true
	})
	file := filepath.Join(write(t, map[string]string{"a": assertion}), "a")
	w := newWorld(t, "NBHUSH_TEST_DIAL="+stub.Listener.Addr().String(), "AZURE_TENANT_ID=t", "AZURE_CLIENT_ID=c", "AZURE_FEDERATED_TOKEN_FILE="+file)
	w.refused(t, source(t, "azure://team/db", map[string]string{"ca": ca}), provider.Unreachable, value, assertion)
}

// A machine that Azure Arc knows: who asks proves that it may read a file which the agent of
// Arc names, in a folder that is here in a file system of the program's own.
func TestAzureArc(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "none", "/var/opt").Run(); err != nil {
		t.Skip("no file system of a program's own:", err)
	}
	value, token, key, name := random(), random(), random(), strings.ToLower(random())+".key"
	stub, ca := azureStub(t, value, token, func(url.Values) bool { return false }, entra...)
	const folder, resource = "/var/opt/azcmagent/tokens", "https://vault.azure.net"
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true" || q.Get("api-version") != "2020-06-01" || q.Get("resource") != resource {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.Header.Get("Authorization") != "Basic "+key {
			w.Header().Set("WWW-Authenticate", "Basic realm="+folder+"/"+name)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"access_token":"%s","expires_on":"%d","resource":"%s","token_type":"Bearer"}`, token, time.Now().Add(time.Hour).Unix(), resource)
	})
	dir := write(t, map[string]string{name: key})
	env := func(program, more string) []string {
		script := "#!/bin/sh\nset -e\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nmount -t tmpfs none /var/opt\nmkdir -p " + folder + "\n" + more + "\n" + `exec "$1"` + "\n"
		if err := peers.WriteProgram(filepath.Join(dir, program), script); err != nil {
			t.Fatal(err)
		}
		return []string{
			"NBHUSH_TEST_DIAL=" + stub.Listener.Addr().String(), "IMDS_ENDPOINT=" + endpoint, "IDENTITY_ENDPOINT=" + endpoint + "/metadata/identity/oauth2/token",
			"PATH=/usr/bin:/bin", "unshare -rm " + filepath.Join(dir, program),
		}
	}
	logins(t, source(t, "azure://team/db", map[string]string{"ca": ca, "timeout": "20s"}), value, []string{token, key}, []login{
		{"Arc", env("member", "cp "+filepath.Join(dir, name)+" "+folder), "", ""},
		{"Arc without its file", env("stranger", ""), provider.Denied, nobody},
	})
}
