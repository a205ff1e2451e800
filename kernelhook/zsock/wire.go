package zsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Flags of a frame: RFC 37, "Framing". All other bits must be zero.
const (
	flagMore    = 1 << 0
	flagLong    = 1 << 1
	flagCommand = 1 << 2
)

const (
	greetingLen = 64
	maxHeader   = 9
	// maxCommand is the longest command that is taken: a READY, or a topic.
	maxCommand = 4096
	// maxIdentity: RFC 37, "The Identity Property".
	maxIdentity = 255
)

// Greetings are RFC 37, "Formal Grammar": signature, version 3.1, mechanism, as-server, filler.
const (
	greeting       = greetingStart + "NULL\x00" + greetingPad + "\x00" + greetingFill
	greetingClient = greetingStart + "CURVE" + greetingPad + "\x00" + greetingFill
	greetingServer = greetingStart + "CURVE" + greetingPad + "\x01" + greetingFill

	greetingStart = "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f" + "\x03\x01"
	greetingPad   = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	greetingFill  = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// What ends a connection. The texts are the classes in testdata/wire.
var (
	errGreeting   = errors.New("bad greeting")
	errVersion    = errors.New("old version")
	errMechanism  = errors.New("bad mechanism")
	errReady      = errors.New("bad ready")
	errSocketType = errors.New("bad socket type")
	errIdentity   = errors.New("bad identity")
	errFrame      = errors.New("bad frame")
	errCommand    = errors.New("bad command")
	errCurve      = errors.New("bad curve")
	errTooLong    = errors.New("too long")
	errTooSlow    = errors.New("peer does not read")
	errReplaced   = errors.New("identity taken over by a new connection")
	errEvicted    = errors.New("too many connections")
)

// checkGreeting checks as much of a greeting as g holds and returns the minor
// version once it is there; own is the greeting of this side. The padding has no
// meaning: RFC 37, "Version Negotiation". as-server has none under NULL and
// go-zeromq sets it, so it is not looked at; two servers of CURVE wait for each
// other until their deadlines.
func checkGreeting(g []byte, own string) (minor byte, err error) {
	// A ZMTP 1.0 peer begins with the length of its identity, an HTTP client
	// with a letter.
	if len(g) > 0 && g[0] != 0xff {
		return 0, errGreeting
	}
	if len(g) > 9 && g[9] != 0x7f {
		return 0, errGreeting
	}
	if len(g) > 10 && g[10] < 3 {
		return 0, errVersion
	}
	if len(g) < greetingLen {
		return 0, nil
	}
	if string(g[12:32]) != own[12:32] {
		return 0, errMechanism
	}
	if g[10] > 3 {
		return 1, nil // speaks our 3.1 with us
	}
	return g[11], nil
}

// appendHeader appends the flags and the size of a frame of n bytes.
func appendHeader(dst []byte, flags byte, n int) []byte {
	if n <= 255 {
		return append(dst, flags, byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, flags|flagLong), uint64(n))
}

// parseHeader reads the header at the start of b. need is the number of bytes
// that it takes; with fewer in b the other results mean nothing.
func parseHeader(b []byte) (flags byte, size uint64, need int, err error) {
	if len(b) < 2 {
		return 0, 0, 2, nil
	}
	flags = b[0]
	if flags&^(flagMore|flagLong|flagCommand) != 0 || flags&flagCommand != 0 && flags&flagMore != 0 {
		return 0, 0, 2, errFrame
	}
	if flags&flagLong == 0 {
		return flags, uint64(b[1]), 2, nil
	}
	if len(b) < maxHeader {
		return 0, 0, maxHeader, nil
	}
	size = binary.BigEndian.Uint64(b[1:])
	if size>>63 != 0 {
		return 0, 0, maxHeader, errFrame
	}
	return flags, size, maxHeader, nil
}

// appendCommand appends a whole command frame.
func appendCommand(dst []byte, name string, data ...[]byte) []byte {
	n := 1 + len(name)
	for _, d := range data {
		n += len(d)
	}
	dst = appendHeader(dst, flagCommand, n)
	dst = append(append(dst, byte(len(name))), name...)
	for _, d := range data {
		dst = append(dst, d...)
	}
	return dst
}

// splitCommand splits the body of a command into its name and data.
func splitCommand(body []byte) (name, data []byte, err error) {
	if len(body) < 1 || body[0] == 0 || len(body) < 1+int(body[0]) {
		return nil, nil, errCommand
	}
	n := 1 + int(body[0])
	return body[1:n], body[n:], nil
}

// ready is the metadata of a READY command that means something here.
type ready struct {
	socketType string
	identity   []byte // of the frame that it was parsed from
}

// appendReady appends a READY command: RFC 37, "The NULL Security Mechanism".
func appendReady(dst []byte, r ready) []byte {
	return appendCommand(dst, "READY", r.metadata())
}

func (r ready) metadata() []byte {
	m := appendProperty(nil, "Socket-Type", r.socketType)
	if len(r.identity) > 0 {
		m = appendProperty(m, "Identity", string(r.identity))
	}
	return m
}

func appendProperty(dst []byte, name, value string) []byte {
	dst = append(append(dst, byte(len(name))), name...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

// parseReady reads the metadata of a READY command. Properties that it does
// not know are skipped; names are compared without case: RFC 37, "Connection Metadata".
func parseReady(m []byte) (r ready, err error) {
	for len(m) > 0 {
		n := int(m[0])
		if n == 0 || len(m) < 1+n+4 {
			return ready{}, errReady
		}
		name := string(m[1 : 1+n])
		m = m[1+n:]
		size := binary.BigEndian.Uint32(m)
		if m = m[4:]; uint64(size) > uint64(len(m)) {
			return ready{}, errReady
		}
		value := m[:size]
		m = m[size:]
		switch {
		case strings.EqualFold(name, "Socket-Type"):
			r.socketType = string(value)
		case strings.EqualFold(name, "Identity"):
			r.identity = value
		}
	}
	return r, nil
}

// checkIdentity is RFC 37, "The Identity Property". A first byte of zero is
// kept for the identities that a Router makes up.
func checkIdentity(id []byte) error {
	if len(id) > maxIdentity {
		return fmt.Errorf("%w: %d bytes", errIdentity, len(id))
	}
	if len(id) > 0 && id[0] == 0 {
		return fmt.Errorf("%w: begins with a zero byte", errIdentity)
	}
	return nil
}
