package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// TestMain lets the tests start this binary again as a writer of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv("NBHUSH_TEST_ROLE"); role != "" {
		dir, err := os.Getwd()
		if err == nil {
			err = roles[role](dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// roles are what the test binary does when it is started again.
var roles = map[string]func(dir string) error{"write": writeForever, "add": addMany, "fill": fillDisk}

// again returns a command that runs this binary in role, in the folder dir.
func again(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "NBHUSH_TEST_ROLE="+role)
	return cmd
}

func random() secret.Value { return secret.New([]byte(rand.Text())) }

func vaultPath(t *testing.T) string { return filepath.Join(t.TempDir(), "data", "vault.age") }

func mustSet(t *testing.T, s store.Store, name secret.Name, v secret.Value) {
	t.Helper()
	if err := s.Set(name, v); err != nil {
		t.Fatalf("set %s: %v", name, err)
	}
}

func wantValue(t *testing.T, s store.Store, name secret.Name, want secret.Value) {
	t.Helper()
	got, err := s.Get(name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	if !got.Equal(want) {
		t.Fatalf("get %s: another value than was set", name)
	}
}

// hint returns the hint that err carries, or fails.
func hint(t *testing.T, err error) string {
	t.Helper()
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() == "" {
		t.Fatalf("%v has no hint", err)
	}
	return h.Hint()
}

func TestAnotherProcessReadsIt(t *testing.T) {
	path, v := vaultPath(t), random()
	mustSet(t, Open(path), "A", v)
	wantValue(t, Open(path), "A", v)

	for _, f := range []string{path, filepath.Join(filepath.Dir(path), "vault.key")} {
		st, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, st.Mode())
		}
	}
}

func TestAll(t *testing.T) {
	path := vaultPath(t)
	if all, err := Open(path).All(); err != nil || len(all) != 0 {
		t.Errorf("a vault that is not there yet: %d values, %v", len(all), err)
	}
	want := map[secret.Name]secret.Value{"A": random(), "B": random(), "C": random()}
	for name, v := range want {
		mustSet(t, Open(path), name, v)
	}
	got, err := Open(path).All()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d values, %v", len(got), err)
	}
	for name, v := range want {
		if !got[name].Equal(v) {
			t.Errorf("%s came back as another value", name)
		}
	}
}

// A long value lies in the vault behind a keyring; locking reaches it there.
func TestSpillLocks(t *testing.T) {
	path := vaultPath(t)
	large := Open(path)
	s := store.NewSpill(store.NewMemory(), large, 4)
	mustSet(t, s, "LONG", random())
	s.(interface{ Lock() }).Lock()
	if large.identity != nil {
		t.Error("the vault kept its key")
	}
	if err := s.(interface{ Unlock([]byte) error }).Unlock(nil); err != nil || large.identity == nil {
		t.Errorf("unlock: %v", err)
	}
}

// The promise of doc.go: the age program alone gets the secrets back.
func TestAgeAloneOpensIt(t *testing.T) {
	path, v := vaultPath(t), random()
	mustSet(t, Open(path), "A", v)
	key, err := os.Open(strings.TrimSuffix(path, ".age") + ".key")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = key.Close() }()
	ids, err := age.ParseIdentities(key)
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(src), ids...)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plain.String(), base64.StdEncoding.EncodeToString(v.Reveal())) {
		t.Error("the decrypted file does not hold the value in base64")
	}
}

func TestNoValueInAnyFile(t *testing.T) {
	path, v := vaultPath(t), random()
	s := Open(path)
	mustSet(t, s, "A", v)
	mustSet(t, s, "B", v)
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, v.Reveal()) || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(v.Reveal()))) {
			t.Errorf("%s holds the value", f.Name())
		}
	}
}

func TestPreviousGeneration(t *testing.T) {
	path := vaultPath(t)
	s, old := Open(path), random()
	mustSet(t, s, "A", old)
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "A", random())
	kept, err := os.ReadFile(path + ".1")
	if err != nil || !bytes.Equal(kept, first) {
		t.Errorf("vault.age.1 is not the generation before: %v", err)
	}
}

func TestOpenToOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	for _, f := range []string{"vault.age", "vault.key"} {
		for _, mode := range []fs.FileMode{0o640, 0o604, 0o660} {
			t.Run(fmt.Sprintf("%s %o", f, mode), func(t *testing.T) {
				path, v := vaultPath(t), random()
				mustSet(t, Open(path), "A", v)
				f := filepath.Join(filepath.Dir(path), f)
				if err := os.Chmod(f, mode); err != nil {
					t.Fatal(err)
				}
				_, err := Open(path).Get("A")
				if err == nil {
					t.Fatal("it was read")
				}
				if !strings.Contains(hint(t, err), "chmod 600 '"+f+"'") {
					t.Errorf("hint %q", hint(t, err))
				}
				if Open(path).Set("A", v) == nil {
					t.Error("it was written")
				}
				if err := os.Chmod(f, 0o600); err != nil {
					t.Fatal(err)
				}
				wantValue(t, Open(path), "A", v)
			})
		}
	}
}

