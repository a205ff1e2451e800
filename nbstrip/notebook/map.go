package notebook

import "unicode/utf8"

// Map leads from the decoded bytes of a Text back to its source.
type Map struct {
	src  []byte
	segs []segment
}

// segment is a piece of decoded text that begins at decoded and ends where the
// next segment begins, and the piece [start, end) of the source that it stands
// for: a run of bytes that stand for themselves, or else an escape, which is
// never as long as what it stands for.
type segment struct{ decoded, start, end uint32 }

// Map returns the way back for what the text's Reader yields. A binary text has none.
func (t Text) Map() Map {
	m := Map{src: t.src}
	decoded := 0
	for _, str := range t.strings {
		pos, end := int(str.start), int(str.end&^escapedBit)
		for pos < end {
			char, n := Unescape(t.src[pos:end])
			size := utf8.RuneLen(char)
			if n == 0 {
				n = verbatim(t.src[pos:end])
				size = n
			}
			m.segs = append(m.segs, segment{uint32(decoded), uint32(pos), uint32(pos + n)})
			decoded += size
			pos += n
		}
	}
	m.segs = append(m.segs, segment{decoded: uint32(decoded)}) // where the last one ends
	return m
}

// Ranges returns the source of the decoded bytes [start, end), which are not none: a range for
// each string that holds some of them, widened to whole characters.
func (m Map) Ranges(start, end int) []Range {
	var out []Range
	for i := m.find(start); i < len(m.segs)-1 && int(m.segs[i].decoded) < end; i++ {
		r := m.part(i, start, end)
		if last := len(out) - 1; last >= 0 && out[last].End == r.Start {
			out[last].End = r.End
		} else {
			out = append(out, r)
		}
	}
	return out
}

// find returns the index of the segment that holds the decoded byte at.
func (m Map) find(at int) int {
	low, high := 0, len(m.segs)-1
	for low < high {
		mid := int(uint(low+high+1) / 2)
		if int(m.segs[mid].decoded) <= at {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// part returns the source of what segment i has of the decoded bytes [start, end).
func (m Map) part(i, start, end int) Range {
	s := m.segs[i]
	whole := Range{int(s.start), int(s.end)}
	length := int(m.segs[i+1].decoded - s.decoded)
	if length != whole.End-whole.Start {
		return whole // an escape
	}
	r := whole
	if skip := start - int(s.decoded); skip > 0 {
		r.Start, _ = m.character(whole, whole.Start+skip)
	}
	if length > end-int(s.decoded) {
		_, r.End = m.character(whole, whole.Start+end-int(s.decoded))
	}
	return r
}

// character returns the bounds of the character that at, an offset of the
// source, is in the middle of; at itself twice if it is in the middle of none.
func (m Map) character(within Range, at int) (start, end int) {
	for start = at - 1; start >= within.Start && start > at-utf8.UTFMax; start-- {
		if utf8.RuneStart(m.src[start]) {
			if _, n := utf8.DecodeRune(m.src[start:within.End]); start+n > at {
				return start, start + n
			}
			break
		}
	}
	return at, at
}
