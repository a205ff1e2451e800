package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

func indexPath(t *testing.T) string { return filepath.Join(t.TempDir(), "data", "index.json") }

func entryNames(all []store.Entry) (names []secret.Name) {
	for _, e := range all {
		names = append(names, e.Name)
	}
	return names
}

func TestIndex(t *testing.T) {
	path := indexPath(t)
	x := store.NewIndex(path)
	if all, err := x.List(); err != nil || len(all) != 0 {
		t.Fatalf("new: %v, %v", all, err)
	}
	first, replaced, err := x.Put("B", store.KindVault)
	if err != nil || replaced || first.Created.IsZero() || first.Created != first.Updated {
		t.Fatalf("put: %+v, %v, %v", first, replaced, err)
	}
	again, replaced, err := x.Put("B", store.KindKeyring)
	if err != nil || !replaced || !again.Created.Equal(first.Created) || again.Updated.Before(first.Updated) || again.Kind != store.KindKeyring {
		t.Fatalf("put again: %+v, %v, %v", again, replaced, err)
	}
	if _, _, err := x.Put("A", store.KindVault); err != nil {
		t.Fatal(err)
	}
	all, err := store.NewIndex(path).List()
	if err != nil || !slices.Equal(entryNames(all), []secret.Name{"A", "B"}) || !all[1].Created.Equal(first.Created) {
		t.Fatalf("list: %v, %v", all, err)
	}
	if was, err := x.Delete("B"); err != nil || was.Name != "B" {
		t.Fatalf("delete: %v, %v", was, err)
	}
	if _, err := x.Delete("B"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("second delete: %v", err)
	}
}

func TestIndexManyWriters(t *testing.T) {
	path := indexPath(t)
	var all sync.WaitGroup
	for w := range 4 { // each with an Index of its own, as a process has
		all.Go(func() {
			x := store.NewIndex(path)
			for i := range 10 {
				if _, _, err := x.Put(secret.Name(fmt.Sprintf("N%d_%d", w, i)), store.KindVault); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got, err := store.NewIndex(path).List(); err != nil || len(got) != 40 {
		t.Errorf("%d entries, %v, want 40", len(got), err)
	}
}

func TestIndexHeals(t *testing.T) {
	path := indexPath(t)
	x, s := store.NewIndex(path), store.NewMemory()
	for _, name := range []secret.Name{"KEPT", "LOST"} {
		if _, _, err := x.Put(name, s.Kind()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := x.Put("ELSEWHERE", store.KindKeyring); err != nil {
		t.Fatal(err)
	}
	kept, err := x.List()
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "KEPT", random())
	mustSet(t, s, "FOUND", random())
	all, err := x.Load(s)
	if err != nil || !slices.Equal(entryNames(all), []secret.Name{"ELSEWHERE", "FOUND", "KEPT"}) {
		t.Fatalf("load: %v, %v", all, err)
	}
	if !all[2].Created.Equal(kept[1].Created) {
		t.Error("a kept entry lost its time")
	}
	if all[1].Created.IsZero() || all[1].Kind != s.Kind() {
		t.Errorf("found entry %+v", all[1])
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Load(s); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("an index that was right was written")
	}
}

func TestIndexDamaged(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "half": `{"version":1,"secrets":[{"na`, "list": "[]", "bad name": `{"version":1,"secrets":[{"name":"A B"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "index.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			x, s := store.NewIndex(path), store.NewMemory()
			mustSet(t, s, "A", random())
			if _, err := x.List(); err == nil {
				t.Error("list of a damaged index")
			}
			if _, _, err := x.Put("B", store.KindMemory); err == nil {
				t.Error("a damaged index was overwritten")
			}
			all, err := x.Load(s)
			if err != nil || !slices.Equal(entryNames(all), []secret.Name{"A"}) {
				t.Errorf("load: %v, %v", all, err)
			}
			if kept, err := os.ReadFile(path + ".damaged"); err != nil || string(kept) != content {
				t.Errorf("the damaged index was not kept: %v", err)
			}
		})
	}
}

// A newer program's index is not ours to put aside.
func TestIndexNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.json")
	if err := os.WriteFile(path, []byte(`{"version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewIndex(path).Load(store.NewMemory()); err == nil {
		t.Error("it was loaded")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != `{"version":2}` {
		t.Error("it was changed")
	}
}

// unlisted is a store like the keyrings of macOS and Windows.
type unlisted struct{ store.Store }

func (unlisted) Names() ([]secret.Name, error) {
	return nil, fmt.Errorf("list: %w", errors.ErrUnsupported)
}

func TestIndexOfAStoreThatCannotList(t *testing.T) {
	x := store.NewIndex(indexPath(t))
	if _, _, err := x.Put("A", store.KindMemory); err != nil {
		t.Fatal(err)
	}
	all, err := x.Load(unlisted{store.NewMemory()})
	if err != nil || !slices.Equal(entryNames(all), []secret.Name{"A"}) {
		t.Errorf("load: %v, %v", all, err)
	}
}