func TestDamaged(t *testing.T) {
	cases := map[string]func([]byte) []byte{
		"empty":        func([]byte) []byte { return nil },
		"cut":          func(b []byte) []byte { return b[:len(b)-1] },
		"half":         func(b []byte) []byte { return b[:len(b)/2] },
		"flipped":      func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"flipped head": func(b []byte) []byte { b[3] ^= 1; return b },
		"longer":       func(b []byte) []byte { return append(b, 0) },
		"zeros":        func(b []byte) []byte { clear(b); return b },
		"another file": func([]byte) []byte { return []byte("hello") },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			path, old := vaultPath(t), random()
			mustSet(t, Open(path), "A", old)
			mustSet(t, Open(path), "B", secret.New(bytes.Repeat([]byte("x"), 200<<10)))
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := damage(bytes.Clone(good))
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s := Open(path)
			_, err = s.Get("A")
			if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), path) {
				t.Fatalf("get: %v", err)
			}
			if err := s.Set("A", random()); err == nil {
				t.Fatal("a damaged vault was overwritten")
			}
			if now, _ := os.ReadFile(path); !bytes.Equal(now, bad) {
				t.Fatal("a damaged vault was changed")
			}
			_, command, ok := strings.Cut(hint(t, err), "with: ")
			if !ok {
				t.Fatalf("hint %q names no command", hint(t, err))
			}
			if command != "nbhush vault rollback" {
				t.Errorf("the command is %q", command)
			}
			if mended, err := Open(path).Rollback(); err != nil || !mended {
				t.Fatalf("roll back: %v, %v", mended, err)
			}
			if kept, _ := os.ReadFile(path + ".damaged"); !bytes.Equal(kept, bad) {
				t.Error("what was damaged is not kept")
			}
			if mended, err := Open(path).Rollback(); err != nil || mended {
				t.Errorf("roll a whole vault back: %v, %v", mended, err)
			}
			wantValue(t, Open(path), "A", old)
		})
	}
}

// A file of more than one chunk of age that ends after a whole chunk must not
// pass for a shorter file.
func TestCutAfterAChunk(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	all := entries{"A": {Value: bytes.Repeat([]byte("x"), 200<<10)}}
	src, err := seal(all, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(src, identity); err != nil {
		t.Fatalf("whole: %v", err)
	}
	for cut := range 80 {
		if _, err := open(src[:len(src)-cut*4096/4-1], identity); err == nil {
			t.Fatalf("%d bytes short, and it opened", cut*1024+1)
		}
	}
}

func TestKeyMissingOrOther(t *testing.T) {
	path := vaultPath(t)
	key := strings.TrimSuffix(path, ".age") + ".key"
	mustSet(t, Open(path), "A", random())
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	check := func(name string) {
		t.Helper()
		_, err := Open(path).Get("A")
		if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s key: get: %v", name, err)
		}
		if hint(t, err) == "" || Open(path).Set("A", random()) == nil {
			t.Errorf("%s key: the vault was written", name)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, before) {
			t.Errorf("%s key: the vault was changed", name)
		}
	}
	check("missing")
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a key was made for a vault that has another")
	}
	if _, err := keyFile(key).create(); err != nil {
		t.Fatal(err)
	}
	check("other")
	text := rand.Text()
	if err := os.WriteFile(key, []byte("AGE-SECRET-KEY-1"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	check("damaged")
	if _, err := Open(path).Get("A"); strings.Contains(err.Error(), text) {
		t.Error("an error repeats a key")
	}
}

func TestGone(t *testing.T) {
	path := vaultPath(t)
	mustSet(t, Open(path), "A", random())
	mustSet(t, Open(path), "B", random())
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path).Get("A")
	if err == nil || errors.Is(err, store.ErrNotFound) {
		t.Fatalf("get: %v, as if there had never been a vault", err)
	}
	if !strings.Contains(hint(t, err), "nbhush vault rollback") {
		t.Errorf("hint %q", hint(t, err))
	}
	if Open(path).Set("A", random()) == nil {
		t.Error("a new vault was begun over the old one")
	}
}

