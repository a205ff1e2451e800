//go:build !linux

package shared

import (
	"errors"
	"net"
	"os"
)

// Region is memory that another process may see too; there is none here.
type Region struct{}

// New returns errors.ErrUnsupported.
func New(int) (*Region, error) { return nil, errors.ErrUnsupported }

// Open closes file and returns errors.ErrUnsupported.
func Open(file *os.File) (*Region, error) {
	_ = file.Close()
	return nil, errors.ErrUnsupported
}

// Size returns 0.
func (*Region) Size() int { return 0 }

// Bytes returns errors.ErrUnsupported.
func (*Region) Bytes() ([]byte, error) { return nil, errors.ErrUnsupported }

// Empty returns errors.ErrUnsupported.
func (*Region) Empty() error { return errors.ErrUnsupported }

// Close does nothing.
func (*Region) Close() error { return nil }

// Send returns errors.ErrUnsupported.
func (*Region) Send(*net.UnixConn, []byte) error { return errors.ErrUnsupported }

// Receiver reads a connection.
type Receiver struct{ Conn *net.UnixConn }

// Read is Conn.Read.
func (r *Receiver) Read(b []byte) (int, error) { return r.Conn.Read(b) }

// Take returns nil.
func (*Receiver) Take() *os.File { return nil }

// Discard does nothing.
func (*Receiver) Discard() {}
