package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// Signer signs and verifies messages with the key of one connection file. It
// is safe for concurrent use.
type Signer struct {
	pool *sync.Pool // of hash.Hash; nil where messages are not signed
}

// NewSigner returns the Signer for the signature_scheme and key of a
// connection file. An empty key means that messages are not signed (section
// "The Wire Protocol"); an empty scheme means hmac-sha256.
func NewSigner(scheme string, key []byte) (*Signer, error) {
	if len(key) == 0 {
		return &Signer{}, nil
	}
	var newHash func() hash.Hash
	switch strings.ToLower(scheme) {
	case "", "hmac-sha256":
		newHash = sha256.New
	case "hmac-sha512":
		newHash = sha512.New
	default:
		return nil, fmt.Errorf("signature scheme %q is not one that nbhush speaks", scheme)
	}
	key = append([]byte(nil), key...)
	return &Signer{&sync.Pool{New: func() any { return hmac.New(newHash, key) }}}, nil
}

// Sign returns the signature that m should have. The caller owns it.
func (s *Signer) Sign(m Message) []byte {
	if s.pool == nil {
		return []byte{}
	}
	var sum [sha512.Size]byte
	return hex.AppendEncode(nil, s.sum(sum[:0], m))
}

// Verify reports whether m has the signature that it should have. Without a
// key every message has.
func (s *Signer) Verify(m Message) bool {
	if s.pool == nil {
		return true
	}
	var sum [sha512.Size]byte
	var want [2 * sha512.Size]byte
	return hmac.Equal(hex.AppendEncode(want[:0], s.sum(sum[:0], m)), m.Signature())
}

// Tag returns the first eight bytes of m's signature, which stand for the whole
// message as far as nobody without the key can tell. Not ok: messages are not
// signed, or m's signature is none. It verifies nothing.
func (s *Signer) Tag(m Message) (tag uint64, ok bool) {
	var b [8]byte
	sig := m.Signature()
	if s.pool == nil || len(sig) < hex.EncodedLen(len(b)) {
		return 0, false
	}
	if _, err := hex.Decode(b[:], sig[:hex.EncodedLen(len(b))]); err != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

func (s *Signer) sum(dst []byte, m Message) []byte {
	h := s.pool.Get().(hash.Hash)
	defer s.pool.Put(h)
	h.Reset()
	for _, f := range m.signed() {
		_, _ = h.Write(f)
	}
	return h.Sum(dst)
}
