package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// lockWait is how long a writer waits for another process, which needs
// milliseconds; longer means that it is stopped or hangs, or that the machine does next to nothing.
const lockWait = 30 * time.Second

// Vault is a store.Store in one encrypted file. It is safe for concurrent use,
// by several processes too. It keeps the key in memory after its first use, and
// never the values.
type Vault struct {
	path string
	key  keeper

	mu       sync.Mutex
	identity *age.X25519Identity // nil before the first use and after Lock
}

// Open returns the vault in the file at path, whose key is in the file beside
// it with the suffix .key. The first Set makes both; Open touches nothing.
func Open(path string) *Vault {
	key := strings.TrimSuffix(path, filepath.Ext(path)) + ".key"
	return &Vault{path: path, key: keyFile(key)}
}

// Keyring returns the keyring of the operating system. Where that does not hold
// long values, they go to the vault at path, and its key into the keyring.
func Keyring(path string) store.Store {
	keyring := store.NewKeyring()
	return store.NewSpill(keyring, OpenWithKeyIn(keyring, path), store.KeyringLimit)
}

// OpenWithKeyIn returns the vault in the file at path, whose key is in s under a
// name that no secret can have.
func OpenWithKeyIn(s store.Store, path string) *Vault {
	return &Vault{path: path, key: keyItem{s}}
}

// Beside returns a vault in the file at path that has the key of v.
func (v *Vault) Beside(path string) *Vault { return &Vault{path: path, key: keyOf{v}} }

// Kind returns store.KindVault.
func (v *Vault) Kind() string { return store.KindVault }

// Unlock reads the key with the passphrase that wraps it, which stays the
// caller's to wipe. A wrong passphrase is store.ErrLocked. Where no passphrase
// wraps the key, the passphrase is not looked at.
func (v *Vault) Unlock(passphrase []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	identity, err := v.key.load(passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing to lock yet
	}
	if err != nil {
		return err
	}
	v.identity = identity
	return nil
}

// Lock forgets the key. Where no passphrase wraps the key, the next use reads it
// again: whether a locked agent answers is not decided here.
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.identity = nil
}

// Get returns the value called name.
func (v *Vault) Get(name secret.Name) (secret.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all, _, err := v.read()
	if err != nil {
		return secret.Value{}, err
	}
	defer all.wipe()
	e, ok := all[name]
	if !ok {
		return secret.Value{}, store.ErrNotFound
	}
	return secret.New(append([]byte(nil), e.Value...)), nil
}

// All returns every value by name, from one look at the file. The values are the
// caller's to wipe.
func (v *Vault) All() (map[secret.Name]secret.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all, _, err := v.read()
	if err != nil {
		return nil, err
	}
	values := make(map[secret.Name]secret.Value, len(all))
	for name, e := range all {
		values[name] = secret.New(e.Value)
	}
	return values, nil
}

// Names returns every name, sorted.
func (v *Vault) Names() ([]secret.Name, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all, _, err := v.read()
	if err != nil {
		return nil, err
	}
	defer all.wipe()
	return all.names(), nil
}

// Set keeps a copy of value under name.
func (v *Vault) Set(name secret.Name, value secret.Value) error {
	if err := checkName(name); err != nil {
		return err
	}
	return v.change(func(all entries) error {
		now := time.Now().UTC().Truncate(time.Second)
		e, ok := all[name]
		if !ok {
			e.Created = now
		}
		clear(e.Value)
		e.Value, e.Updated = append([]byte(nil), value.Reveal()...), now
		all[name] = e
		return nil
	})
}

// Delete removes name.
func (v *Vault) Delete(name secret.Name) error {
	return v.change(func(all entries) error {
		e, ok := all[name]
		if !ok {
			return store.ErrNotFound
		}
		clear(e.Value)
		delete(all, name)
		return nil
	})
}

// change replaces the file by what edit makes of its entries, while nobody else
// writes it. An error of edit leaves the file as it is.
func (v *Vault) change(edit func(entries) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.locked(func() error { return v.edit(edit) })
}

