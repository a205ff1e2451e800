package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"filippo.io/age"

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// keyOf is the key of another vault.
type keyOf struct{ of *Vault }

func (k keyOf) String() string { return k.of.key.String() }

func (k keyOf) load([]byte) (*age.X25519Identity, error) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	if k.of.identity != nil {
		return k.of.identity, nil
	}
	return k.of.key.load(nil)
}

func (k keyOf) create() (*age.X25519Identity, error) {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	if err := k.of.needKey(); err != nil {
		return nil, err
	}
	return k.of.identity, nil
}

// Rollback puts the previous generation in the place of a file that is gone or
// cannot be read, and keeps what was there with the suffix .damaged. It returns
// false where there is nothing to mend.
func (v *Vault) Rollback() (mended bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	err = v.locked(func() error {
		all, _, err := v.read()
		if err == nil {
			all.wipe()
			return nil
		}
		src, prev := readPrivate(v.previous())
		if errors.Is(err, store.ErrLocked) {
			return err
		}
		if prev != nil {
			return fmt.Errorf("%w; there is no previous state either", err)
		}
		if v.identity == nil {
			if v.identity, prev = v.key.load(nil); prev != nil {
				return prev
			}
		}
		if all, prev = open(src, v.identity); prev != nil {
			return fmt.Errorf("%w; so is its previous state: %w", err, prev)
		}
		all.wipe()
		if err := os.Rename(v.path, v.path+".damaged"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		mended = true
		return savefile.Write(v.path, src, 0o600)
	})
	return mended, err
}

// Passphrase wraps the key with the passphrase new, or with none where that is
// empty. Where one wraps it now, old must be that one. Both stay the caller's.
func (v *Vault) Passphrase(old, new []byte) error {
	k, ok := v.key.(keyFile)
	if !ok {
		return &store.Error{
			Err:  fmt.Errorf("the key of the vault is %s, which guards it", v.key),
			Mend: "lock the keyring to lock the key",
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.locked(func() error {
		identity, err := k.load(old)
		if errors.Is(err, fs.ErrNotExist) {
			identity, err = k.create()
		}
		if err != nil {
			return err
		}
		v.identity = identity
		return k.write(identity, new)
	})
}

// write replaces the key file.
func (k keyFile) write(identity *age.X25519Identity, passphrase []byte) error {
	text := keyText(identity)
	defer clear(text)
	if len(passphrase) > 0 {
		var err error
		if text, err = Wrap(text, passphrase); err != nil {
			return err
		}
	}
	if err := savefile.Write(string(k), text, 0o600); err != nil {
		return fmt.Errorf("write the key of the vault: %w", err)
	}
	return nil
}

func keyText(identity *age.X25519Identity) []byte {
	return []byte("# the key of the vault of nbhush: who has it and vault.age has the secrets\n" +
		"# public key: " + identity.Recipient().String() + "\n" + identity.String() + "\n")
}

// Wrap returns plain as an age file that the passphrase opens (scrypt).
func Wrap(plain, passphrase []byte) ([]byte, error) {
	to, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	return encrypt(plain, to)
}

// Unwrap is the inverse of Wrap. No passphrase and a wrong one are store.ErrLocked.
func Unwrap(src, passphrase []byte) ([]byte, error) { return unwrap(src, passphrase) }

// Erase removes the files of the vault and, where it has one of its own, its
// key. What they held is gone.
func (v *Vault) Erase() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.locked(func() error {
		v.identity = nil
		paths := []string{v.previous(), v.path} // the other way round looks like a loss
		for _, path := range paths {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return v.dropKey()
	})
}

// DropKey removes the key, which the vault needs no more or has elsewhere.
func (v *Vault) DropKey() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.locked(v.dropKey)
}

func (v *Vault) dropKey() (err error) {
	v.identity = nil
	switch k := v.key.(type) {
	case keyFile:
		err = os.Remove(string(k))
	case keyItem:
		err = k.store.Delete(keyName)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// GiveKey makes to, whose key is elsewhere, have the key of v. Where to has
// another one already, and something is encrypted with it, that is an error.
func (v *Vault) GiveKey(to *Vault) error {
	v.mu.Lock()
	err := v.needKey()
	identity := v.identity
	v.mu.Unlock()
	if err != nil {
		return err
	}
	switch has, err := to.key.load(nil); {
	case err == nil && has.String() == identity.String():
		return nil
	case err == nil:
		return &store.Error{
			Err:  fmt.Errorf("another vault's key is there already: %s", to.key),
			Mend: "if nothing needs it any more, remove it and try again",
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	to.identity = nil
	switch k := to.key.(type) {
	case keyFile:
		return k.write(identity, nil)
	case keyItem:
		text := secret.New([]byte(identity.String()))
		defer text.Wipe()
		return k.store.Set(keyName, text)
	}
	return fmt.Errorf("a key cannot be put into %s", to.key)
}
