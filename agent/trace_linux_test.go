package agent

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
)

// TestNoTraceAfterLock looks through the memory of an agent that was locked, one
// that was built with runtime/secret, for the values that it stored and served.
// Only root may look there. make trace runs it.
func TestNoTraceAfterLock(t *testing.T) {
	if os.Getenv("NBHUSH_TEST_TRACE") == "" {
		t.Skip("make trace runs it")
	}
	h := tempHome(t)
	path := os.Getenv("NBHUSH_TEST_TRACE_PROGRAM") // built already
	if path == "" {
		path = filepath.Join(t.TempDir(), "nbhush")
	}
	build := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/nbhush")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=runtimesecret")
	if os.Getenv("NBHUSH_TEST_TRACE") == "plain" { // for comparison
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if _, err := os.Stat(path); err != nil {
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	if kind := os.Getenv("NBHUSH_TEST_TRACE_STORE"); kind != "" { // keyring: of the D-Bus session that this runs in
		if err := errors.Join(os.MkdirAll(h.Config, 0o700), os.WriteFile(h.ConfigFile(), []byte("store = \""+kind+"\"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(path, "agent", "start").CombinedOutput(); err != nil {
		t.Fatalf("start: %v\n%s", err, out)
	}
	defer func() { stopAgent(t); waitGone(t, h.AgentLock()) }()
	c := &client.Client{NoStart: true}
	defer c.Close()

	if st, err := c.Status(t.Context()); err != nil || st.Store != cmp.Or(os.Getenv("NBHUSH_TEST_TRACE_STORE"), "vault") {
		t.Fatalf("the store is %q, %v", st.Store, err)
	}

	traced := map[string]string{} // value by how it came and went
	value := func(how string) string {
		v := "nk-" + rand.Text() + rand.Text()
		traced[how] = v
		return v
	}
	set := func(name secret.Name, v string) {
		t.Helper()
		if _, err := c.Set(t.Context(), name, secret.New([]byte(v))); err != nil {
			t.Fatal(err)
		}
	}
	get := func(name secret.Name, dir, want string) {
		t.Helper()
		got, err := c.Get(t.Context(), []secret.Name{name}, dir)
		if err != nil || string(got[name].Reveal()) != want {
			t.Fatalf("get %s: %v", name, err)
		}
	}
	set("STORED", value("stored"))
	set("ROTATED", value("replaced"))
	set("ROTATED", value("set twice"))
	set("OVER_HTTP", value("got over HTTP"))
	get("OVER_HTTP", "", traced["got over HTTP"])
	set("STREAMED", value("got over the stream"))
	set("GRANTED", value("granted to a kernel"))
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bao := startBao(t)
	set("ROOT", bao.Token)
	traced["a token of OpenBao"] = bao.Token
	bao.post(t, "secret/data/team", map[string]any{"data": map[string]any{"v": value("from OpenBao")}})
	config := fmt.Sprintf(`[secrets]
GRANTED = {}
STREAMED = {}
FROM_FILE = "dotenv://.env#A"
FROM_BAO = "openbao://secret/team#v"
[providers.openbao]
address = %q
ca = %q
token = "store://ROOT"
`, bao.Address, bao.CA)
	for name, text := range map[string]string{policy.FileName: config, ".env": "A=" + value("from a file")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Allow(t.Context(), filepath.Join(dir, policy.FileName), policy.Hash([]byte(config))); err != nil {
		t.Fatal(err)
	}
	get("FROM_FILE", dir, traced["from a file"])
	get("FROM_BAO", dir, traced["from OpenBao"])
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.Get(t.Context(), "STREAMED"); err != nil || string(v.Reveal()) != traced["got over the stream"] {
		t.Fatal(err)
	}
	text := value("searched text") + " and " + traced["stored"]
	if r, err := s.Find(t.Context(), []byte(text)); err != nil || len(r.Spans) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	if r, err := s.Search(t.Context(), []byte(text)); err != nil || len(r.Spans) < 1 {
		t.Fatalf("%v, %v", r, err)
	}
	g, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: dir, Argv0: "test"})
	if err != nil || string(g.Values["GRANTED"]) != traced["granted to a kernel"] {
		t.Fatalf("%d values, %v", len(g.Values), err)
	}
	_ = s.Close()
	// Short connections, the last ones before the lock.
	for _, name := range []secret.Name{"ONE", "TWO"} {
		how := "of a short connection, " + string(name)
		other := &client.Client{NoStart: true}
		for { // as below
			if _, err = other.Set(t.Context(), name, secret.New([]byte(value(how)))); !errors.Is(err, &api.Error{Code: api.CodeDenied}) {
				break
			}
			other.Close()
			other = &client.Client{NoStart: true}
		}
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
		other = &client.Client{NoStart: true}
		if _, err := other.Get(t.Context(), []secret.Name{name}, ""); err != nil {
			t.Fatal(err)
		}
		other.Close()
	}
	err = errors.New("not tried")
	for range 1000 { // this process is a kernel no more, and the agent sees that soon
		other := &client.Client{NoStart: true}
		_, err = other.Lock(t.Context())
		other.Close()
		if !errors.Is(err, &api.Error{Code: api.CodeDenied}) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for how, n := range scanMemory(t, agentPID(t), traced) {
		if n > 0 {
			t.Errorf("%d times in memory: a value that was %s", n, how)
		}
	}
}

// scanMemory returns how often the values stand in the memory of a process.
func scanMemory(t *testing.T, pid int, values map[string]string) map[string]int {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skip("only root may look into the memory of the agent: ", err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip("only root may look into the memory of the agent: ", err)
	}
	defer mem.Close()
	found, looked := map[string]int{}, int64(0)
	for how := range values {
		found[how] = 0
	}
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		b := make([]byte, to-from)
		n, err := io.ReadFull(io.NewSectionReader(mem, from, to-from), b)
		if n == 0 && err != nil {
			continue // reserved and never used
		}
		looked += int64(n)
		for how, v := range values {
			k := 0
			for at := 0; at+18 <= len(v); at += 18 { // a piece is a find, too
				k = max(k, bytes.Count(b[:n], []byte(v[at:at+18])))
			}
			if k > 0 {
				found[how] += k
				t.Logf("%s: %d in %s", how, k, lines.Text())
				if os.Getenv("NBHUSH_TEST_TRACE") == "around" {
					at := bytes.Index(b[:n], []byte(v))
					if at < 0 {
						continue
					}
					t.Logf("  at %x: %q", from+int64(at), bytes.ReplaceAll(b[max(0, at-80):min(n, at+len(v)+60)], []byte(v), []byte("<VALUE>")))
				}
			}
		}
	}
	if looked < 1<<20 {
		t.Fatalf("only %d bytes of memory could be read", looked)
	}
	t.Logf("%d bytes of memory", looked)
	return found
}
