package provider

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
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
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.Address+"/v1/"+path, bytes.NewReader(out))
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
	b.do("POST", "secret/data/team/db", map[string]any{"data": map[string]any{"password": old}})
	b.do("POST", "secret/data/team/db", map[string]any{"data": map[string]any{"password": one, "port": 5432, "NAME": two}})
	b.do("POST", "sys/mounts/kv1", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	b.do("POST", "kv1/db", map[string]any{"password": two})
	s := b.settings(w, nil)
	w.want(t, source(t, "openbao://secret/team/db#password", s), one)
	w.want(t, source(t, "openbao://secret/data/team/db#password", s), one)
	w.want(t, source(t, "openbao://secret/team/db?version=1#password", s), old)
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
	b.do("POST", "sys/auth/approle", map[string]any{"type": "approle"})
	b.do("POST", "auth/approle/role/nb", map[string]any{"token_policies": "reads", "token_ttl": "1h"})
	role := b.do("GET", "auth/approle/role/nb/role-id", nil)["data"].(map[string]any)["role_id"].(string)
	w.stored["SECRET_ID"] = b.do("POST", "auth/approle/role/nb/secret-id", nil)["data"].(map[string]any)["secret_id"].(string)
	b.do("POST", "sys/auth/userpass", map[string]any{"type": "userpass"})
	w.stored["PASSWORD"] = random()
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

func TestOpenBaoNamespace(t *testing.T) {
	t.Parallel()
	b, w := newBao(t), newWorld(t)
	value := random()
	b.do("POST", "sys/namespaces/team-a", nil)
	b.namespace = "team-a"
	b.do("POST", "sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
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
	defer broker.Close()
	b.do("POST", "sys/mounts/rabbitmq", map[string]any{"type": "rabbitmq"})
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
