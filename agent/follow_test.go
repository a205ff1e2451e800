package agent

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// servedIn is the file for what providers gave to kernels, as Serve has it.
func servedIn(h home.Home) *servedFile {
	path := filepath.Join(h.Run, "served.age")
	return &servedFile{vault.Open(path), path}
}

// next is the agent that comes after w, which ends as a killed one does not: in order, and with it the
// connections of the kernels that are still there.
func (w *world) next(t *testing.T, connected ...*session) *world {
	t.Helper()
	w.kernels.freeze()
	for _, s := range connected {
		s.end()
	}
	w.close()
	n := &world{home: w.home, store: w.store, journal: w.journal, project: w.project}
	n.agent = newAgent(parts{
		version: "test", store: w.store, index: w.index, approvals: w.approvals, allowed: w.home.Allowed(), grants: w.home.Grants(),
		audit: w.journal, log: w.log, ghosts: filepath.Join(w.home.Run, "kernels.json"), stop: func() {}, served: servedIn(w.home),
	})
	if err := n.epoch.open(filepath.Join(w.home.Run, api.EpochFile), w.log); err != nil {
		t.Fatal(err)
	}
	n.values.open()
	t.Cleanup(n.close)
	return n
}

// Kernels outlive the agent, and what they have of providers is known to the next
// one: from the file, also while the provider is away; or, where there is no file,
// not before the provider has answered, and until then nothing of them is searched.
func TestServedValuesOutliveTheAgent(t *testing.T) {
	h := tempHome(t)
	w := newWorldIn(t, h, servedIn(h))
	first, second := rand.Text(), rand.Text()
	dir := w.sourced(t, "[secrets]\nSOURCED = {from = \"dotenv://.env#A\", poll = \"1s\"}\n", map[string]string{".env": "A=" + first})
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	register := func(w *world) *session {
		s := &session{agent: w.agent, line: ancestors(t), exe: "test"}
		if _, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: dir, Argv0: "test"}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	known := func(s *session, values ...string) {
		t.Helper()
		for _, v := range values {
			if r, err := s.Find(t.Context(), []byte("x "+v)); err != nil || len(r.Spans) != 1 || r.Spans[0].Name != "SOURCED" {
				t.Errorf("%v, %v", r, err)
			}
		}
	}
	s := register(w)
	write("A=" + second)
	if v, err := s.Value(t.Context(), "SOURCED"); err != nil || string(v.Reveal()) != second {
		t.Fatal(err)
	}
	known(s, first, second)
	file, err := os.ReadFile(w.values.file.path)
	if err != nil || bytes.Contains(file, []byte(first)) || bytes.Contains(file, []byte(second)) {
		t.Fatalf("the file for the next agent: %v", err)
	}

	write("B=nothing")
	w = w.next(t, s)
	s = register(w)
	known(s, first, second)

	// The same after a lock.
	if _, err := w.session().Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), []byte("x")); err == nil {
		t.Error("a locked agent searches")
	}
	if _, err := w.session().Unlock(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	known(s, first, second)

	// Without the file the provider is asked, and until it answers there is no search.
	path := w.values.file.path
	for _, p := range []string{path, path + ".1"} {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	w = w.next(t)
	s = register(w)
	_, err = s.Find(t.Context(), []byte("x"))
	wantCode(t, "search while a value is not known", err, api.CodeWait)
	if _, err := w.session().Find(t.Context(), []byte("x")); err != nil {
		t.Errorf("what the owner searches: %v", err)
	}
	write("A=" + second)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err = s.Find(t.Context(), []byte("x")); err == nil {
			break
		}
	}
	known(s, second)

	// With the last kernel the file goes.
	s.end()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

// A new value is noted, and served to the kernel that has the old one.
func TestNewValueOfProviderReachesKernel(t *testing.T) {
	w := newWorld(t)
	first, second := rand.Text(), rand.Text()
	dir := w.sourced(t, "[secrets]\nSOURCED = {from = \"dotenv://.env#A\", poll = \"1s\"}\n", map[string]string{".env": "A=" + first})
	s := &session{agent: w.agent, line: ancestors(t), exe: "test"}
	if _, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: dir, Argv0: "test"}); err != nil {
		t.Fatal(err)
	}
	held := []api.Held{{Name: "SOURCED", Sum: sum(first)}}
	if r, err := s.Refresh(t.Context(), held); err != nil || len(r.New)+len(r.Gone) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	before := w.epochNow()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("A="+second), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); w.epochNow() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody asks")
		}
	}
	r, err := s.Refresh(t.Context(), held)
	if err != nil || string(r.New["SOURCED"]) != second {
		t.Fatalf("%d new, %v", len(r.New), err)
	}
	log, err := os.ReadFile(w.home.Audit())
	if err != nil || !bytes.Contains(log, []byte("dotenv://.env#A has a new value, which running kernels get")) {
		t.Error("the audit log does not say that a provider has a new value")
	}
	// Nobody is asked for a kernel that has ended.
	s.end()
	w.follows.mu.Lock()
	defer w.follows.mu.Unlock()
	if len(w.follows.docs) != 0 {
		t.Errorf("%d documents are followed for nobody", len(w.follows.docs))
	}
}

// A failed question comes later and later, and is noted once.
func TestPollFails(t *testing.T) {
	w := newWorld(t)
	dir := w.sourced(t, "[secrets]\nSOURCED = {from = \"openbao://kv/x#y\", poll = \"1s\"}\n[providers.openbao]\naddress = \"https://127.0.0.1:1\"\ntoken = \"store://LISTED\"\n", map[string]string{})
	w.set(t, "LISTED")
	p, err := w.projects.of(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := w.kernels.add(ancestors(t), nil, api.Kernel{Dir: dir})
	a := asker{line: ancestors(t), kernel: k}
	r := rule{project: p}
	f := &followed{kernels: map[*kernel]struct{}{k: {}}, has: map[string]sourceOf{r.sourceKey("SOURCED"): {dir: dir, name: "SOURCED"}}}
	for range 3 {
		w.poll(f, a)
	}
	if !f.failed || !f.next.After(time.Now()) {
		t.Errorf("%+v", f)
	}
	log, err := os.ReadFile(w.home.Audit())
	if err != nil || bytes.Count(log, []byte(`"verdict":"error"`)) != 1 {
		t.Errorf("noted %d times", bytes.Count(log, []byte(`"verdict":"error"`)))
	}
	src := r.source("SOURCED", a)
	if src.Poll != time.Second {
		t.Errorf("poll is %v", src.Poll)
	}
}

func sum(value string) []byte {
	s := sha256.Sum256([]byte(value))
	return s[:]
}