// wrapKey wraps the key of the vault at path in a passphrase.
func wrapKey(t *testing.T, path, passphrase string, armored bool) {
	t.Helper()
	key := strings.TrimSuffix(path, ".age") + ".key"
	plain, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(4)
	var out bytes.Buffer
	dst := nopCloser{&out}
	a := armor.NewWriter(&out)
	if armored {
		dst = nopCloser{a}
	}
	w, err := age.Encrypt(dst, to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(plain)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if armored {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(key, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

type nopCloser struct {
	w interface{ Write([]byte) (int, error) }
}

func (n nopCloser) Write(b []byte) (int, error) { return n.w.Write(b) }

func TestPassphrase(t *testing.T) {
	for _, armored := range []bool{false, true} {
		t.Run(fmt.Sprintf("armored=%v", armored), func(t *testing.T) {
			path, v, pass := vaultPath(t), random(), rand.Text()
			mustSet(t, Open(path), "A", v)
			wrapKey(t, path, pass, armored)

			s := Open(path)
			if _, err := s.Get("A"); !errors.Is(err, store.ErrLocked) || !strings.Contains(hint(t, err), "nbhush agent unlock") {
				t.Fatalf("get while locked: %v", err)
			}
			if err := s.Set("B", v); !errors.Is(err, store.ErrLocked) {
				t.Fatalf("set while locked: %v", err)
			}
			if err := s.Unlock([]byte("not " + pass)); !errors.Is(err, store.ErrLocked) || strings.Contains(err.Error(), pass) {
				t.Fatalf("unlock with a wrong passphrase: %v", err)
			}
			if _, err := s.Get("A"); !errors.Is(err, store.ErrLocked) {
				t.Fatalf("get after a wrong passphrase: %v", err)
			}
			if err := s.Unlock([]byte(pass)); err != nil {
				t.Fatal(err)
			}
			wantValue(t, s, "A", v)
			mustSet(t, s, "B", v)
			s.Lock()
			if _, err := s.Get("A"); !errors.Is(err, store.ErrLocked) {
				t.Fatalf("get after Lock: %v", err)
			}
		})
	}
}

func TestUnlockWithoutPassphrase(t *testing.T) {
	path, v := vaultPath(t), random()
	s := Open(path)
	if err := s.Unlock(nil); err != nil {
		t.Fatalf("of nothing: %v", err)
	}
	mustSet(t, s, "A", v)
	s.Lock()
	if err := s.Unlock(nil); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "A", v)
}

func TestReadingMakesNothing(t *testing.T) {
	path := vaultPath(t)
	s := Open(path)
	if _, err := s.Get("A"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if names, err := s.Names(); err != nil || len(names) != 0 {
		t.Errorf("names: %v, %v", names, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a vault was made by reading")
	}
}

func TestKeyInAnotherStore(t *testing.T) {
	path, v, keys := vaultPath(t), random(), store.NewMemory()
	mustSet(t, OpenWithKeyIn(keys, path), "A", v)
	wantValue(t, OpenWithKeyIn(keys, path), "A", v)
	if _, err := os.Stat(strings.TrimSuffix(path, ".age") + ".key"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a key beside the vault")
	}
	if _, err := OpenWithKeyIn(store.NewMemory(), path).Get("A"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("without the key: %v", err)
	}
}

func TestTooLong(t *testing.T) {
	path, v := vaultPath(t), random()
	s := Open(path)
	mustSet(t, s, "A", v)
	if err := s.Set("B", secret.New(make([]byte, maxPlain))); err == nil {
		t.Fatal("more was written than can be read")
	}
	wantValue(t, s, "A", v)
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"version":1,"entries":{}}`))
	f.Add([]byte(`{"version":2,"entries":{}}`))
	f.Add([]byte(`{"version":1,"entries":{"A B":{"value":""}}}`))
	f.Add(appendJSON(nil, entries{"A": {Value: []byte("x")}, "B_2": {Value: []byte{0, 255}}}))
	f.Fuzz(func(t *testing.T, src []byte) {
		all, err := parseJSON(src)
		if err != nil {
			return
		}
		again, err := parseJSON(appendJSON(nil, all))
		if err != nil {
			t.Fatalf("what was written does not parse: %v", err)
		}
		if !slices.Equal(again.names(), all.names()) {
			t.Fatalf("names %v became %v", all.names(), again.names())
		}
		for name := range all {
			if !bytes.Equal(again[name].Value, all[name].Value) {
				t.Fatalf("the value of %s changed", name)
			}
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add([]byte(""), []byte(""))
	f.Add([]byte("# a comment\n"), []byte("x"))
	f.Add([]byte(armorMagic+"\nAAAA\n"+armor.Footer), []byte("x"))
	f.Add([]byte(ageMagic+"v1\n-> scrypt AAAA 30\nAAAA\n--- AAAA\n"), []byte("x"))
	path := filepath.Join(f.TempDir(), "vault.key")
	f.Fuzz(func(t *testing.T, src, passphrase []byte) {
		if err := os.WriteFile(path, src, 0o600); err != nil {
			t.Fatal(err)
		}
		identity, err := keyFile(path).load(passphrase)
		if (identity == nil) != (err != nil) {
			t.Fatal("neither a key nor an error, or both")
		}
	})
}

func filled(b *testing.B) *Vault {
	b.Helper()
	s := Open(filepath.Join(b.TempDir(), "vault.age"))
	for i := range 200 {
		if err := s.Set(secret.Name(fmt.Sprintf("NAME_%d", i)), random()); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkGetOf200(b *testing.B) {
	s := filled(b)
	for b.Loop() {
		if _, err := s.Get("NAME_7"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetOf200(b *testing.B) {
	s := filled(b)
	for b.Loop() {
		if err := s.Set("NAME_7", random()); err != nil {
			b.Fatal(err)
		}
	}
}
