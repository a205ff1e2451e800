//go:build !linux

package kernelhook

import "net"

// strangers cannot be told from the user here.
type strangers struct{}

func newStrangers(string) *strangers { return &strangers{} }

func (*strangers) Close() {}

func (*strangers) admit(net.Conn) error { return nil }
