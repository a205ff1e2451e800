package match

import (
	"bytes"
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/nbhush/nbhush/agent/secret"
)

// ErrWiped is what Find says of a Set after Wipe.
var ErrWiped = errors.New("the known values were wiped")

// Known is a value and the name that stands in its place.
type Known struct {
	Name  secret.Name
	Value secret.Value
}

// Set is a Finder of known values. It does not change until Wipe and is safe
// for concurrent use.
type Set struct {
	mu    sync.RWMutex // Find reads, Wipe writes
	wiped bool
	len   int

	names   []string   // in the order of New
	barrier []string   // the placeholders of names, sorted
	arena   []byte     // the texts of all forms, one after the other
	heft    []byte     // of each byte of arena, in halves: 2 bits each
	forms   []formInfo // in the order of arena
	long    index      // of windows of 8 bytes
	short   index      // of windows of 4 bytes, of forms whose core has less than minPiece
	tail    tailFilter
}

// formInfo is a form in the arena.
type formInfo struct {
	start uint32
	name  uint32 // index of names
	edge  edge
}

// maxArena bounds the arena, so that places fit into 32 bits.
const maxArena = 1 << 31

// New returns a Set of known. It keeps copies of the values in forms of its
// own and neither changes nor keeps the values themselves. Values that
// Weakness says cannot be matched are left out. Where two values have a piece
// in common, the first one names it.
func New(known []Known) *Set {
	b := &builder{set: &Set{}, seed: maphash.MakeSeed(), seen: make(map[uint64]int32)}
	var values [][]byte
	for _, k := range known {
		v := k.Value.Reveal()
		if unmatchable(v) != "" {
			continue
		}
		values = append(values, v[:min(len(v), maxLen)])
		b.set.names = append(b.set.names, string(k.Name))
	}
	shared := b.countShared(values)
	for i, v := range values {
		b.addValue(uint32(i), v, shared)
	}
	shared.wipe()
	return b.finish()
}

// Len returns the number of values that s finds.
func (s *Set) Len() int { return s.len }

// Wipe overwrites every copy of a value that s holds. It waits for running
// calls of Find; later ones fail.
func (s *Set) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.arena)
	s.long.wipe()
	s.short.wipe()
	s.tail.wipe()
	s.wiped = true
	s.arena, s.heft, s.forms, s.long, s.short, s.tail = nil, nil, nil, index{}, index{}, tailFilter{}
}

// builder makes a Set.
type builder struct {
	set    *Set
	seed   maphash.Seed
	seen   map[uint64]int32 // index of the last of set.forms with a hash of its text
	before []int32          // of each of set.forms, the one before it with its hash, or -1
	marks  []mark           // of each byte of the arena
}

// mark is the weight of a byte in halves and, above it, what becomes of the windows that
// begin there. One byte of an arena takes one byte so, where lists of places, with
// the room in which lists grow, took ten.
type mark uint8

const (
	heftOf     mark = 3
	longMark   mark = 1 << (1 + iota) // the window of 8 is in the index
	shortMark                         // the window of 4 is in the index
	silentMark                        // the window of 8 is in neither and not elsewhere
)

// count returns how many of marks have m.
func (m mark) count(marks []mark) int {
	n := 0
	for _, of := range marks {
		if of&m != 0 {
			n++
		}
	}
	return n
}

// countShared counts in how many different values 8 bytes stand.
func (b *builder) countShared(values [][]byte) counter {
	total := 0
	for _, v := range values {
		total += len(v)
	}
	shared := newCounter(total)
	seen := make(map[uint64]bool) // hashes of values
	var slots []uint32
	for _, v := range values {
		h := maphash.Bytes(b.seed, v)
		if seen[h] {
			continue
		}
		seen[h] = true
		slots = slots[:0]
		for i := 0; i+8 <= len(v); i++ {
			slots = append(slots, shared.slot(load64(v[i:])))
		}
		slices.Sort(slots)
		for _, p := range slices.Compact(slots) {
			shared.bump(p)
		}
	}
	return shared
}

