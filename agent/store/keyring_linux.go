package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// opWait is how long one operation may take while nobody is asked anything, and
// promptWait while the user looks for the password of the keyring.
const (
	opWait     = 10 * time.Second
	promptWait = 2 * time.Minute
)

// linuxKeyring is the default collection of the Secret Service.
type linuxKeyring struct {
	mayPrompt bool // there is a screen to ask on

	mu  sync.Mutex
	bus *bus // nil before the first use and after a failure
}

func newKeyring() Store {
	return &linuxKeyring{mayPrompt: os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""}
}

func (k *linuxKeyring) Kind() string { return KindKeyring }

func (k *linuxKeyring) Get(name secret.Name) (v secret.Value, err error) {
	err = k.do("read from", func(ctx context.Context, b *bus) error {
		found, err := b.search(ctx, attributes(name))
		if err != nil {
			return err
		}
		it, err := b.newest(ctx, found)
		if err != nil {
			return err
		}
		v, err = b.secret(ctx, it)
		return err
	})
	return v, err
}

func (k *linuxKeyring) Set(name secret.Name, v secret.Value) error {
	return k.do("write to", func(ctx context.Context, b *bus) error {
		kept, err := b.create(ctx, name, v)
		if err != nil {
			return err
		}
		// Items that another program made with fewer or more attributes were
		// not replaced. They go last: after a crash the newest still wins.
		found, err := b.search(ctx, attributes(name))
		if err != nil {
			return err
		}
		for _, it := range found {
			if it != kept {
				if err := b.remove(ctx, it); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (k *linuxKeyring) Delete(name secret.Name) error {
	return k.do("remove from", func(ctx context.Context, b *bus) error {
		found, err := b.search(ctx, attributes(name))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		for _, it := range found {
			if err := b.remove(ctx, it); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k *linuxKeyring) Names() (names []secret.Name, err error) {
	err = k.do("list", func(ctx context.Context, b *bus) error {
		names = nil
		found, err := b.search(ctx, map[string]string{"service": service})
		if err != nil {
			return err
		}
		for _, it := range found {
			attrs, err := b.attributes(ctx, it)
			if err != nil {
				return err
			}
			// What is not a name is not ours, or the key of a vault.
			if name, err := secret.ParseName(attrs["username"]); err == nil {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// Lock ends the connection, whose key opens what it carried. The next use makes another.
func (k *linuxKeyring) Lock() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hangUp()
}

// hangUp is called with the lock held.
func (k *linuxKeyring) hangUp() {
	if k.bus != nil {
		k.bus.close()
		k.bus = nil
	}
}

// do runs work on an unlocked keyring, and once more on a new connection if the
// one from before turns out to be dead, as after a new login. Work may run twice.
func (k *linuxKeyring) do(doing string, work func(context.Context, *bus) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := k.bus == nil
	err := k.try(work)
	if dead := err != nil && k.bus == nil; dead && !fresh && !errors.Is(err, context.DeadlineExceeded) {
		err = k.try(work)
	}
	if err == nil || errors.Is(err, ErrNotFound) {
		return err
	}
	return fmt.Errorf("%s the keyring: %w", doing, err)
}

// try runs work. After a failure that is not an answer the connection is gone.
func (k *linuxKeyring) try(work func(context.Context, *bus) error) error {
	err := k.ready()
	if err == nil {
		// The user may have taken long to answer a prompt: a deadline of its own.
		ctx, cancel := context.WithTimeout(context.Background(), opWait)
		defer cancel()
		err = work(ctx, k.bus)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrLocked) {
		k.hangUp()
	}
	return err
}

// ready connects where there is no connection, and unlocks the keyring.
func (k *linuxKeyring) ready() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), opWait)
	defer cancel()
	if k.bus == nil {
		if k.bus, err = dial(ctx); err != nil {
			return err
		}
	}
	return k.bus.unlock(ctx, k.mayPrompt)
}

// probe looks at the lock of the keyring and never turns it.
func probe(ctx context.Context) error {
	b, err := dial(ctx)
	if err != nil {
		return err
	}
	defer b.close()
	locked, err := b.locked(ctx)
	if err != nil {
		return err
	}
	if locked {
		return errKeyringLocked
	}
	return nil
}
