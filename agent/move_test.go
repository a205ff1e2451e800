package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// folder is a keyring for tests that outlives the process: a file a name.
type folder string

func (f folder) Kind() string { return store.KindKeyring }

func (f folder) Get(name secret.Name) (secret.Value, error) {
	b, err := os.ReadFile(filepath.Join(string(f), string(name)))
	if errors.Is(err, os.ErrNotExist) {
		err = store.ErrNotFound
	}
	return secret.New(b), err
}

func (f folder) Set(name secret.Name, v secret.Value) error {
	return savefile.Write(filepath.Join(string(f), string(name)), v.Reveal(), 0o600)
}

func (f folder) Delete(name secret.Name) error {
	err := os.Remove(filepath.Join(string(f), string(name)))
	if errors.Is(err, os.ErrNotExist) {
		err = store.ErrNotFound
	}
	return err
}

func (f folder) Names() (names []secret.Name, err error) {
	all, err := os.ReadDir(string(f))
	for _, e := range all {
		if name, err := secret.ParseName(e.Name()); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// mover is a home with a keyring of its own.
func mover(t testing.TB, limit int) move {
	t.Helper()
	m := move{tempHome(t), folder(filepath.Join(t.TempDir(), "keyring")), limit}
	for _, dir := range []string{string(m.keyring.(folder)), m.home.Config} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Choose(m.home.ConfigFile(), store.KindVault); err != nil {
		t.Fatal(err)
	}
	return m
}

// open is what an agent would open.
func (m move) open() (kind string, s store.Store, past *store.Past, err error) {
	kind, err = store.Chosen(m.home.ConfigFile())
	if kind == store.KindKeyring {
		_, item := m.vaults()
		return kind, store.NewSpill(m.keyring, item, m.limit), store.NewPast(vault.OpenWithKeyIn(m.keyring, m.home.Past())), err
	}
	v := vault.Open(m.home.Vault())
	return kind, v, pastOf(v, m.home.Past()), err
}

func other(kind string) string {
	if kind == store.KindVault {
		return store.KindKeyring
	}
	return store.KindVault
}

func (m move) all(t testing.TB) map[secret.Name]string {
	t.Helper()
	_, s, past, err := m.open()
	if err != nil {
		t.Fatal(err)
	}
	names, err := s.Names()
	if err != nil {
		t.Fatal(err)
	}
	all := map[secret.Name]string{}
	for _, name := range names {
		v, err := s.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(v.Reveal())
	}
	if _, err := past.All(); err != nil {
		t.Errorf("the former values cannot be read: %v", err)
	}
	return all
}

func TestMove(t *testing.T) {
	for _, limit := range []int{0, 50} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			m := mover(t, limit)
			_, s, past, err := m.open()
			if err != nil {
				t.Fatal(err)
			}
			want := map[secret.Name]string{"A": rand.Text(), "B": rand.Text(), "LONG": strings.Repeat(rand.Text(), 9)}
			for name, text := range want {
				if err := s.Set(name, secret.New([]byte(text))); err != nil {
					t.Fatal(err)
				}
			}
			if err := past.Put("A", store.Record{Versions: []store.Version{{Value: secret.New([]byte(rand.Text())), Since: time.Now()}}}); err != nil {
				t.Fatal(err)
			}
			hidden := rand.Text()
			if err := m.keyring.Set("B", secret.New([]byte(hidden))); err != nil { // from another time
				t.Fatal(err)
			}
			for range 3 {
				kind, s, past, err := m.open()
				if err != nil {
					t.Fatal(err)
				}
				if err := m.begin(moveNote{kind, other(kind), []secret.Name{"A", "B", "LONG"}}, s, past); err != nil {
					t.Fatal(err)
				}
				if got := m.all(t); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("after the change of the settings there are %d secrets, or others", len(got))
				}
				if err := m.resume(); err != nil {
					t.Fatal(err)
				}
				if got := m.all(t); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("at the end there are %d secrets, or others", len(got))
				}
				if now, _, _, _ := m.open(); now != other(kind) {
					t.Fatalf("the store is %s", now)
				}
				if _, err := os.Stat(m.path()); err == nil {
					t.Error("the note stays")
				}
				key := strings.TrimSuffix(m.home.Vault(), ".age") + ".key"
				if _, err := os.Stat(key); (err == nil) != (kind == store.KindKeyring) {
					t.Errorf("the key's file: %v", err)
				}
				names, _ := m.keyring.Names()
				if kind == store.KindKeyring && len(names) > 0 {
					t.Errorf("the keyring still holds %v", names)
				}
			}
			_, _, past, _ = m.open()
			rec, err := past.Get("B")
			if err != nil || len(rec.Versions) == 0 || string(rec.Versions[len(rec.Versions)-1].Value.Reveal()) != hidden {
				t.Errorf("what the keyring had before is lost: %v", err)
			}
		})
	}
}

// playMove moves to and fro for ever.
func playMove(keyring string) error {
	h, err := home.Find(os.Getenv)
	if err != nil {
		return err
	}
	m := move{h, folder(keyring), 0}
	for {
		if err := m.resume(); err != nil {
			return err
		}
		kind, s, past, err := m.open()
		if err != nil {
			return err
		}
		names, err := s.Names()
		if err != nil {
			return err
		}
		fmt.Println("moving")
		if err := m.begin(moveNote{kind, other(kind), names}, s, past); err != nil {
			return err
		}
	}
}

func TestMoveKilled(t *testing.T) {
	m := mover(t, 0)
	_, s, _, err := m.open()
	if err != nil {
		t.Fatal(err)
	}
	want := map[secret.Name]string{}
	for i := range 8 {
		name, text := secret.Name(fmt.Sprintf("N%d", i)), rand.Text()
		want[name] = text
		if err := s.Set(name, secret.New([]byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	kills := 60
	if testing.Short() {
		kills = 5
	}
	cut := 0
	for i := range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "play", "move", string(m.keyring.(folder)))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("round %d: the mover ended: %v", i, err)
		}
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(60*time.Millisecond)))
		time.Sleep(time.Duration(n.Int64())) // only moves the point of the kill
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("round %d: the mover ended by itself: %v", i, err)
		}
		if _, err := os.Stat(m.path()); err == nil {
			cut++
		}
		got := m.all(t)
		for name, text := range want {
			if got[name] != text {
				t.Fatalf("round %d: %s is lost, or another", i, name)
			}
		}
		if err := m.resume(); err != nil {
			t.Fatalf("round %d: resume: %v", i, err)
		}
		if got := m.all(t); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d: after the resume there are %d secrets, or others", i, len(got))
		}
	}
	if cut == 0 {
		t.Errorf("none of %d kills cut a move off", kills)
	}
}
