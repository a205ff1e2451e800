package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nbhush/nbhush/agent/secret"
)

// Item is a secret that another program keeps in the system's keyring. Its value
// is the caller's to wipe.
type Item struct {
	Service, User string
	Value         secret.Value
}

// Elsewhere reads what Python's keyring has filed under the service of, which is not
// nbhush's own: the item of user, or where user is "" all of them, in the order of
// the users. ErrNotFound says that there is none. Only Linux can list; the others
// say errors.ErrUnsupported.
func Elsewhere(of, user string) ([]Item, error) {
	if of == service {
		return nil, &Error{Err: fmt.Errorf("%s is where nbhush keeps its own secrets", of), Mend: "see them with: nbhush list"}
	}
	items, err := elsewhere(of, user)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, &Error{Err: fmt.Errorf("the keyring has nothing of the service %q: %w", of, ErrNotFound), Mend: "see how the service is called: python -m keyring get SERVICE USER"}
	}
	slices.SortFunc(items, func(a, b Item) int { return cmp.Compare(a.User, b.User) })
	return items, nil
}
