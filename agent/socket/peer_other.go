//go:build !linux && !darwin

package socket

import "errors"

// peerOf refuses: no other system has been looked at, and an unknown peer gets nothing.
func peerOf(int) (Peer, error) { return Peer{}, errors.ErrUnsupported }

func inspect(int) (Process, int, error) { return Process{}, 0, errors.ErrUnsupported }
