package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// keeper keeps the key of one vault. String says where, for messages.
type keeper interface {
	fmt.Stringer
	// load returns the key; fs.ErrNotExist where there is none, store.ErrLocked
	// where a passphrase wraps it and this is not the one.
	load(passphrase []byte) (*age.X25519Identity, error)
	// create makes the key. There is none yet, and the caller sees to it that
	// there is no vault that needs one.
	create() (*age.X25519Identity, error)
}

// keyFile is the path of a file as age-keygen writes it, or of the same wrapped
// by a passphrase as age -p does, with armor or without.
type keyFile string

// maxWork caps the work that a key file may ask for, as a power of two: about
// two seconds. age itself writes 18.
const maxWork = 20

const (
	ageMagic   = "age-encryption.org/"
	armorMagic = armor.Header
)

func (k keyFile) String() string { return string(k) }

func (k keyFile) load(passphrase []byte) (*age.X25519Identity, error) {
	src, err := readPrivate(string(k))
	if err != nil {
		return nil, err
	}
	defer clear(src)
	if bytes.HasPrefix(src, []byte(ageMagic)) || bytes.HasPrefix(src, []byte(armorMagic)) {
		if src, err = unwrap(src, passphrase); err != nil {
			return nil, fmt.Errorf("key of the vault %s: %w", k, err)
		}
		defer clear(src)
	}
	identity, err := parseKey(src)
	if err != nil {
		return nil, &store.Error{
			Err:  fmt.Errorf("the key of the vault %s is damaged: %w", k, err),
			Mend: "restore it from a backup",
		}
	}
	return identity, nil
}

func (k keyFile) create() (*age.X25519Identity, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	if err := k.write(identity, nil); err != nil {
		return nil, err
	}
	return identity, nil
}

// unwrap returns what the passphrase wraps. No passphrase and a wrong one are
// store.ErrLocked.
func unwrap(src, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, locked("a passphrase wraps it")
	}
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxWork)
	var r io.Reader = bytes.NewReader(src)
	if bytes.HasPrefix(src, []byte(armorMagic)) {
		r = armor.NewReader(r)
	}
	plain, err := age.Decrypt(r, identity)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, locked("wrong passphrase")
	}
	if err != nil { // age's own words repeat how the file begins, and it may be any file
		return nil, errNotAge
	}
	return io.ReadAll(io.LimitReader(plain, maxFile))
}

var errNotAge = errors.New("it is no file that age made with a passphrase, or it is damaged")

func locked(why string) error {
	return &store.Error{
		Err:  fmt.Errorf("%w: %s", store.ErrLocked, why),
		Mend: "unlock it with: nbhush agent unlock",
	}
}

// parseKey returns the one X25519 identity in src. Its errors do not repeat src.
func parseKey(src []byte) (*age.X25519Identity, error) {
	all, err := age.ParseIdentities(bytes.NewReader(src))
	if err != nil || len(all) != 1 {
		return nil, errors.New("it should hold one line that begins with AGE-SECRET-KEY-1")
	}
	identity, ok := all[0].(*age.X25519Identity)
	if !ok {
		return nil, errors.New("its kind is not X25519")
	}
	return identity, nil
}

// keyItem keeps the key as an item of another store.
type keyItem struct{ store store.Store }

// keyName begins with NBHUSH_, as no secret's name does.
const keyName secret.Name = "NBHUSH_VAULT_KEY"

func (k keyItem) String() string { return string(keyName) + " in the " + k.store.Kind() }

func (k keyItem) load([]byte) (*age.X25519Identity, error) {
	v, err := k.store.Get(keyName)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of the vault: %w", err)
	}
	defer v.Wipe()
	identity, err := parseKey(v.Reveal())
	if err != nil {
		return nil, fmt.Errorf("the key of the vault, %s, is damaged: %w", k, err)
	}
	return identity, nil
}

func (k keyItem) create() (*age.X25519Identity, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	v := secret.New([]byte(identity.String()))
	defer v.Wipe()
	if err := k.store.Set(keyName, v); err != nil {
		return nil, fmt.Errorf("keep the key of the vault: %w", err)
	}
	return identity, nil
}
