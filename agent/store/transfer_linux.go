package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"math/big"
	"sync"

	"github.com/nbhush/nbhush/agent/secret"
)

// transferAlgorithm is the one besides plain that the Secret Service API, draft
// 0.2, has in "Transfer of Secrets".
const transferAlgorithm = "dh-ietf1024-sha256-aes128-cbc-pkcs7"

// transferPrime is of the second Oakley group (RFC 2409, section 6.2), whose
// generator is 2. It is made when a keyring is used: every command has this package.
var transferPrime = sync.OnceValue(func() *big.Int {
	p, _ := new(big.Int).SetString("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"+
		"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"+
		"4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"+
		"EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF", 16)
	return p
})

// transfer encrypts values on their way over D-Bus, so that none stays in a buffer
// of this process, of the bus or of the service. Nobody proves who he is: it keeps
// nothing from somebody who can be in between. A nil transfer is plain.
type transfer struct{ key []byte }

// newExchange returns the public half of a key, and what makes a transfer of the other's.
func newExchange() (public []byte, agree func(theirs []byte) (*transfer, error), err error) {
	private := make([]byte, 32) // 256 bits for a group of 1,024, twice its strength
	if _, err := rand.Read(private); err != nil {
		return nil, nil, err
	}
	x, p := new(big.Int).SetBytes(private), transferPrime()
	clear(private)
	return new(big.Int).Exp(big.NewInt(2), x, p).Bytes(), func(theirs []byte) (t *transfer, err error) {
		defer func() { clear(x.Bits()) }()
		their := new(big.Int).SetBytes(theirs)
		if last := new(big.Int).Sub(p, big.NewInt(1)); their.Cmp(big.NewInt(1)) <= 0 || their.Cmp(last) >= 0 {
			return nil, errors.New("the Secret Service sent no key")
		}
		secret.Do(func() {
			shared := new(big.Int).Exp(their, x, p)
			b := shared.FillBytes(make([]byte, p.BitLen()/8))
			t = new(transfer)
			t.key, err = hkdf.Key(sha256.New, b, nil, "", aes.BlockSize)
			clear(b)
			clear(shared.Bits())
		})
		return t, err
	}, nil
}

// seal returns the parameters and the value of a Secret for v, which stays.
func (t *transfer) seal(v []byte) (parameters, value []byte, err error) {
	if t == nil {
		return []byte{}, v, nil
	}
	iv := make([]byte, aes.BlockSize)
	if _, err := rand.Read(iv); err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(t.key)
	if err != nil {
		return nil, nil, err
	}
	pad := aes.BlockSize - len(v)%aes.BlockSize // PKCS #7 (RFC 5652, section 6.3)
	value = make([]byte, len(v)+pad)
	for i := copy(value, v); i < len(value); i++ {
		value[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(value, value)
	return iv, value, nil
}

// open returns what seal took, in value's memory.
func (t *transfer) open(parameters, value []byte) ([]byte, error) {
	if t == nil {
		return value, nil
	}
	if len(parameters) != aes.BlockSize || len(value) == 0 || len(value)%aes.BlockSize != 0 {
		return nil, errors.New("the Secret Service sent a value that is not encrypted")
	}
	block, err := aes.NewCipher(t.key)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, parameters).CryptBlocks(value, value)
	pad := int(value[len(value)-1])
	if pad == 0 || pad > aes.BlockSize || bytes.Count(value[len(value)-pad:], value[len(value)-1:]) != pad {
		clear(value)
		return nil, errors.New("the Secret Service sent a value with another key")
	}
	return value[:len(value)-pad], nil
}

// forget wipes the key.
func (t *transfer) forget() {
	if t != nil {
		clear(t.key)
	}
}
