package zsock

import (
	"encoding/binary"

	"golang.org/x/crypto/nacl/secretbox"
)

// A MESSAGE command, RFC 26, "MESSAGE Command": its name, a short nonce, and a
// box with one byte of flags and the body of a frame or of a command. libzmq
// sends it without the command flag, and so do we.
const (
	messageName = "\x07MESSAGE"
	messageHead = len(messageName) + shortNonce
	// messageExtra is what a MESSAGE has beside the body that it carries.
	messageExtra = messageHead + secretbox.Overhead + 1
	shortNonce   = 8
)

// Flags inside of a box.
const (
	innerMore    = 1 << 0
	innerCommand = 1 << 1
)

// Prefixes of nonces: RFC 26, "MESSAGE Command".
const (
	fromClient = "CurveZMQMESSAGEC"
	fromServer = "CurveZMQMESSAGES"
)

// nonce is the whole of one: a prefix and a count.
type nonce [24]byte

func (n *nonce) set(prefix string, count uint64) {
	copy(n[:], prefix)
	binary.BigEndian.PutUint64(n[16:], count)
}

// sealer makes MESSAGE commands. The queue that has it guards it.
type sealer struct {
	key    key
	prefix string
	count  uint64 // of the last nonce
	plain  []byte // empty between two frames
	out    []byte // what seal returned last
	one    [1][]byte
}

func (s *sealer) wipe() { *s = sealer{} }

// seal returns what a queue holds, whole frames under NULL, as MESSAGE
// commands in one piece, which is the caller's until the next call.
func (s *sealer) seal(pieces [][]byte) [][]byte {
	dst := s.out[:0]
	for i := 0; i < len(pieces); i++ {
		for p := pieces[i]; len(p) > 0; {
			flags, size, need, _ := parseHeader(p) // encode wrote it
			body := p[need:]
			if p = nil; size <= uint64(len(body)) {
				body, p = body[:size], body[size:]
			} else { // a long frame is a piece of its own
				i++
				body = pieces[i]
			}
			dst = s.frame(dst, flags, body)
		}
	}
	if s.out = dst; cap(dst) > keepLen {
		s.out = nil
	}
	s.one[0] = dst
	return s.one[:]
}

// frame appends one frame with its header.
func (s *sealer) frame(dst []byte, flags byte, body []byte) []byte {
	inner := byte(0)
	if flags&flagMore != 0 {
		inner |= innerMore
	}
	if flags&flagCommand != 0 {
		inner |= innerCommand
	}
	var n nonce
	s.count++
	n.set(s.prefix, s.count)
	s.plain = append(append(s.plain[:0], inner), body...)
	dst = appendHeader(dst, 0, messageExtra+len(body))
	dst = append(append(dst, messageName...), n[16:]...)
	dst = secretbox.Seal(dst, s.plain, (*[24]byte)(&n), &s.key)
	clear(s.plain)
	if s.plain = s.plain[:0]; cap(s.plain) > keepLen {
		s.plain = nil
	}
	return dst
}

// opener opens MESSAGE commands. The reader that has it guards it.
type opener struct {
	key    key
	prefix string
	count  uint64 // of the last nonce
}

func (o *opener) wipe() { *o = opener{} }

// head takes what precedes the box, messageHead bytes. Each nonce must be
// above the last one, so that nothing can be replayed or reordered; gaps are
// what a publisher dropped.
func (o *opener) head(b []byte) error {
	count := binary.BigEndian.Uint64(b[len(messageName):])
	if string(b[:len(messageName)]) != messageName || count <= o.count {
		return errCurve
	}
	o.count = count
	return nil
}

// open appends what is in the box to dst: a byte of flags and a body.
func (o *opener) open(dst, box []byte) ([]byte, error) {
	var n nonce
	n.set(o.prefix, o.count)
	out, ok := secretbox.Open(dst, box, (*[24]byte)(&n), &o.key)
	if !ok {
		return dst, errCurve
	}
	if f := out[len(dst)]; f != 0 && f != innerMore && f != innerCommand {
		return dst, errFrame
	}
	return out, nil
}
