package store

import (
	"errors"
	"slices"

	"github.com/nbhush/nbhush/agent/secret"
)

// NewSpill returns a Store that keeps values of up to limit bytes in small and
// longer ones in large. A limit of 0 is none: then it is small itself. What is
// found in small counts; the order of the writes below keeps that true after a
// crash between the two.
func NewSpill(small, large Store, limit int) Store {
	if limit == 0 {
		return small
	}
	return &spill{small: small, large: large, limit: limit}
}

type spill struct {
	small, large Store
	limit        int
}

func (s *spill) Kind() string { return s.small.Kind() }

func (s *spill) Get(name secret.Name) (secret.Value, error) {
	v, err := s.small.Get(name)
	if errors.Is(err, ErrNotFound) {
		return s.large.Get(name)
	}
	return v, err
}

func (s *spill) Set(name secret.Name, v secret.Value) error {
	to, from := s.small, s.large
	if v.Len() > s.limit {
		to, from = s.large, s.small
	}
	if err := to.Set(name, v); err != nil {
		return err
	}
	return found(from.Delete(name))
}

// Delete empties large first: the other way round, a crash in between would
// bring back an old long value that small had hidden.
func (s *spill) Delete(name secret.Name) error {
	inLarge := s.large.Delete(name)
	if err := found(inLarge); err != nil {
		return err
	}
	inSmall := s.small.Delete(name)
	if inLarge == nil {
		return found(inSmall)
	}
	return inSmall
}

func (s *spill) Names() ([]secret.Name, error) {
	names, err := s.small.Names()
	if err != nil {
		return nil, err
	}
	more, err := s.large.Names()
	if err != nil {
		return nil, err
	}
	names = append(names, more...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Lock makes both forget their keys, if they have any.
func (s *spill) Lock() {
	for _, part := range []Store{s.small, s.large} {
		if l, ok := part.(interface{ Lock() }); ok {
			l.Lock()
		}
	}
}

// Unlock gives large the passphrase that wraps its key, if one does.
func (s *spill) Unlock(passphrase []byte) error {
	if u, ok := s.large.(interface{ Unlock([]byte) error }); ok {
		return u.Unlock(passphrase)
	}
	return nil
}

// found is err unless that only says that there was nothing.
func found(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
