package store

import (
	"errors"
	"slices"
	"sync"

	"github.com/nbhush/nbhush/agent/secret"
)

// Store keeps values by name. A Store is safe for concurrent use. A Value that
// goes in stays the caller's; a Value that comes out belongs to the caller, who
// wipes it. Errors never hold a value.
type Store interface {
	// Kind is the word that users and files know the store by.
	Kind() string
	// Get returns the value called name, or ErrNotFound, or ErrLocked.
	Get(name secret.Name) (secret.Value, error)
	// Set keeps a copy of v under name. When it returns nil the value survives
	// the end of this process and of the machine's power, except in memory.
	Set(name secret.Name, v secret.Value) error
	// Delete removes name, or returns ErrNotFound.
	Delete(name secret.Name) error
	// Names returns every name, sorted. A store that cannot list says
	// errors.ErrUnsupported.
	Names() ([]secret.Name, error)
}

// Kinds of stores.
const (
	KindKeyring = "keyring"
	KindVault   = "vault"
	KindMemory  = "memory"
)

// What errors.Is finds in the errors of a Store.
var (
	ErrNotFound = errors.New("no such secret")
	ErrLocked   = errors.New("the store is locked")
)

// Error is a failure that the user can mend.
type Error struct {
	Err  error
	Mend string // the next command, or what to do
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Hint says what mends it.
func (e *Error) Hint() string { return e.Mend }

// NewMemory returns a Store that ends with the process.
func NewMemory() Store { return &memory{values: map[secret.Name]secret.Value{}} }

type memory struct {
	mu     sync.Mutex
	values map[secret.Name]secret.Value
}

func (m *memory) Kind() string { return KindMemory }

func (m *memory) Get(name secret.Name) (secret.Value, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[name]
	if !ok {
		return secret.Value{}, ErrNotFound
	}
	return v.Clone(), nil
}

func (m *memory) Set(name secret.Name, v secret.Value) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name].Wipe()
	m.values[name] = v.Clone()
	return nil
}

func (m *memory) Delete(name secret.Name) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[name]
	if !ok {
		return ErrNotFound
	}
	v.Wipe()
	delete(m.values, name)
	return nil
}

func (m *memory) Names() ([]secret.Name, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]secret.Name, 0, len(m.values))
	for name := range m.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
