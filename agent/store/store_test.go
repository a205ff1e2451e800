package store_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

func random() secret.Value { return secret.New([]byte(rand.Text())) }

func TestStores(t *testing.T) {
	file := func(t *testing.T) string { return filepath.Join(t.TempDir(), "vault.age") }
	for name, open := range map[string]func(*testing.T) store.Store{
		"memory": func(*testing.T) store.Store { return store.NewMemory() },
		"vault":  func(t *testing.T) store.Store { return vault.Open(file(t)) },
		"spill": func(t *testing.T) store.Store {
			small := store.NewMemory()
			return store.NewSpill(small, vault.OpenWithKeyIn(small, file(t)), 20)
		},
	} {
		t.Run(name, func(t *testing.T) { testStore(t, open(t)) })
	}
}

// testStore holds an empty store to what the interface promises.
func testStore(t *testing.T, s store.Store) {
	t.Run("nothing", func(t *testing.T) {
		if _, err := s.Get("A"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get: %v", err)
		}
		if err := s.Delete("A"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delete: %v", err)
		}
		wantNames(t, s)
	})
	t.Run("values", func(t *testing.T) {
		for kind, v := range map[string]secret.Value{
			"text": random(), "one byte": secret.New([]byte("x")), "lines": secret.New([]byte("a\r\nb\n\x00c")),
			"not UTF-8": secret.New([]byte{0xff, 0xfe, 0, 0x80}), "long": secret.New(bytes.Repeat([]byte(rand.Text()), 4000)),
			"blank": secret.New([]byte("  x  ")),
		} {
			mustSet(t, s, "A", v)
			got, err := s.Get("A")
			if err != nil || !got.Equal(v) {
				t.Errorf("%s: another value came back: %v", kind, err)
			}
		}
	})
	t.Run("ownership", func(t *testing.T) {
		mine := random()
		want := mine.Clone()
		mustSet(t, s, "A", mine)
		mine.Wipe()
		first, err := s.Get("A")
		if err != nil {
			t.Fatal(err)
		}
		first.Wipe()
		wantValue(t, s, "A", want)
	})
	t.Run("names", func(t *testing.T) {
		mustSet(t, s, "ZED", random())
		mustSet(t, s, "_B", random())
		wantNames(t, s, "A", "ZED", "_B")
		if err := s.Delete("ZED"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get("ZED"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get after delete: %v", err)
		}
		if err := s.Delete("ZED"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("second delete: %v", err)
		}
		wantNames(t, s, "A", "_B")
	})
	t.Run("at once", func(t *testing.T) {
		var all sync.WaitGroup
		for _, name := range []secret.Name{"C1", "C2", "C3", "C4"} {
			all.Go(func() {
				for range 5 {
					v := random()
					if err := s.Set(name, v); err != nil {
						t.Errorf("set: %v", err)
					}
					if got, err := s.Get(name); err != nil || !got.Equal(v) {
						t.Errorf("another value came back: %v", err)
					}
				}
			})
		}
		all.Wait()
		wantNames(t, s, "A", "C1", "C2", "C3", "C4", "_B")
	})
}

func mustSet(t *testing.T, s store.Store, name secret.Name, v secret.Value) {
	t.Helper()
	if err := s.Set(name, v); err != nil {
		t.Fatalf("set %s: %v", name, err)
	}
}

func wantValue(t *testing.T, s store.Store, name secret.Name, want secret.Value) {
	t.Helper()
	if got, err := s.Get(name); err != nil || !got.Equal(want) {
		t.Fatalf("get %s: another value than was set: %v", name, err)
	}
}

func wantNames(t *testing.T, s store.Store, want ...secret.Name) {
	t.Helper()
	names, err := s.Names()
	// A store in memory that stands for a keyring shows the key of the vault, too.
	names = slices.DeleteFunc(names, func(n secret.Name) bool { return strings.HasPrefix(string(n), "NBHUSH_") })
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("names %v, %v, want %v", names, err, want)
	}
}

// A crash is a write that happened with none after it: after each, the old or
// the new value is there, and a deletion brings no older one back.
func TestSpillCutOff(t *testing.T) {
	const limit = 30
	short, long := random(), secret.New([]byte(rand.Text()+rand.Text()))
	for _, c := range []struct {
		name       string
		before, to secret.Value
	}{
		{"short to long", short, long},
		{"long to short", long, short},
		{"short to nothing", short, secret.Value{}},
		{"long to nothing", long, secret.Value{}},
	} {
		for writes := range 3 {
			small, large := store.NewMemory(), store.NewMemory()
			whole := store.NewSpill(small, large, limit)
			mustSet(t, whole, "A", c.before)
			left := writes
			s := store.NewSpill(mortal{small, &left}, mortal{large, &left}, limit)
			var err error
			if c.to.Len() == 0 {
				err = s.Delete("A")
			} else {
				err = s.Set("A", c.to)
			}
			got, getErr := whole.Get("A")
			switch {
			case err == nil && c.to.Len() == 0 && errors.Is(getErr, store.ErrNotFound):
			case err == nil && getErr == nil && got.Equal(c.to):
			case err != nil && getErr == nil && (got.Equal(c.before) || got.Equal(c.to)):
			case err != nil && c.to.Len() == 0 && errors.Is(getErr, store.ErrNotFound):
			default:
				t.Errorf("%s, cut off after %d writes (%v): neither old nor new: %v", c.name, writes, err, getErr)
			}
		}
	}
}

// mortal is a store that fails after left writes.
type mortal struct {
	store.Store
	left *int
}

var errDead = errors.New("dead")

func (m mortal) Set(n secret.Name, v secret.Value) error {
	if *m.left--; *m.left < 0 {
		return errDead
	}
	return m.Store.Set(n, v)
}

func (m mortal) Delete(n secret.Name) error {
	if *m.left--; *m.left < 0 {
		return errDead
	}
	return m.Store.Delete(n)
}

func TestSpillPlaces(t *testing.T) {
	small, large := store.NewMemory(), store.NewMemory()
	s := store.NewSpill(small, large, 5)
	mustSet(t, s, "A", secret.New([]byte("12345")))
	mustSet(t, s, "B", secret.New([]byte("123456")))
	wantNames(t, small, "A")
	wantNames(t, large, "B")
	mustSet(t, s, "A", secret.New([]byte("123456")))
	mustSet(t, s, "B", secret.New([]byte("12345")))
	wantNames(t, small, "B")
	wantNames(t, large, "A")
	if s.Kind() != small.Kind() || store.NewSpill(small, large, 0) != small {
		t.Error("without a limit it is not the small store")
	}
}
