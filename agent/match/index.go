package match

import (
	"encoding/binary"
	"math/bits"
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

// index finds the places of an arena at which a window stands.
type index struct {
	filter bloom
	heads  []uint32 // heads[b:b+2] bound bucket b in places
	places []uint32
	shift  uint8
	kind
}

// kind is what windows an index is of.
type kind struct {
	width int    // in bytes
	mask  uint64 // of a window in 8 bytes
	mix   uint64 // what a window is multiplied with for its hash
}

var (
	// The factors are odd and have well spread bits: the upper bits of a product
	// depend on all bytes of a window.
	longKind  = kind{8, 1<<64 - 1, 0x9E3779B97F4A7C15}
	shortKind = kind{4, 1<<32 - 1, 0xD6E8FEB86659FD93}
)

// window returns the window that b begins with.
func (k kind) window(b []byte) uint64 {
	if k.width == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return load64(b)
}

// hash returns the hash of the window that b begins with.
func (k kind) hash(b []byte) uint64 { return k.window(b) * k.mix }

// newIndex returns the index of the windows of the arena at the places with mark m. It
// does not keep marks.
func newIndex(k kind, arena []byte, marks []mark, m mark) index {
	count := m.count(marks)
	n := max(1, bits.Len(uint(count/2)))
	heads := make([]uint32, 1<<n+2)
	x := index{newBloom(count), heads[:1<<n+1], make([]uint32, count), uint8(64 - n), k}
	for p, of := range marks {
		if of&m != 0 {
			h := k.hash(arena[p:])
			x.filter.add(h)
			heads[h>>x.shift+2]++
		}
	}
	for b := range heads[:1<<n] { // heads[b+1] becomes where bucket b begins
		heads[b+2] += heads[b+1]
	}
	for p, of := range marks { // and then where it ends
		if of&m != 0 {
			next := &heads[k.hash(arena[p:])>>x.shift+1]
			x.places[*next] = uint32(p)
			*next++
		}
	}
	return x
}

// bucket returns the places where window stands, and some others.
func (x *index) bucket(window uint64) []uint32 {
	b := window * x.mix >> x.shift
	return x.places[x.heads[b]:x.heads[b+1]]
}

func (x *index) wipe() {
	clear(x.filter)
	clear(x.heads)
	clear(x.places)
}

func load64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

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
