package store

import (
	"errors"
	"fmt"

	"github.com/nbhush/nbhush/agent/secret"
)

// Past keeps the records of all secrets, in a store of its own. What it says of
// the present is only what was meant: which secrets there are, and their values,
// is what the other store says.
type Past struct{ s Store }

// NewPast returns the records that s, which keeps nothing else, holds.
func NewPast(s Store) *Past { return &Past{s} }

// Get returns the record of name, which is the caller's to wipe. Where there is
// none it is the zero Record.
func (p *Past) Get(name secret.Name) (Record, error) {
	v, err := p.s.Get(name)
	if errors.Is(err, ErrNotFound) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the history: %w", err)
	}
	defer v.Wipe()
	return openRecord(name, v)
}

func openRecord(name secret.Name, v secret.Value) (Record, error) {
	r, err := OpenRecord(v)
	if err != nil {
		return r, fmt.Errorf("read the history of %s: %w", name, err)
	}
	return r, nil
}

// Put keeps a copy of r as the record of name.
func (p *Past) Put(name secret.Name, r Record) error {
	v, err := r.Seal()
	if err != nil {
		return err
	}
	defer v.Wipe()
	if err := p.s.Set(name, v); err != nil {
		return fmt.Errorf("keep the history of %s: %w", name, err)
	}
	return nil
}

// All returns every record, which are the caller's to wipe.
func (p *Past) All() (map[secret.Name]Record, error) {
	values, err := allOf(p.s)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	all := make(map[secret.Name]Record, len(values))
	for name, v := range values {
		if _, err := secret.ParseName(string(name)); err != nil {
			v.Wipe()
			continue // hidden
		}
		r, err := openRecord(name, v)
		v.Wipe()
		if err != nil {
			return nil, err
		}
		all[name] = r
	}
	return all, nil
}

// HiddenHead is the name under which the end of the audit log is remembered. No
// secret can have it.
const HiddenHead secret.Name = "NBHUSH_AUDIT_HEAD"

// Hidden returns what SetHidden kept, or ErrNotFound. It is no secret.
func (p *Past) Hidden(name secret.Name) ([]byte, error) {
	v, err := p.s.Get(name)
	if err != nil {
		return nil, err
	}
	return v.Reveal(), nil
}

// SetHidden keeps b under a name that no secret has.
func (p *Past) SetHidden(name secret.Name, b []byte) error { return p.s.Set(name, secret.New(b)) }

// Lock makes the store of the records forget its key, if it has one.
func (p *Past) Lock() {
	if l, ok := p.s.(interface{ Lock() }); ok {
		l.Lock()
	}
}

// Store returns the store of the records.
func (p *Past) Store() Store { return p.s }

// allOf returns every value in s.
func allOf(s Store) (map[secret.Name]secret.Value, error) {
	if s, ok := s.(interface {
		All() (map[secret.Name]secret.Value, error)
	}); ok {
		return s.All()
	}
	names, err := s.Names()
	if err != nil {
		return nil, err
	}
	all := make(map[secret.Name]secret.Value, len(names))
	for _, name := range names {
		v, err := s.Get(name)
		if err != nil {
			return nil, err
		}
		all[name] = v
	}
	return all, nil
}
