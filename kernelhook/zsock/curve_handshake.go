package zsock

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/nacl/secretbox"
)

// Lengths of the commands' data, that is without their names: RFC 26, "HELLO
// Command" and the three after it. INITIATE and READY are followed by metadata
// in their boxes.
const (
	longNonce   = 16
	boxed       = secretbox.Overhead
	cookieLen   = longNonce + boxed + 2*keyLen
	vouchLen    = longNonce + boxed + 2*keyLen
	helloLen    = 2 + 72 + keyLen + shortNonce + boxed + 64
	welcomeLen  = longNonce + boxed + keyLen + cookieLen
	initiateLen = cookieLen + shortNonce + boxed + keyLen + vouchLen
	readyLen    = shortNonce + boxed
)

// Prefixes of the nonces of the handshake.
const (
	nonceHello    = "CurveZMQHELLO---"
	nonceInitiate = "CurveZMQINITIATE"
	nonceReady    = "CurveZMQREADY---"
	nonceWelcome  = "WELCOME-"
	nonceCookie   = "COOKIE--"
	nonceVouch    = "VOUCH---"
)

// sealShort appends a short nonce and a box.
func sealShort(dst []byte, prefix string, count uint64, k *key, plain []byte) []byte {
	var n nonce
	n.set(prefix, count)
	return secretbox.Seal(append(dst, n[16:]...), plain, (*[24]byte)(&n), k)
}

// openShort opens a short nonce and a box, and returns the nonce's count.
func openShort(prefix string, k *key, b []byte) (plain []byte, count uint64, err error) {
	var n nonce
	count = binary.BigEndian.Uint64(b)
	n.set(prefix, count)
	plain, ok := secretbox.Open(nil, b[shortNonce:], (*[24]byte)(&n), k)
	if !ok {
		return nil, 0, errCurve
	}
	return plain, count, nil
}

// sealLong appends a long nonce, which is random, and a box.
func sealLong(dst []byte, prefix string, k *key, plain []byte) []byte {
	var n nonce
	copy(n[:], prefix)
	_, _ = rand.Read(n[8:]) // never fails
	return secretbox.Seal(append(dst, n[8:]...), plain, (*[24]byte)(&n), k)
}

func openLong(prefix string, k *key, b []byte) (plain []byte, err error) {
	var n nonce
	copy(n[copy(n[:], prefix):], b[:longNonce])
	plain, ok := secretbox.Open(nil, b[longNonce:], (*[24]byte)(&n), k)
	if !ok {
		return nil, errCurve
	}
	return plain, nil
}

// curveServer is a server's part of one handshake. Between WELCOME and INITIATE
// it remembers the key of its cookie and no other: RFC 26, "WELCOME Command".
// That key is of this connection, so that a cookie is good for no other one.
type curveServer struct {
	keys     *Curve
	cookie   key
	received uint64 // last nonce of the client
	shared   key    // after INITIATE: of the short-term keys
}

// answerHello answers the data of a HELLO with that of a WELCOME.
func (s *curveServer) answerHello(hello []byte) ([]byte, error) {
	if len(hello) != helloLen || hello[0] != 1 || hello[1] != 0 {
		return nil, errCurve
	}
	client := (*key)(hello[2+72:])
	var shared key
	defer clear(shared[:])
	if err := agree(&shared, &s.keys.secret, client); err != nil {
		return nil, err
	}
	zeros, count, err := openShort(nonceHello, &shared, hello[2+72+keyLen:])
	if err != nil || subtle.ConstantTimeCompare(zeros, make([]byte, 64)) != 1 {
		return nil, errCurve
	}
	s.received = count
	public, secret := newPair()
	_, _ = rand.Read(s.cookie[:]) // never fails
	plain := make([]byte, 0, 2*keyLen)
	plain = append(append(plain, client[:]...), secret[:]...)
	both := sealLong(bytes.Clone(public[:]), nonceCookie, &s.cookie, plain)
	clear(plain)
	clear(secret[:])
	return sealLong(nil, nonceWelcome, &shared, both), nil
}

