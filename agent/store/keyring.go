package store

import (
	"context"
	"time"
)

// service is what every item of nbhush in a keyring is filed under; the user of
// an item is the secret's name. Python's keyring reaches the same item with
// keyring.get_password("nbhush", NAME).
const service = "nbhush"

// probeWait is how long a keyring may take to answer KeyringAnswers.
const probeWait = 2 * time.Second

// NewKeyring returns the keyring of the operating system, which is first spoken
// to when it is first used.
func NewKeyring() Store { return newKeyring() }

// KeyringAnswers returns nil if there is a keyring that works now without asking
// anybody for a password, and otherwise why not. It asks nobody, changes
// nothing and takes two seconds at most.
func KeyringAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	return probe(ctx)
}
