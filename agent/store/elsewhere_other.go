//go:build !linux && !darwin

package store

import (
	"errors"
	"fmt"
)

// Python's keyring and go-keyring call one credential of Windows by different names.
func elsewhere(of, _ string) ([]Item, error) {
	return nil, &Error{
		Err:  fmt.Errorf("read what Python's keyring stored: %w on this system", errors.ErrUnsupported),
		Mend: fmt.Sprintf("have Python read it: python -m keyring get %q USER | nbhush set NAME", of),
	}
}