// addValue adds the forms of the value of names[name], and those of the
// password in it if it is a URL.
func (b *builder) addValue(name uint32, value []byte, shared counter) {
	heft := weigh(value)
	for i := 0; i+8 <= len(value); i++ {
		if shared.counts[shared.slot(load64(value[i:]))] > sharedMax {
			clear(heft[i : i+8])
		}
	}
	parts := splitRepeats(value)
	for _, p := range parts {
		if len(parts) == 1 || sum(heft[p.Start:p.End]) >= 2*MinLen {
			b.addForms(name, formsOf(value[p.Start:p.End], heft[p.Start:p.End]))
		}
	}
	if lo, hi := urlPassword(value); unmatchable(value[lo:hi]) == "" {
		b.addForms(name, formsOf(value[lo:hi], heft[lo:hi]))
	}
	b.set.len++
}

func (b *builder) addForms(name uint32, fs []form) {
	for i := range fs {
		b.addForm(name, &fs[i], fs[:i])
	}
	for i := range fs {
		clear(fs[i].text)
	}
}

// addForm adds f and the windows by which it is found; before are the forms of
// the same value that were added already.
func (b *builder) addForm(name uint32, f *form, before []form) {
	start := len(b.set.arena)
	if start+len(f.text) > maxArena || b.isKnown(f) {
		return
	}
	b.set.arena = appendWiping(b.set.arena, f.text)
	b.set.forms = append(b.set.forms, formInfo{uint32(start), name, f.edge})
	b.set.tail.note(f)

	if cap(b.marks)-start < len(f.text) {
		b.marks = append(make([]mark, 0, cap(b.set.arena)), b.marks...)
	}
	b.marks = b.marks[:start+len(f.text)]
	marks := b.marks[start:]
	for i, h := range f.heft {
		marks[i] = mark(h)
	}
	if f.core() < minPiece {
		for i := range step {
			marks[i] |= shortMark
		}
	}
	for i, how := range f.plan(before) {
		switch how {
		case stored:
			marks[i] |= longMark
		case silent:
			marks[i] |= silentMark
		}
	}
}

// isKnown reports whether an earlier form has the text of f, and remembers f.
func (b *builder) isKnown(f *form) bool {
	h := maphash.Bytes(b.seed, f.text)
	last, ok := b.seen[h]
	if !ok {
		last = -1
	}
	for i := last; i >= 0; i = b.before[i] {
		of := b.set.forms[i]
		if end := b.set.formEnd(int(i)); of.edge == f.edge && bytes.Equal(f.text, b.set.arena[of.start:end]) &&
			slices.EqualFunc(f.heft, b.marks[of.start:end], func(h uint8, m mark) bool { return mark(h) == m&heftOf }) {
			return true
		}
	}
	b.seen[h] = int32(len(b.set.forms))
	b.before = append(b.before, last)
	return false
}

// finish builds the indexes and returns the Set.
func (b *builder) finish() *Set {
	s := b.set
	grown := s.arena
	s.arena = append(make([]byte, 0, len(grown)), grown...)
	clear(grown)
	s.forms = slices.Clip(s.forms)
	s.heft = make([]byte, (len(b.marks)+3)/4)
	for i, m := range b.marks {
		s.heft[i/4] |= byte(m&heftOf) << (i % 4 * 2)
	}
	s.long = newIndex(longKind, s.arena, b.marks, longMark)
	s.short = newIndex(shortKind, s.arena, b.marks, shortMark)
	s.tail.build(s, b.marks)
	for _, n := range s.names {
		s.barrier = append(s.barrier, Placeholder(n))
	}
	slices.Sort(s.barrier)
	s.barrier = slices.Compact(s.barrier)
	return s
}

// formOf returns the index of the form that has place.
func (s *Set) formOf(place uint32) int {
	lo, hi := 0, len(s.forms)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.forms[mid].start <= place {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// formEnd returns where form i ends in the arena.
func (s *Set) formEnd(i int) int {
	if i+1 < len(s.forms) {
		return int(s.forms[i+1].start)
	}
	return len(s.arena)
}

// appendWiping is append, but leaves no copy of dst behind.
func appendWiping(dst, src []byte) []byte {
	if cap(dst)-len(dst) >= len(src) {
		return append(dst, src...)
	}
	bigger := make([]byte, len(dst), max(2*cap(dst), len(dst)+len(src)))
	copy(bigger, dst)
	clear(dst)
	return append(bigger, src...)
}
