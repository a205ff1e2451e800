package agent

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
)

// The two packages import nothing of each other.
func TestPolicyKnowsEveryProvider(t *testing.T) {
	if got := provider.Schemes(); !slices.Equal(got, policy.Providers) {
		t.Errorf("policy.Providers is %v, want %v", policy.Providers, got)
	}
}

// sourced writes a project with this nbhush.toml and files, and approves it.
func (w *world) sourced(t *testing.T, config string, files map[string]string) string {
	t.Helper()
	dir := w.writeProject(t)
	for name, text := range map[string]string{policy.FileName: config} {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.approve(t, dir)
	return dir
}

func TestSourcedValues(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		value, next := rand.Text(), rand.Text()
		dir := e.sourced(t, "[secrets]\nSOURCED = \"dotenv://.env#A\"\nMISSING = \"dotenv://.env#B\"\n", map[string]string{".env": "A=" + value})
		got, err := e.Get(ctx, []secret.Name{"SOURCED"}, dir)
		if err != nil || string(got["SOURCED"].Reveal()) != value {
			t.Fatalf("the owner's get: %v", err)
		}
		// Elsewhere the name means nothing, and so it does before approval.
		_, err = e.Get(ctx, []secret.Name{"SOURCED"}, e.project)
		wantCode(t, "get in another project", err, api.CodeNotFound)
		other := e.writeProject(t)
		if err := os.WriteFile(filepath.Join(other, policy.FileName), []byte("[secrets]\nSOURCED = \"dotenv://.env\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = e.Get(ctx, []secret.Name{"SOURCED"}, other)
		wantCode(t, "get without approval", err, api.CodeDenied)

		// A kernel gets what is there, and is told what is not.
		s, end := e.stream()
		defer end()
		g, err := s.RegisterKernel(ctx, api.Kernel{Dir: dir, Argv0: "test"})
		if err != nil || string(g.Values["SOURCED"]) != value || len(g.Values) != 1 {
			t.Fatalf("grant of %d values, %v", len(g.Values), err)
		}
		if g.Notice == nil || g.Notice.Code != api.CodeProvider || !strings.HasPrefix(g.Notice.Message, "MISSING: dotenv: dotenv://.env#B: ") || g.Notice.Mend == "" {
			t.Errorf("notice %+v", g.Notice)
		}
		// What was served is known, also after it changed.
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("A="+next), 0o600); err != nil {
			t.Fatal(err)
		}
		before := e.epochNow()
		if v, err := s.Value(ctx, "SOURCED"); err != nil || string(v.Reveal()) != next {
			t.Fatalf("after a change: %v", err)
		}
		if e.epochNow() == before {
			t.Error("hooks are not told that the value changed")
		}
		for _, v := range []string{value, next} {
			if r, err := s.Find(ctx, []byte("x "+v)); err != nil || len(r.Spans) != 1 || r.Spans[0].Name != "SOURCED" {
				t.Errorf("%v, %v", r, err)
			}
		}
		log, err := os.ReadFile(e.home.Audit())
		if err != nil || !bytes.Contains(log, []byte("from dotenv://.env#A")) || bytes.Contains(log, []byte(value)) || bytes.Contains(log, []byte(next)) {
			t.Error("the audit log does not say from where, or says what")
		}
	})
}

func TestLockForgetsWhatWasServed(t *testing.T) {
	w := newWorld(t)
	value := rand.Text()
	dir := w.sourced(t, "[secrets]\nSOURCED = \"dotenv://.env#A\"\n", map[string]string{".env": "A=" + value})
	if _, err := w.session().Get(t.Context(), []secret.Name{"SOURCED"}, dir); err != nil {
		t.Fatal(err)
	}
	var served secret.Value
	for _, h := range w.values.served {
		served = h.value
	}
	if served.Len() == 0 {
		t.Fatal("nothing was kept")
	}
	if _, err := w.session().Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if served.Len() != 0 || len(w.values.served) != 0 {
		t.Error("the value is still there")
	}
	_, err := w.session().Get(t.Context(), []secret.Name{"SOURCED"}, dir)
	wantCode(t, "get while locked", err, api.CodeLocked)
	if _, err := w.session().Unlock(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.session().Get(t.Context(), []secret.Name{"SOURCED"}, dir); err != nil {
		t.Errorf("after unlock: %v", err)
	}
}

func (w *world) epochNow() uint64 {
	w.epoch.mu.Lock()
	defer w.epoch.mu.Unlock()
	return w.epoch.n
}

// slow puts a provider on PATH that answers when the file go is there.
func slow(t *testing.T, value string) (release func()) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the provider of this test is a shell script")
	}
	dir := t.TempDir()
	script := "#!/bin/sh\nread -r q\nwhile ! [ -e " + dir + "/go ]; do sleep 0.02; done\nid=$(printf %s \"$q\" | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')\nprintf '{\"id\":%s,\"value\":\"" + value + "\"}\\n' \"$id\"\n"
	if err := peers.WriteProgram(filepath.Join(dir, "nbhush-provider-slow"), script); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return func() {
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// A provider that takes its time holds up neither a kernel's start nor the text
// that waits to be searched on the same stream.
func TestSlowProvider(t *testing.T) {
	value := rand.Text()
	release := slow(t, value)
	w := newWorld(t)
	w.listen(t)
	stored := w.set(t, "LISTED")
	dir := w.sourced(t, "[secrets]\nLISTED = {}\nSLOW = \"slow://x\"\n[providers.slow]\n", map[string]string{})
	c := &client.Client{NoStart: true}
	defer c.Close()
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	g, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: dir, Argv0: "test"})
	if err != nil || string(g.Values["LISTED"]) != stored || g.Notice == nil || g.Notice.Code != api.CodeWait {
		t.Fatalf("grant of %d values, notice %+v, %v", len(g.Values), g.Notice, err)
	}
	got := make(chan secret.Value, 1)
	go func() {
		v, err := s.Get(t.Context(), "SLOW")
		if err != nil {
			t.Error(err)
		}
		got <- v
	}()
	for range 20 {
		if r, err := s.Find(t.Context(), []byte(stored)); err != nil || len(r.Spans) != 1 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	select {
	case <-got:
		t.Fatal("there is a value before the provider gave one")
	default:
	}
	release()
	if v := <-got; string(v.Reveal()) != value {
		t.Error("another value")
	}
	if v, err := s.Get(t.Context(), "SLOW"); err != nil || string(v.Reveal()) != value {
		t.Errorf("again, from memory: %v", err)
	}
	if r, err := s.Find(t.Context(), []byte(value)); err != nil || len(r.Spans) != 1 {
		t.Errorf("the value is not known: %v, %v", r, err)
	}
}

