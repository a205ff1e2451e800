package zsock

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

// keyLen is the length of every key of CURVE: RFC 26, "Cryptographic Conventions".
const keyLen = 32

// key is a key of CURVE: secret, public, or shared by two sides.
type key = [keyLen]byte

// Curve is a pair of long-term keys of CURVE, RFC 26. A listening socket proves
// with it that it has the secret key; a dialling one uses the same pair for
// itself and expects the other side to have it, as jupyter_client does with
// the pair of a connection file. It takes any client that knows the public
// key, also one with keys of its own, such as jupyter_client's heartbeat: who a
// client is shows by the signature of its messages. A Curve prints as
// [curve keys].
type Curve struct{ public, secret key }

// ParseCurve takes a pair in Z85, RFC 32, as a connection file has it. An
// error has no part of the keys in it.
func ParseCurve(public, secret string) (*Curve, error) {
	c := new(Curve)
	if !parseZ85(&c.public, public) {
		return nil, errors.New("zsock: the public key of CURVE is not 40 characters of Z85")
	}
	if !parseZ85(&c.secret, secret) {
		return nil, errors.New("zsock: the secret key of CURVE is not 40 characters of Z85")
	}
	if own := publicOf(&c.secret); subtle.ConstantTimeCompare(own[:], c.public[:]) != 1 {
		return nil, errors.New("zsock: the two keys of CURVE are not a pair")
	}
	return c, nil
}

// Format keeps the keys out of whatever is printed.
func (Curve) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[curve keys]") }

// z85 are the digits of RFC 32.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// parseZ85 reads the key k from its 40 characters. Five characters are four
// bytes; five that mean more than four bytes can hold are refused.
func parseZ85(k *key, text string) bool {
	if len(text) != keyLen/4*5 {
		return false
	}
	for i := range keyLen / 4 {
		var word uint64
		for _, c := range []byte(text[5*i : 5*i+5]) {
			digit, ok := z85Digit(c)
			if !ok {
				return false
			}
			word = word*85 + digit
		}
		if word > 1<<32-1 {
			return false
		}
		binary.BigEndian.PutUint32(k[4*i:], uint32(word))
	}
	return true
}

// z85Digit looks at every digit, so that its time says nothing of a secret key.
func z85Digit(c byte) (digit uint64, ok bool) {
	found := 0
	for i := range len(z85) {
		is := subtle.ConstantTimeByteEq(c, z85[i])
		digit |= uint64(is * i)
		found |= is
	}
	return digit, found == 1
}

// newPair makes a pair of short-term keys.
func newPair() (public, secret key) {
	_, _ = rand.Read(secret[:]) // never fails
	return publicOf(&secret), secret
}

func publicOf(secret *key) (public key) {
	curve25519.ScalarBaseMult(&public, secret)
	return public
}

// weak is what everybody shares with the holders of public keys of low order:
// HSalsa20 of a key of zero.
var weak = key{
	0x35, 0x1f, 0x86, 0xfa, 0xa3, 0xb9, 0x88, 0x46, 0x8a, 0x85, 0x01, 0x22, 0xb6, 0x5b, 0x0a, 0xce,
	0xce, 0x9c, 0x48, 0x26, 0x80, 0x6a, 0xee, 0xe6, 0x3d, 0xe9, 0xc0, 0xda, 0x2b, 0xd7, 0xf9, 0x1e,
}

// agree computes into k what the holder of secret shares with that of public.
// Unlike package box it refuses public keys of low order: a client with such
// ones would get a WELCOME that it can read without knowing the server's public key.
func agree(k, secret, public *key) error {
	if box.Precompute(k, public, secret); subtle.ConstantTimeCompare(k[:], weak[:]) == 1 {
		return errCurve
	}
	return nil
}
