//go:build !linux

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/zalando/go-keyring"

	"github.com/nbhush/nbhush/agent/secret"
)

// osKeyring is the keyring of macOS or Windows. It cannot list.
type osKeyring struct{}

func newKeyring() Store { return osKeyring{} }

func (osKeyring) Kind() string { return KindKeyring }

func (osKeyring) Get(name secret.Name) (secret.Value, error) {
	v, err := keyring.Get(service, string(name))
	if err != nil {
		return secret.Value{}, wrap("read from", err)
	}
	return secret.New([]byte(v)), nil
}

func (osKeyring) Set(name secret.Name, v secret.Value) error {
	return wrap("write to", keyring.Set(service, string(name), string(v.Reveal())))
}

func (osKeyring) Delete(name secret.Name) error {
	return wrap("remove from", keyring.Delete(service, string(name)))
}

func (osKeyring) Names() ([]secret.Name, error) {
	return nil, fmt.Errorf("list the keyring: %w", errors.ErrUnsupported)
}

// probe reads an item that is not there. The goroutine outlives a keyring that
// does not answer; there is no way to call it back.
func probe(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		_, err := keyring.Get(service, "NBHUSH_PROBE")
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || errors.Is(err, keyring.ErrNotFound) {
			return nil
		}
		return wrap("ask", err)
	case <-ctx.Done():
		return wrap("ask", ctx.Err())
	}
}

func wrap(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return ErrNotFound
	}
	return fmt.Errorf("%s the keyring: %w", doing, err)
}
