//go:build !linux

package vault

import "errors"

// fillDisk needs mount namespaces.
func fillDisk(string) error { return errors.ErrUnsupported }
