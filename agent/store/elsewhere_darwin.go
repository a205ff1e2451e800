package store

import (
	"errors"
	"fmt"

	"github.com/zalando/go-keyring"

	"github.com/nbhush/nbhush/agent/secret"
)

func elsewhere(of, user string) ([]Item, error) {
	if user == "" {
		return nil, &Error{
			Err:  fmt.Errorf("list the keyring: %w on this system", errors.ErrUnsupported),
			Mend: fmt.Sprintf("name the user, too: nbhush import --keyring %q --user USER", of),
		}
	}
	v, err := keyring.Get(of, user)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("read from", err)
	}
	return []Item{{Service: of, User: user, Value: secret.New([]byte(v))}}, nil
}
