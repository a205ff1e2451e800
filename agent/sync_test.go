package agent

import (
	"crypto/rand"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// take merges what from knows into w, as Sync does through a file.
func (w *world) take(t *testing.T, from *world) {
	t.Helper()
	theirs, err := from.records()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := sealRecords(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = parseRecords(plain); err != nil {
		t.Fatal(err)
	}
	ours, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(ours)
	for name, their := range theirs {
		all[name] = merge(all[name].Clone(), their, false)
	}
	if _, err := w.apply(ours, all); err != nil {
		t.Fatal(err)
	}
}

// state is what w has, by name.
func (w *world) state(t *testing.T) map[secret.Name]string {
	t.Helper()
	values, err := w.values.readAll()
	if err != nil {
		t.Fatal(err)
	}
	state := map[secret.Name]string{}
	for name, v := range values {
		state[name] = string(v.Reveal())
	}
	return state
}

// TestSyncLosesNothing changes two machines at random and merges them in either
// order: in the end they agree, and every value that was ever set is a version.
func TestSyncLosesNothing(t *testing.T) {
	a, b := newWorld(t), newWorld(t)
	set := map[secret.Name][]string{}
	for range 60 {
		for range mrand.IntN(5) {
			w := []*world{a, b}[mrand.IntN(2)]
			name := secret.Name(fmt.Sprintf("NAME_%d", mrand.IntN(80)))
			if len(set[name]) >= 9 {
				continue // the history is full
			}
			if mrand.IntN(4) == 0 {
				_, _ = w.session().Delete(t.Context(), name)
				continue
			}
			set[name] = append(set[name], w.set(t, name))
		}
		switch mrand.IntN(3) {
		case 0:
			a.take(t, b)
		case 1:
			b.take(t, a)
		}
	}
	a.take(t, b)
	b.take(t, a)
	sa, sb := a.state(t), b.state(t)
	if !maps.Equal(sa, sb) {
		t.Errorf("the two do not agree: %d and %d secrets", len(sa), len(sb))
	}
	for _, w := range []*world{a, b} {
		all, err := w.records()
		if err != nil {
			t.Fatal(err)
		}
		for name, texts := range set {
			for _, text := range texts {
				if !has(all[name], secret.New([]byte(text))) {
					t.Errorf("a value of %s is lost; %d were set, %d are kept", name, len(texts), len(all[name].Versions))
				}
			}
		}
	}
	// Once more changes nothing.
	before := fmt.Sprint(a.state(t))
	a.take(t, b)
	if fmt.Sprint(a.state(t)) != before {
		t.Error("a merge of the same is not nothing")
	}
}

// What another program wrote into the store is a version like any other.
func TestStoreIsTheTruth(t *testing.T) {
	w := newWorld(t)
	first := w.set(t, "A")
	outside := rand.Text()
	if err := w.store.Set("A", secret.New([]byte(outside))); err != nil {
		t.Fatal(err)
	}
	w.set(t, "A")
	rec, err := w.record("A")
	if err != nil || len(rec.Versions) != 3 || !has(rec, secret.New([]byte(first))) || !has(rec, secret.New([]byte(outside))) {
		t.Errorf("%d versions, %v", len(rec.Versions), err)
	}
	if err := w.store.Delete("A"); err != nil {
		t.Fatal(err)
	}
	list, err := w.session().History(t.Context(), "A")
	if err != nil || len(list) != 3 || list[0].Number != 1 {
		t.Errorf("after it was removed by another program: %v, %v", list, err)
	}
}

// A store that fails takes nothing into the history.
func TestFailedSetIsNoVersion(t *testing.T) {
	w := newWorld(t)
	w.set(t, "A")
	w.store.onSet.Store(failing(os.ErrPermission))
	if _, err := w.session().Set(t.Context(), "A", secret.New([]byte(rand.Text()))); err == nil {
		t.Fatal("no error")
	}
	rec, err := w.past.Get("A")
	if err != nil || len(rec.Versions) != 1 {
		t.Errorf("%d versions, %v", len(rec.Versions), err)
	}
}

// A kernel may do none of this.
func TestCareIsForTheOwner(t *testing.T) {
	w := newWorld(t)
	w.set(t, "LISTED")
	hook := w.session(10)
	if _, err := hook.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "all.age")
	for what, do := range map[string]func() error{
		"history":    func() error { _, err := hook.History(t.Context(), "LISTED"); return err },
		"restore":    func() error { _, err := hook.Restore(t.Context(), "LISTED", w.started); return err },
		"forget":     func() error { _, err := hook.Forget(t.Context(), "LISTED"); return err },
		"passphrase": func() error { _, err := hook.Passphrase(t.Context(), nil, []byte("x")); return err },
		"rollback":   func() error { _, err := hook.Rollback(t.Context()); return err },
		"move":       func() error { _, err := hook.Move(t.Context(), store.KindKeyring); return err },
		"audit head": func() error { _, err := hook.AuditHead(t.Context()); return err },
		"accept":     func() error { _, err := hook.AcceptAudit(t.Context()); return err },
		"sync": func() error {
			_, err := hook.Sync(t.Context(), api.SyncRequest{Path: path, Passphrase: []byte("x"), Write: true})
			return err
		},
	} {
		wantCode(t, what, do(), api.CodeDenied)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a kernel wrote a backup")
	}
}

func FuzzParseRecords(f *testing.F) {
	f.Add([]byte(`{"version":1,"secrets":{"A":{"versions":[{"value":"dHdv","since":"2026-01-02T03:04:05Z"}]}}}`))
	f.Add([]byte(`{"version":1,"secrets":{"A":{"removed":"2026-01-01T00:00:00Z"}}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		all, err := parseRecords(src)
		if err != nil {
			return
		}
		plain, err := sealRecords(all)
		if err != nil {
			return // a year that JSON cannot say
		}
		again, err := parseRecords(plain)
		if err != nil || !maps.EqualFunc(all, again, sameRecord) {
			t.Fatalf("%v: %d records became %d", err, len(all), len(again))
		}
	})
}
