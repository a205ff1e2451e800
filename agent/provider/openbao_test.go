package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/provider/peers"
)

// baoClient writes to the server what the tests read.
type baoClient struct {
	*peers.Server
	t         *testing.T
	http      http.Client
	namespace string
}

func newBao(t *testing.T) *baoClient {
	t.Helper()
	s, err := bao()
	need(t, err)
	roots, rerr := Roots(s.CA)
	if rerr != nil {
		t.Fatal(rerr)
	}
	return &baoClient{Server: s, t: t, http: http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}}
}

func (b *baoClient) do(method, path string, body any) map[string]any {
	b.t.Helper()
	out, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(b.t.Context()), method, b.Address+"/v1/"+path, bytes.NewReader(out))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", b.Token)
	if b.namespace != "" {
		req.Header.Set("X-Vault-Namespace", b.namespace)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		b.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, text, err)
	}
	var to map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &to); err != nil {
			b.t.Fatal(err)
		}
	}
	return to
}

// mount makes what is at path, until the test ends: all tests of a run have one server.
func (b *baoClient) mount(path string, body any) {
	b.t.Helper()
	b.do("POST", path, body)
	there := *b // in the namespace of now
	b.t.Cleanup(func() { there.do("DELETE", path, nil) })
}

// settings are those of the root token, in w's store.
func (b *baoClient) settings(w *world, more map[string]string) map[string]string {
	w.stored["ROOT"] = b.Token
	s := map[string]string{"address": b.Address, "ca": b.CA, "token": "store://ROOT"}
	maps.Copy(s, more)
	return s
}

