//go:build !linux && !darwin

package agent

import "errors"

func harden() error { return errors.ErrUnsupported }

func umask() {}
