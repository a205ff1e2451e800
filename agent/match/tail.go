package match

import (
	"bytes"
	"slices"

	"github.com/nbhush/nbhush/agent/secret"
)

const (
	placeholderStart = "[nbhush:"
	maxPlaceholder   = len(placeholderStart) + secret.MaxNameLen + len("]")
)

// tailFilter tells what cannot be a piece of a form. What it holds of forms is
// their single bytes, pairs, and hashes of 4 and 8 bytes in a row.
type tailFilter struct {
	singles [256]bool
	lefts   [256]bool // base64 characters that a form may begin within
	pairs   []uint64
	fours   bloom
	silent  bloom // windows of 8 that are not in Set.long
	longest int   // length of the longest form
}

// note adds the bytes and pairs of a form.
func (t *tailFilter) note(f *form) {
	if t.pairs == nil {
		t.pairs = make([]uint64, 1<<16/64)
	}
	t.longest = max(t.longest, len(f.text))
	for i, c := range f.text {
		t.singles[c] = true
		if i > 0 {
			pair := int(f.text[i-1])<<8 | int(c)
			t.pairs[pair/64] |= 1 << (pair % 64)
		}
	}
	if f.edge.leftMask != 0 {
		for c := range 256 {
			t.lefts[c] = t.lefts[c] || agrees(byte(c), f.edge.leftMask, f.edge.leftBits)
		}
	}
}

// build adds the longer windows of all forms of s.
func (t *tailFilter) build(s *Set, marks []mark) {
	t.fours = newBloom(len(s.arena) / 8)
	for i := range s.forms {
		for at := int(s.forms[i].start); at+4 <= s.formEnd(i); at++ {
			t.fours.add(shortKind.hash(s.arena[at:]))
		}
	}
	t.silent = newBloom(silentMark.count(marks) / 4)
	for p, m := range marks {
		if m&silentMark != 0 {
			t.silent.add(longKind.hash(s.arena[p:]))
		}
	}
}

func (t *tailFilter) wipe() {
	clear(t.pairs)
	clear(t.fours)
	clear(t.silent)
}

// tailOf returns Result.Tail: at least the length of the longest suffix of
// text that is a piece of a form, and of what changes with it.
func (s *Set) tailOf(text []byte, spans []Span) int {
	start := len(text) - s.suffix(text)
	if bars := s.placeholders(text[max(0, start-maxPlaceholder):]); len(bars) > 0 {
		end := max(0, start-maxPlaceholder) + bars[len(bars)-1].End
		start = max(start, end) // no piece has bytes of a placeholder
	}
	for {
		i := bytes.IndexByte(text[start:min(start+MinLen, len(text))], '\n')
		if i < 0 {
			break
		}
		start += i + 1 // as shortLines does
	}
	if start > 0 && s.tail.lefts[text[start-1]] {
		start--
	}
	start = min(start, s.openPlaceholder(text))
	for i := len(spans) - 1; i >= 0 && spans[i].End > start; i-- {
		start = min(start, spans[i].Start)
	}
	return len(text) - start
}

// suffix returns the length of the longest suffix of text of which each window
// is a window of a form.
func (s *Set) suffix(text []byte) int {
	t := &s.tail
	n := 0
	for n < len(text) && n < t.longest {
		b := text[len(text)-n-1:]
		ok := false
		switch {
		case n == 0:
			ok = t.singles[b[0]]
		case n < 3:
			pair := int(b[0])<<8 | int(b[1])
			ok = t.pairs[pair/64]>>(pair%64)&1 != 0
		case n < 7:
			ok = t.fours.missing(shortKind.hash(b)) == 0
		default:
			hash := longKind.hash(b)
			ok = s.long.filter.missing(hash) == 0 || t.silent.missing(hash) == 0
		}
		if !ok {
			break
		}
		n++
	}
	return n
}

// placeholders returns where the placeholders of the names of s are in text.
// They are never part of a match, so that what Replace wrote stays as it is.
func (s *Set) placeholders(text []byte) []Span {
	var bars []Span
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(placeholderStart))
		if i < 0 {
			return bars
		}
		at += i
		rest := text[at:min(at+maxPlaceholder, len(text))]
		n := bytes.IndexByte(rest, ']') + 1
		if _, ok := slices.BinarySearch(s.barrier, string(rest[:n])); ok {
			bars = append(bars, Span{Start: at, End: at + n})
			at += n
		} else {
			at += len(placeholderStart)
		}
	}
}

// openPlaceholder returns where a placeholder begins that text ends within, or
// len(text).
func (s *Set) openPlaceholder(text []byte) int {
	i := bytes.LastIndexByte(text[max(0, len(text)-maxPlaceholder):], '[')
	if i < 0 {
		return len(text)
	}
	i += max(0, len(text)-maxPlaceholder)
	open := text[i:]
	at, _ := slices.BinarySearch(s.barrier, string(open))
	if at < len(s.barrier) && len(s.barrier[at]) > len(open) && s.barrier[at][:len(open)] == string(open) {
		return i
	}
	return len(text)
}