func TestOpenBaoKV(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	one, two, old := random(), random(), random()
	t.Cleanup(func() { b.do("DELETE", "secret/metadata/team/db", nil) }) // with its versions
	b.do("POST", "secret/data/team/db", map[string]any{"data": map[string]any{"password": old}})
	b.do("POST", "secret/data/team/db", map[string]any{"data": map[string]any{"password": one, "port": 5432, "NAME": two}})
	b.mount("sys/mounts/kv1", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	b.do("POST", "kv1/db", map[string]any{"password": two})
	s := b.settings(w, nil)
	w.want(t, source(t, "openbao://secret/team/db#password", s), one)
	w.want(t, source(t, "openbao://secret/data/team/db#password", s), one)
	t.Cleanup(func() { b.do("DELETE", "secret/metadata/data/both", nil); b.do("DELETE", "secret/metadata/both", nil) })
	b.do("POST", "secret/data/both", map[string]any{"data": map[string]any{"v": one}})
	b.do("POST", "secret/data/data/both", map[string]any{"data": map[string]any{"v": two}})
	w.want(t, source(t, "openbao://secret/both#v", s), one)
	w.want(t, source(t, "openbao://secret/data/both#v", s), two) // as bao kv get has it
	w.want(t, source(t, "openbao://secret/team/db?version=1#password", s), old)
	w.want(t, source(t, "openbao://secret/team/db#password?version=2", s), one)
	w.want(t, source(t, "openbao://secret/team/db#port?version=2", s), "5432")
	w.want(t, source(t, "openbao://secret/team/db#password?version=1", s), old)
	w.want(t, source(t, "openbao://secret/team/db#port", s), "5432")
	w.want(t, source(t, "openbao://secret/team/db", s), two) // the field that is called as the secret is
	w.want(t, source(t, "openbao://kv1/db", s), two)         // its only field
	w.want(t, source(t, "vault://kv1/db#password", s), two)
	w.want(t, source(t, "ref+vault://secret/team/db#/password", s), one)
	w.refused(t, source(t, "openbao://secret/team/none#password", s), Missing)
	w.refused(t, source(t, "openbao://secret/team/db#none", s), Missing, one, two)
	w.refused(t, source(t, "openbao://nowhere/db#x", s), Denied) // as the server says
}

func TestOpenBaoLogins(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	value := random()
	b.do("POST", "secret/data/logins", map[string]any{"data": map[string]any{"v": value}})
	b.do("PUT", "sys/policies/acl/reads", map[string]any{"policy": `path "secret/data/logins" { capabilities = ["read"] }`})
	b.mount("sys/auth/approle", map[string]any{"type": "approle"})
	b.do("POST", "auth/approle/role/nb", map[string]any{"token_policies": "reads", "token_ttl": "1h"})
	role := b.do("GET", "auth/approle/role/nb/role-id", nil)["data"].(map[string]any)["role_id"].(string)
	w.stored["SECRET_ID"] = b.do("POST", "auth/approle/role/nb/secret-id", nil)["data"].(map[string]any)["secret_id"].(string)
	b.mount("sys/auth/userpass", map[string]any{"type": "userpass"})
	w.stored["PASSWORD"] = " " + random() + "\t" // blanks belong to it
	b.do("POST", "auth/userpass/users/nb", map[string]any{"password": w.stored["PASSWORD"], "token_policies": "reads"})
	w.stored["WRONG"] = random()
	ref := "openbao://secret/logins#v"
	for name, settings := range map[string]map[string]string{
		"approle":  {"auth": "approle", "role_id": role, "secret_id": "store://SECRET_ID"},
		"userpass": {"auth": "userpass", "username": "nb", "password": "store://PASSWORD"},
	} {
		t.Run(name, func(t *testing.T) {
			settings["address"], settings["ca"] = b.Address, b.CA
			w.want(t, source(t, ref, settings), value)
			for _, key := range []string{"secret_id", "password"} {
				if settings[key] != "" {
					settings[key] = "store://WRONG"
				}
			}
			w.refused(t, source(t, ref, settings), Denied, value, w.stored["WRONG"])
		})
	}
	t.Run("token", func(t *testing.T) {
		w.refused(t, source(t, ref, b.settings(w, map[string]string{"token": "store://WRONG"})), Denied, value, w.stored["WRONG"])
		w.refused(t, source(t, ref, b.settings(w, map[string]string{"token": "store://NEVER_SET"})), Setup, value)
		w.refused(t, source(t, ref, b.settings(w, map[string]string{"token": "openbao://secret/x#y"})), Setup, value)
	})
	t.Run("a login that has ended is made again", func(t *testing.T) {
		settings := map[string]string{"auth": "userpass", "username": "nb", "password": "store://PASSWORD", "address": b.Address, "ca": b.CA, "timeout": "9s"}
		s := source(t, ref, settings)
		s.TTL = time.Nanosecond
		w.want(t, s, value)
		b.do("PUT", "sys/leases/revoke-prefix/auth/userpass/login", nil)
		w.want(t, s, value)
	})
}

// signed makes a JWT (RFC 7515, 7519).
func signed(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOpenBaoJWT(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	value, key := random(), newKey(t)
	b.do("POST", "secret/data/jwt", map[string]any{"data": map[string]any{"v": value}})
	b.do("PUT", "sys/policies/acl/jwt", map[string]any{"policy": `path "secret/data/jwt" { capabilities = ["read"] }`})
	b.mount("sys/auth/jwt", map[string]any{"type": "jwt"})
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	b.do("POST", "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": []string{public}, "bound_issuer": "ci"})
	b.do("POST", "auth/jwt/role/nb", map[string]any{"role_type": "jwt", "bound_audiences": []string{"bao"}, "user_claim": "sub", "token_policies": "jwt", "token_ttl": "1h"})
	claims := func(audience string, ends time.Duration) map[string]any {
		return map[string]any{"iss": "ci", "aud": audience, "sub": "nb", "iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(ends).Unix()}
	}
	for _, c := range []struct {
		name, role, token string
		kind              Kind // "" where it works
	}{
		{"right", "nb", signed(t, key, claims("bao", time.Hour)), ""},
		{"wrong key", "nb", signed(t, newKey(t), claims("bao", time.Hour)), Denied},
		{"expired", "nb", signed(t, key, claims("bao", -time.Hour)), Denied},
		{"for somebody else", "nb", signed(t, key, claims("other", time.Hour)), Denied},
		{"no such role", "none", signed(t, key, claims("bao", time.Hour)), Denied},
		{"no token", "nb", random(), Denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := source(t, "openbao://secret/jwt#v", map[string]string{"auth": "jwt", "role": c.role, "jwt": tokenFile(t, c.token), "address": b.Address, "ca": b.CA})
			if c.kind == "" {
				w.want(t, s, value)
				return
			}
			w.refused(t, s, c.kind, value, c.token)
		})
	}
	t.Run("no file", func(t *testing.T) {
		settings := map[string]string{"auth": "jwt", "role": "nb", "jwt": "none", "address": b.Address, "ca": b.CA}
		w.refused(t, source(t, "openbao://secret/jwt#v", settings), Setup, value)
	})
}

// OpenBao asks Kubernetes whose a token is: a stub of the TokenReview API, version 1.
func TestOpenBaoKubernetes(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	value, reviewer, key := random(), random(), newKey(t)
	token := func(name string) string {
		return signed(t, key, map[string]any{
			"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:team:" + name,
			"iat": time.Now().Add(-time.Hour).Unix(), "nbf": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			"kubernetes.io": map[string]any{"namespace": "team", "serviceaccount": map[string]any{"name": name, "uid": "1"}},
		})
	}
	good, other, gone := token("nb"), token("other"), token("nb")
	users := map[string]string{good: "nb", other: "other"} // gone is of a pod that was deleted
	var fails atomic.Bool
	cluster := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review struct {
			Kind string
			Spec struct{ Token string }
		}
		switch err := json.NewDecoder(r.Body).Decode(&review); {
		case fails.Load():
			rw.WriteHeader(http.StatusInternalServerError)
			return
		case err != nil || r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || r.Header.Get("Authorization") != "Bearer "+reviewer:
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		status := `{"authenticated":false,"error":"` + value + `"}`
		if name := users[review.Spec.Token]; name != "" {
			status = `{"authenticated":true,"user":{"username":"system:serviceaccount:team:` + name + `","uid":"1","groups":["system:serviceaccounts"]}}`
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusCreated)
		fmt.Fprintf(rw, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":%s}`, status)
	}))
	defer cluster.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw}))
	b.do("POST", "secret/data/k8s", map[string]any{"data": map[string]any{"v": value}})
	b.do("PUT", "sys/policies/acl/k8s", map[string]any{"policy": `path "secret/data/k8s" { capabilities = ["read"] }`})
	b.mount("sys/auth/cluster", map[string]any{"type": "kubernetes"})
	b.do("POST", "auth/cluster/config", map[string]any{"kubernetes_host": cluster.URL, "kubernetes_ca_cert": ca, "token_reviewer_jwt": reviewer, "disable_iss_validation": true})
	b.do("POST", "auth/cluster/role/nb", map[string]any{"bound_service_account_names": "nb", "bound_service_account_namespaces": "team", "token_policies": "k8s", "token_ttl": "1h"})
	ask := func(token string) Source {
		return source(t, "openbao://secret/k8s#v", map[string]string{"auth": "kubernetes", "auth_mount": "cluster", "role": "nb", "jwt": tokenFile(t, token), "address": b.Address, "ca": b.CA})
	}
	w.want(t, ask(good), value)
	w.refused(t, ask(other), Denied, value, other)
	w.refused(t, ask(gone), Denied, value, gone)
	fails.Store(true)
	w.refused(t, ask(good), Denied, value, good) // OpenBao does not say that it could not ask
}