// Without its providers the agent starts and serves what it has.
func TestOfflineStart(t *testing.T) {
	w := newWorld(t)
	stored := w.set(t, "LISTED")
	dir := w.sourced(t, `[secrets]
LISTED = {}
AWAY = "openbao://kv/x#y"
[providers.openbao]
address = "https://127.0.0.1:1"
token = "store://LISTED"
`, map[string]string{})
	if st, err := w.session().Status(t.Context()); err != nil || st.Locked {
		t.Errorf("%+v, %v", st, err)
	}
	got, err := w.session().Get(t.Context(), []secret.Name{"LISTED"}, dir)
	if err != nil || string(got["LISTED"].Reveal()) != stored {
		t.Errorf("what is stored: %v", err)
	}
	_, err = w.session().GetAll(t.Context(), dir)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeProvider || !strings.HasPrefix(e.Message, "AWAY: openbao: openbao://kv/x#y: ") || e.Mend == "" || strings.Contains(e.Message, "\n") {
		t.Errorf("what is away: %v", err)
	}
}

// A kernel inside another one does not choose where a name comes from for it.
func TestNestedSourcesAgree(t *testing.T) {
	ref := func(s string) secret.Ref {
		r, err := secret.ParseRef(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	from := func(path, ref0 string) project {
		s := policy.Secret{}
		if ref0 != "" {
			s.From = ref(ref0)
		}
		hash := strings.Repeat("0", 64)
		return project{
			path: path, hash: hash, approval: &policy.Approval{Path: path, Hash: hash},
			config: &policy.Config{Secrets: map[secret.Name]policy.Secret{"A": s}},
		}
	}
	unapproved := func(p project) project {
		p.approval = nil
		return p
	}
	for _, c := range []struct {
		name         string
		inner, outer project
		agree        bool
	}{
		{"both the store", from("/a/nbhush.toml", ""), from("/b/nbhush.toml", ""), true},
		{"the same file", from("/a/nbhush.toml", "env://X"), from("/a/nbhush.toml", "env://X"), true},
		{"another source", from("/a/nbhush.toml", "env://X"), from("/b/nbhush.toml", "env://Y"), false},
		{"another folder, to which it is relative", from("/a/nbhush.toml", "file://x"), from("/b/nbhush.toml", "file://x"), false},
		{"a source instead of the store", from("/a/nbhush.toml", "env://X"), from("/b/nbhush.toml", ""), false},
		{"a source that nobody approved", unapproved(from("/a/nbhush.toml", "env://X")), from("/b/nbhush.toml", "env://X"), false},
		{"sources that nobody approved", unapproved(from("/a/nbhush.toml", "env://X")), unapproved(from("/b/nbhush.toml", "env://Y")), true},
	} {
		p, err := scope{rules: []rule{{project: c.inner}, {project: c.outer}}}.from("A")
		if (err == nil) != c.agree {
			t.Errorf("%s: %v, %v", c.name, p, err)
		}
		if c.agree && p != nil && p.approval == nil {
			t.Errorf("%s: from %s, which is not approved", c.name, p.path)
		}
	}
}

// The environment is that of the process that asks, as it was started.
func TestEnvironmentSource(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows it")
	}
	w := asker{line: []socket.Process{{PID: os.Getpid()}}}
	if got := w.environment()("PATH"); got == "" {
		t.Error("PATH is not found")
	}
	t.Setenv("NBHUSH_SET_LATER", "x")
	if got := w.environment()("NBHUSH_SET_LATER"); got != "" {
		t.Error("a variable that was set after the start is found")
	}
}