// locked runs work while no other process writes. The caller holds v.mu.
func (v *Vault) locked(work func() error) error {
	if err := os.MkdirAll(filepath.Dir(v.path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the vault: %w", err)
	}
	unlock, err := savefile.Lock(context.Background(), v.path, lockWait)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	defer unlock()
	return work()
}

// edit does the work of change.
func (v *Vault) edit(edit func(entries) error) error {
	all, before, err := v.read()
	if err != nil {
		return err
	}
	defer all.wipe()
	if err := edit(all); err != nil {
		return err
	}
	if err := v.needKey(); err != nil {
		return err
	}
	after, err := seal(all, v.identity.Recipient())
	if err != nil {
		return fmt.Errorf("encrypt the vault: %w", err)
	}
	return v.replace(before, after)
}

// replace writes before, the content of the file until now, as the previous
// generation, and then after. The caller holds the lock.
func (v *Vault) replace(before, after []byte) error {
	v.sweep()
	if before != nil {
		if err := savefile.Write(v.previous(), before, 0o600); err != nil {
			return fmt.Errorf("keep the previous state of the vault: %w", err)
		}
	}
	if err := savefile.Write(v.path, after, 0o600); err != nil {
		return fmt.Errorf("write the vault: %w", err)
	}
	return nil
}

// sweep removes what writers left that were killed. Nobody writes now, since
// the caller holds the lock.
func (v *Vault) sweep() {
	dir, name := filepath.Split(v.path)
	left, _ := os.ReadDir(filepath.Clean(dir))
	for _, f := range left {
		if strings.HasPrefix(f.Name(), "."+name+".nbhush-") || strings.HasPrefix(f.Name(), "."+name+".1.nbhush-") {
			_ = os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}

// previous is the path of the generation before the newest.
func (v *Vault) previous() string { return v.path + ".1" }

// read returns the entries and the encrypted bytes that they came from, nil
// where there is no file yet.
func (v *Vault) read() (entries, []byte, error) {
	src, err := readPrivate(v.path)
	if errors.Is(err, fs.ErrNotExist) {
		return entries{}, nil, v.gone()
	}
	if err != nil {
		return nil, nil, err
	}
	if v.identity == nil {
		if v.identity, err = v.key.load(nil); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, &store.Error{
				Err:  fmt.Errorf("the key of the vault %s is missing: %s", v.path, v.key),
				Mend: "restore the key from a backup, or move the vault away to begin a new one",
			}
		} else if err != nil {
			return nil, nil, err
		}
	}
	all, err := open(src, v.identity)
	if err != nil {
		return nil, nil, v.unreadable(err)
	}
	return all, src, nil
}

// gone returns an error if the newest generation disappeared and the one before
// is still there: to begin a new vault would then forget secrets in silence.
func (v *Vault) gone() error {
	if _, err := os.Lstat(v.previous()); err != nil {
		return nil
	}
	return &store.Error{
		Err:  fmt.Errorf("the vault %s is gone, but not its previous state", v.path),
		Mend: v.restore() + ", or move both away to begin a new vault",
	}
}

// unreadable says what is wrong with the file, and how to go back to the
// previous generation if that one opens.
func (v *Vault) unreadable(err error) error {
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return &store.Error{
			Err:  fmt.Errorf("the vault %s was written with another key than %s", v.path, v.key),
			Mend: "restore the key that belongs to it from a backup",
		}
	}
	mend := "restore it from a backup"
	if src, err := readPrivate(v.previous()); err == nil {
		if all, err := open(src, v.identity); err == nil {
			all.wipe()
			mend = v.restore()
		}
	}
	return &store.Error{Err: fmt.Errorf("the vault %s is damaged: %w", v.path, err), Mend: mend}
}

func (v *Vault) restore() string { return "go back to the previous state with: nbhush vault rollback" }

// needKey makes sure that there is an identity to write with, and makes the very
// first one. The caller holds the lock and has read the file.
func (v *Vault) needKey() (err error) {
	if v.identity != nil {
		return nil
	}
	v.identity, err = v.key.load(nil)
	if errors.Is(err, fs.ErrNotExist) {
		v.identity, err = v.key.create()
	}
	return err
}