func TestOpenBaoNamespace(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	value := random()
	b.mount("sys/namespaces/team-a", nil)
	b.namespace = "team-a"
	b.mount("sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	b.do("POST", "kv/data/x", map[string]any{"data": map[string]any{"v": value}})
	w.want(t, source(t, "openbao://kv/x#v", b.settings(w, map[string]string{"namespace": "team-a"})), value)
	w.refused(t, source(t, "openbao://kv/x#v", b.settings(w, nil)), Denied, value)
}

// Leases of an engine that makes credentials: what it makes them in is a stub.
func TestOpenBaoLease(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	var users, ended atomic.Int32
	broker := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && len(r.URL.Path) > len("/api/users/") && r.URL.Path[:11] == "/api/users/" {
			users.Add(1)
		}
		if r.Method == http.MethodDelete {
			ended.Add(1)
		}
		rw.WriteHeader(http.StatusCreated)
		fmt.Fprint(rw, "[]")
	}))
	t.Cleanup(broker.Close) // which is asked when the mount goes
	b.mount("sys/mounts/rabbitmq", map[string]any{"type": "rabbitmq"})
	b.do("POST", "rabbitmq/config/connection", map[string]any{"connection_uri": broker.URL, "username": "x", "password": random(), "verify_connection": false})
	b.do("POST", "rabbitmq/config/lease", map[string]any{"ttl": 60, "max_ttl": 3600})
	b.do("POST", "rabbitmq/roles/nb", map[string]any{"vhosts": `{"/":{"configure":"","write":"","read":""}}`})
	settings := b.settings(w, nil)
	user, err := w.Get(t.Context(), source(t, "openbao://rabbitmq/creds/nb#username", settings))
	if err != nil {
		t.Fatal(err)
	}
	password, err := w.Get(t.Context(), source(t, "openbao://rabbitmq/creds/nb#password", settings))
	if err != nil || user.Value.Equal(password.Value) {
		t.Fatal(err)
	}
	if n := users.Load(); n != 1 {
		t.Errorf("user and password are of %d credentials, want the same one", n)
	}
	// The lease is made longer, and the credential stays.
	src := source(t, "openbao://rabbitmq/creds/nb#username", settings)
	k, q, perr := w.prepare(src)
	if perr != nil {
		t.Fatal(perr)
	}
	w.mu.Lock()
	e := w.entries[keyOf(k, q)]
	if e.doc.Lease.For <= 0 || !e.doc.Lease.Renewable || e.doc.Lease.ID == "" || w.timer == nil {
		t.Fatalf("lease %+v", e.doc.Lease)
	}
	e.refresh = time.Now().Add(-time.Second)
	before := e.read
	w.mu.Unlock()
	w.o.Wanted = func() bool { return true }
	w.tick()
	w.mu.Lock()
	asking := e.asking
	w.mu.Unlock()
	if asking == nil {
		t.Fatal("the lease is not renewed")
	}
	<-asking
	w.want(t, src, string(user.Value.Reveal()))
	w.mu.Lock()
	renewed := e.read.After(before)
	w.mu.Unlock()
	if !renewed || users.Load() != 1 {
		t.Errorf("renewed: %v, credentials %d", renewed, users.Load())
	}
	// It is given back, and the credential ends.
	if back := w.Release(t.Context(), func(string) bool { return true }); len(back) != 1 || back[0].Err != nil || ended.Load() != 1 {
		t.Errorf("%+v, %d credentials ended", back, ended.Load())
	}
}

// The server is known by its certificate, and by nothing less.
func TestOpenBaoTLS(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	s := b.settings(w, nil)
	delete(s, "ca")
	e := w.refused(t, source(t, "openbao://secret/x#y", s), Unreachable, b.Token)
	if e.Hint() == "" {
		t.Error(e)
	}
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.refused(t, source(t, "openbao://secret/x#y", b.settings(w, map[string]string{"ca": empty})), Setup, b.Token)
	w.refused(t, source(t, "openbao://secret/x#y", map[string]string{"address": "http://example.com", "token": "store://ROOT"}), Setup, b.Token)
	if _, err := w.Get(context.Background(), source(t, "openbao://secret/x#y", b.settings(w, nil))); err == nil {
		t.Error("a secret that is not there was read")
	}
}
