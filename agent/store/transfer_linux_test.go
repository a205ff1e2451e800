package store

import (
	"crypto/rand"
	"math/big"
	"testing"
)

// Two who exchange keys open what the other sealed; what was changed at its end,
// was cut, or is not encrypted at all is refused, as is a key that is none.
func TestTransfer(t *testing.T) {
	one, agreeOne, err := newExchange()
	if err != nil {
		t.Fatal(err)
	}
	two, agreeTwo, err := newExchange()
	if err != nil {
		t.Fatal(err)
	}
	a, err := agreeOne(two)
	if err != nil {
		t.Fatal(err)
	}
	b, err := agreeTwo(one)
	if err != nil {
		t.Fatal(err)
	}
	for length := range 40 {
		v := []byte((rand.Text() + rand.Text())[:length])
		iv, sealed, err := a.seal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.open(iv, sealed); err != nil || string(got) != string(v) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
	iv, sealed, err := a.seal([]byte("short"))
	if err != nil {
		t.Fatal(err)
	}
	iv[8] ^= 1 // of the padding, but not its last byte
	if _, err := b.open(iv, sealed); err == nil {
		t.Error("a changed padding was taken")
	}
	for name, c := range map[string][2][]byte{"no parameters": {nil, make([]byte, 16)}, "nothing": {iv, nil}, "cut": {iv, make([]byte, 15)}} {
		if _, err := b.open(c[0], c[1]); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	last := new(big.Int).Sub(transferPrime(), big.NewInt(1))
	for name, key := range map[string][]byte{"none": nil, "0": {0}, "1": {1}, "the last": last.Bytes(), "the prime": transferPrime().Bytes()} {
		_, agree, err := newExchange()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := agree(key); err == nil {
			t.Errorf("the key %s was taken", name)
		}
	}
}
