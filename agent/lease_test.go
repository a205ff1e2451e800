package agent

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
	"github.com/nbhush/nbhush/agent/secret"
)

// openBao is a server of its own for one test.
type openBao struct{ *peers.Server }

func startBao(t *testing.T) openBao {
	t.Helper()
	bao, err := peers.OpenBao(t.TempDir())
	if errors.Is(err, peers.ErrNone) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bao.Stop)
	return openBao{bao}
}

func (o openBao) post(t *testing.T, path string, body map[string]any) {
	t.Helper()
	roots, err := provider.Roots(o.CA)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.Address+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", o.Token)
	root := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	resp, err := root.Do(req)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s: %v, %v", path, resp, err)
	}
	_ = resp.Body.Close()
}

// Dynamic credentials end with the last kernel that has them, or with the agent.
// They are OpenBao's; the broker that it makes users in is a stub.
func TestLeasesAreGivenBack(t *testing.T) {
	bao := startBao(t)
	gone := make(chan struct{}, 10)
	broker := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/api/users/") {
			gone <- struct{}{}
		}
		rw.WriteHeader(http.StatusCreated)
		fmt.Fprint(rw, "[]")
	}))
	defer broker.Close()
	bao.post(t, "sys/mounts/rabbitmq", map[string]any{"type": "rabbitmq"})
	bao.post(t, "rabbitmq/config/connection", map[string]any{"connection_uri": broker.URL, "username": "x", "password": rand.Text(), "verify_connection": false})
	bao.post(t, "rabbitmq/config/lease", map[string]any{"ttl": 600, "max_ttl": 3600})
	bao.post(t, "rabbitmq/roles/nb", map[string]any{"vhosts": `{"/":{"configure":"","write":"","read":""}}`})

	w := newWorld(t)
	if _, err := w.session().Set(t.Context(), "ROOT", secret.New([]byte(bao.Token))); err != nil {
		t.Fatal(err)
	}
	dir := w.sourced(t, fmt.Sprintf(`[secrets]
DB_USER = "openbao://rabbitmq/creds/nb#username"
DB_PASSWORD = "openbao://rabbitmq/creds/nb#password"
[providers.openbao]
address = %q
ca = %q
token = "store://ROOT"
`, bao.Address, bao.CA), map[string]string{})
	kernel := func(pid int) *session {
		s := w.session(pid)
		for end := time.Now().Add(time.Minute); ; { // a start does not wait for a provider
			g, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: dir, Argv0: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if len(g.Values) == 2 {
				return s
			}
			if s.end(); time.Now().After(end) {
				t.Fatalf("grant of %d values: %+v", len(g.Values), g.Notice)
			}
		}
	}
	wait := func(what string) {
		t.Helper()
		select {
		case <-gone:
		case <-time.After(time.Minute):
			t.Fatal(what + ": the lease is not given back")
		}
	}
	one, two := kernel(41), kernel(42)
	one.end()
	w.follows.mu.Lock()
	if len(w.follows.docs) != 1 {
		t.Errorf("%d documents are followed, want the one that a kernel has", len(w.follows.docs))
	}
	w.follows.mu.Unlock()
	two.end()
	wait("the last kernel ended")

	// Whoever asks in a terminal does not say when he is done; the agent's end is the end.
	if _, err := w.session().Get(t.Context(), []secret.Name{"DB_USER", "DB_PASSWORD"}, dir); err != nil {
		t.Fatal(err)
	}
	kernel(43).end()
	if len(gone) != 0 {
		t.Error("given back while the user's shell has it")
	}
	w.giveAllBack()
	wait("the agent stopped")
	log, err := os.ReadFile(w.home.Audit())
	if err != nil || bytes.Count(log, []byte("the lease of openbao://rabbitmq/creds/nb given back")) != 4 {
		t.Errorf("the audit log says it %d times, want twice for each name", bytes.Count(log, []byte("given back")))
	}
}
