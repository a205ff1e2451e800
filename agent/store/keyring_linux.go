package store

import (
	"context"
	"errors"
)

// NewKeyring returns the keyring of the operating system.
func NewKeyring() Store { return NewMemory() }

// KeyringAnswers says whether the keyring works without asking anybody.
func KeyringAnswers(ctx context.Context) error { return errors.New("no keyring") }
