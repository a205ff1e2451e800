//go:build !linux

package agent

import "errors"

func playHarden() error { return errors.ErrUnsupported }

func playNotify() error { return errors.ErrUnsupported }
