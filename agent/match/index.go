package match

import (
	"encoding/binary"
	"math/bits"
)

// Two odd constants with well spread bits; the upper bits of a product depend
// on all of the bytes of the factor.
const (
	mixLong  = 0x9E3779B97F4A7C15
	mixShort = 0xD6E8FEB86659FD93
)

// bloom is a set of hashed windows that may also say yes to what it does not
// hold, about once in a hundred times. Each member has two bits in one word.
// The number of words is a power of two.
type bloom []uint64

// newBloom returns a bloom for n members, of 16 to 32 bits each, or more if they are few.
func newBloom(n int) bloom { return make(bloom, 1<<bits.Len(uint(max(n, 1024)/4))) }

func (b bloom) add(hash uint64) { b[b.word(hash)] |= pattern(hash) }

// missing returns the bits of hash that b does not have: 0 if it may be a member.
func (b bloom) missing(hash uint64) uint64 { return pattern(hash) &^ b[b.word(hash)] }

// word returns the index of the word of hash.
func (b bloom) word(hash uint64) uint64 { return hash >> 32 & uint64(len(b)-1) }

// pattern returns the bits of hash in its word.
func pattern(hash uint64) uint64 { return 1<<(hash>>58) | 1<<(hash>>52&63) }

// index finds the places of an arena at which a window stands. Windows are 8
// bytes wide, or 4.
type index struct {
	filter bloom
	heads  []uint32 // heads[b:b+2] bound bucket b in places
	places []uint32
	shift  uint8
}

// newIndex returns the index of the windows at places, whose hashes hash
// returns. It does not keep places.
func newIndex(places []uint32, hash func(place uint32) uint64) index {
	k := max(1, bits.Len(uint(len(places)/2)))
	x := index{newBloom(len(places)), make([]uint32, 1<<k+1), make([]uint32, len(places)), uint8(64 - k)}
	for _, p := range places {
		h := hash(p)
		x.filter.add(h)
		x.heads[h>>x.shift]++
	}
	end := uint32(0)
	for b := range x.heads {
		end += x.heads[b]
		x.heads[b] = end
	}
	for i := len(places) - 1; i >= 0; i-- {
		b := hash(places[i]) >> x.shift
		x.heads[b]--
		x.places[x.heads[b]] = places[i]
	}
	return x
}

// bucket returns the places whose windows have hash, and some others.
func (x *index) bucket(hash uint64) []uint32 {
	b := hash >> x.shift
	return x.places[x.heads[b]:x.heads[b+1]]
}

func (x *index) wipe() {
	clear(x.filter)
	clear(x.heads)
	clear(x.places)
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func load32(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }

// common returns the length of the longest common prefix of a and b.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := load64(a[i:]) ^ load64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// commonBack returns the length of the longest common suffix of a and b.
func commonBack(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[len(a)-n:], b[len(b)-n:]
	i := n
	for ; i >= 8; i -= 8 {
		if d := load64(a[i-8:]) ^ load64(b[i-8:]); d != 0 {
			return n - i + bits.LeadingZeros64(d)/8
		}
	}
	for i > 0 && a[i-1] == b[i-1] {
		i--
	}
	return n - i
}
