package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// move carries all secrets from one kind of store to the other:
//
//	note the move ─▶ copy the key ─▶ copy and compare every value ─▶ change the settings
//	                                                                  │ from here on it is done
//	forget the note ◀─ remove what the old store holds ◀─ agent starts ┘
//
// Killed before the settings change, everything is in the old store; after that,
// in the new one. An agent that starts and finds the note does what is left. A
// value that the new store had already under a name becomes a former one.
type move struct {
	home    home.Home
	keyring store.Store
	limit   int // of values in the keyring, 0 for none
}

func newMove(h home.Home) move { return move{h, store.NewKeyring(), store.KeyringLimit} }

// note is what the file says while a move is under way.
type moveNote struct {
	From  string        `json:"from"`
	To    string        `json:"to"`
	Names []secret.Name `json:"names"`
}

func (m move) path() string { return filepath.Join(m.home.Data, "move.json") }

// vaults returns the vault with its key in a file and with its key in the
// keyring: one file, and one key.
func (m move) vaults() (file, item *vault.Vault) {
	return vault.Open(m.home.Vault()), vault.OpenWithKeyIn(m.keyring, m.home.Vault())
}

// begin notes the move and does it up to the change of the settings. From is the
// store that is open now.
func (m move) begin(n moveNote, from store.Store, past *store.Past) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := savefile.Write(m.path(), b, 0o600); err != nil {
		return fmt.Errorf("note the move: %w", err)
	}
	file, item := m.vaults()
	var to store.Store = file
	if n.To == store.KindKeyring {
		to = m.keyring
		if v, ok := from.(*vault.Vault); ok {
			file = v // it has the passphrase
		}
		err = file.GiveKey(item)
	} else {
		err = item.GiveKey(file)
	}
	if err != nil {
		return fmt.Errorf("move the key of the vault: %w", err)
	}
	for _, name := range n.Names {
		if err := m.copy(name, from, to, past); err != nil {
			return fmt.Errorf("move %s: %w", name, err)
		}
	}
	return store.ChooseAgain(m.home.ConfigFile(), n.From, n.To)
}

// copy makes to hold what from does, unless it is too long for it: such a value
// is in the vault before and after.
func (m move) copy(name secret.Name, from, to store.Store, past *store.Past) error {
	v, err := from.Get(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer v.Wipe()
	if m.limit > 0 && v.Len() > m.limit {
		return nil
	}
	old, err := to.Get(name)
	switch {
	case err == nil && old.Equal(v):
		old.Wipe()
		return nil
	case err == nil:
		rec, err := past.Get(name)
		if err != nil {
			return err
		}
		defer rec.Wipe()
		other := store.Record{Versions: []store.Version{{Value: old, Since: time.Unix(0, 0).UTC()}}}
		if err := past.Put(name, store.Merge(rec, other)); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if err := to.Set(name, v); err != nil {
		return err
	}
	got, err := to.Get(name)
	if err != nil {
		return err
	}
	defer got.Wipe()
	if !got.Equal(v) {
		return fmt.Errorf("the %s gives back another value than it was given", to.Kind())
	}
	return nil
}

// finish removes what is left in the old store, and the note. The settings name
// the new one.
func (m move) finish(n moveNote) error {
	file, item := m.vaults()
	if n.From == store.KindKeyring {
		for _, name := range n.Names {
			if err := m.keyring.Delete(name); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if err := item.DropKey(); err != nil {
			return err
		}
		return os.Remove(m.path())
	}
	left, err := m.emptyVault(item)
	switch {
	case err != nil:
	case left: // values that are too long for the keyring
		err = file.DropKey()
	default:
		err = file.Erase()
	}
	if err != nil {
		return err
	}
	return os.Remove(m.path())
}

// emptyVault removes every value from the vault that the keyring gives back, and
// reports whether any stays.
func (m move) emptyVault(item *vault.Vault) (left bool, err error) {
	names, err := item.Names()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		v, err := item.Get(name)
		if err != nil {
			return false, err
		}
		long := m.limit > 0 && v.Len() > m.limit
		v.Wipe()
		if long {
			left = true
			continue
		}
		there, err := m.keyring.Get(name)
		if err != nil {
			return false, fmt.Errorf("%s is not in the keyring: %w", name, err)
		}
		there.Wipe()
		if err := item.Delete(name); err != nil {
			return false, err
		}
	}
	return left, nil
}

// resume does what an interrupted move left. It is called before the store is
// opened, by the one agent that runs.
func (m move) resume() error {
	src, err := os.ReadFile(m.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var n moveNote
	if err == nil {
		err = json.Unmarshal(src, &n)
	}
	if err != nil {
		return fmt.Errorf("read the note of a move between stores, %s: %w", m.path(), err)
	}
	now, err := store.Chosen(m.home.ConfigFile())
	if err != nil {
		return err
	}
	if now != n.To {
		var from store.Store = vault.Open(m.home.Vault())
		past := pastOf(from, m.home.Past())
		if n.From == store.KindKeyring {
			from = store.NewSpill(m.keyring, vault.OpenWithKeyIn(m.keyring, m.home.Vault()), m.limit)
			past = store.NewPast(vault.OpenWithKeyIn(m.keyring, m.home.Past()))
		}
		if n.Names, err = from.Names(); errors.Is(err, errors.ErrUnsupported) {
			err = json.Unmarshal(src, &n)
		}
		if err == nil {
			err = m.begin(n, from, past)
		}
		if err != nil {
			return err
		}
	}
	return m.finish(n)
}

func postMove(s *session, r *http.Request) (any, error) {
	var q api.MoveRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.Move(r.Context(), q.To)
}

// Move carries the secrets to the other kind of store and ends the agent; the
// next one removes them from the old store.
func (s *session) Move(ctx context.Context, to string) (api.Status, error) {
	w, err := s.owner(audit.OpSet, "")
	if err != nil {
		return api.Status{}, err
	}
	a := s.agent
	from := a.store.Kind()
	switch {
	case to != store.KindKeyring && to != store.KindVault:
		return api.Status{}, fail(api.CodeBadInput, "nbhush store move keyring, or vault", "there is no store %q", to)
	case from == to:
		return api.Status{}, fail(api.CodeBadInput, "", "the secrets are in the %s already", to)
	case a.mover == nil:
		return api.Status{}, fail(api.CodeBadInput, "", "this store cannot be moved")
	case a.values.isLocked():
		return api.Status{}, errLocked
	}
	if err := store.KeyringAnswers(ctx); err != nil {
		return api.Status{}, fail(api.CodeStore, "unlock the keyring, then try again; nothing was moved", "the keyring does not answer: %v", err)
	}
	a.write.Lock() // and never unlocked after a success: what was written now would be lost
	names, err := a.names()
	if err == nil {
		err = a.mover.begin(moveNote{from, to, names}, a.store, a.past)
	}
	entry := audit.Entry{Who: w.who(), Op: audit.OpSet, Verdict: audit.Allowed, Reason: "moved from the " + from + " to the " + to}
	if err != nil {
		a.write.Unlock()
		entry.Verdict = audit.Failed
		return api.Status{}, errors.Join(storeError(fmt.Errorf("the secrets stay in the %s: %w", from, err)), a.note(entry))
	}
	err = a.note(entry)
	st, serr := s.Status(ctx)
	a.stop()
	return st, errors.Join(err, serr)
}