// openInitiate takes the data of an INITIATE and returns the client's metadata.
func (s *curveServer) openInitiate(data []byte) (metadata []byte, err error) {
	defer clear(s.cookie[:])
	if len(data) < initiateLen {
		return nil, errCurve
	}
	kept, err := openLong(nonceCookie, &s.cookie, data[:cookieLen])
	if err != nil {
		return nil, err
	}
	defer clear(kept)
	client, secret := (*key)(kept), (*key)(kept[keyLen:])
	if err := agree(&s.shared, secret, client); err != nil {
		return nil, err
	}
	plain, count, err := openShort(nonceInitiate, &s.shared, data[cookieLen:])
	if err != nil || count <= s.received {
		return nil, errCurve
	}
	s.received = count
	var shared key
	defer clear(shared[:])
	if err := agree(&shared, secret, (*key)(plain)); err != nil {
		return nil, err
	}
	// The holder of the client's long-term key says of its short-term key that it
	// is its own and meant for this server.
	vouch, err := openLong(nonceVouch, &shared, plain[keyLen:keyLen+vouchLen])
	if err != nil || subtle.ConstantTimeCompare(vouch, slices.Concat(client[:], s.keys.public[:])) != 1 {
		return nil, errCurve
	}
	return plain[keyLen+vouchLen:], nil
}

// ready returns the data of the READY that ends the handshake. Its nonce is the
// first of the server's.
func (s *curveServer) ready(metadata []byte) []byte {
	return sealShort(nil, nonceReady, 1, &s.shared, metadata)
}

// curveClient is a client's part of one handshake.
type curveClient struct {
	keys               *Curve
	short, shortSecret key
	received           uint64 // last nonce of the server
	shared             key    // after WELCOME: of the short-term keys
}

func (c *curveClient) wipe() {
	clear(c.shortSecret[:])
	clear(c.shared[:])
}

// hello returns the data of a HELLO. Its nonce is the first of the client's.
func (c *curveClient) hello() ([]byte, error) {
	c.short, c.shortSecret = newPair()
	var shared key
	defer clear(shared[:])
	if err := agree(&shared, &c.shortSecret, &c.keys.public); err != nil {
		return nil, err
	}
	data := make([]byte, 2+72, helloLen)
	data[0] = 1
	return sealShort(append(data, c.short[:]...), nonceHello, 1, &shared, make([]byte, 64)), nil
}

// answerWelcome answers the data of a WELCOME with that of an INITIATE.
func (c *curveClient) answerWelcome(welcome, metadata []byte) ([]byte, error) {
	if len(welcome) != welcomeLen {
		return nil, errCurve
	}
	var shared key
	defer clear(shared[:])
	if err := agree(&shared, &c.shortSecret, &c.keys.public); err != nil {
		return nil, err
	}
	plain, err := openLong(nonceWelcome, &shared, welcome)
	if err != nil {
		return nil, err
	}
	server, cookie := (*key)(plain), plain[keyLen:]
	if err := agree(&c.shared, &c.shortSecret, server); err != nil {
		return nil, err
	}
	if err := agree(&shared, &c.keys.secret, server); err != nil {
		return nil, err
	}
	box := bytes.Clone(c.keys.public[:]) // of the client, as which it serves too
	box = sealLong(box, nonceVouch, &shared, slices.Concat(c.short[:], c.keys.public[:]))
	return sealShort(slices.Clip(cookie), nonceInitiate, 2, &c.shared, append(box, metadata...)), nil
}

// openReady takes the data of a READY and returns the server's metadata.
func (c *curveClient) openReady(data []byte) (metadata []byte, err error) {
	if len(data) < readyLen {
		return nil, errCurve
	}
	metadata, c.received, err = openShort(nonceReady, &c.shared, data)
	return metadata, err
}
