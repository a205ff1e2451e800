package match

import (
	"context"
	"math/bits"
	"slices"
)

const (
	// step is how far apart the windows of the text are that are looked up.
	// A piece of minPiece bytes has minPiece-8+1 windows of 8 bytes in a row,
	// and a core of MinLen bytes as many of 4, so one of them is looked up.
	step = 5
	// block is how much text one index is asked about before the other.
	block = step << 10
	// patience is how much text is searched between two looks at the context.
	patience = block << 7
)

// Find implements Finder. It fails with ErrWiped after Wipe.
func (s *Set) Find(ctx context.Context, text []byte) (Result, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.wiped {
		return Result{}, ErrWiped
	}
	if len(s.forms) == 0 {
		return Result{}, nil
	}
	f := finding{set: s, text: text}
	for p := 0; p < len(text); p += block {
		if p%patience == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		f.scan(&s.long, p, p+block)
		if len(s.short.places) > 0 {
			f.scan(&s.short, p, p+block)
		}
	}
	var r Result
	for _, h := range f.hits {
		r.Spans = append(r.Spans, Span{h.start, h.end, s.names[h.name]})
	}
	r.Tail = s.tailOf(text, r.Spans)
	return r, nil
}

// finding is one call of Find.
type finding struct {
	set  *Set
	text []byte
	hits []hit

	// extended remembers where the pieces end that were extended, so that
	// the other windows of a piece cost next to nothing.
	extended *[256]extent

	cut      bool // whether bars is made
	bars     []Span
	next     int // of bars, the first that ends behind the place looked at
	from, to int // what lies between two bars, around the place looked at
}

// extent says how far the text agrees with the arena when they are laid
// against each other with place 0 of the text at place diagonal of the arena.
type extent struct{ diagonal, end int }

// hit is a span while its neighbours may still be merged with it.
type hit struct {
	start, end int
	name       uint32
	longest    int // length of the piece that gave the name
}

// scan looks up the windows that start in [p, end) in x: four at a time, with
// one branch.
func (f *finding) scan(x *index, p, end int) {
	filter, mask, mix := x.filter, x.mask, x.mix
	for last := min(end, len(f.text)-7); p+3*step < last; p += 4 * step {
		text := f.text[p : p+3*step+8]
		a := filter.missing(load64(text) & mask * mix)
		b := filter.missing(load64(text[step:]) & mask * mix)
		c := filter.missing(load64(text[2*step:]) & mask * mix)
		d := filter.missing(load64(text[3*step:]) & mask * mix)
		if a != 0 && b != 0 && c != 0 && d != 0 {
			continue
		}
		for i, m := range [...]uint64{a, b, c, d} {
			if m == 0 {
				f.try(x, p+i*step)
			}
		}
	}
	for end = min(end, len(f.text)-x.width+1); p < end; p += step {
		f.try(x, p)
	}
}

// try extends the pieces that have the window at p.
func (f *finding) try(x *index, p int) {
	window := x.window(f.text[p:])
	for _, place := range x.bucket(window) {
		if x.window(f.set.arena[place:]) == window {
			f.extend(place, p, x.width)
		}
	}
}

// extend finds the longest piece with the window of the given width that is
// at place in the arena and at p in the text.
func (f *finding) extend(place uint32, p, width int) {
	diagonal := int(place) - p
	known := f.extent(diagonal)
	if known.diagonal == diagonal && p < known.end || !f.between(p, width) {
		return
	}
	s, at := f.set, int(place)
	i := s.formOf(place)
	end := at + width + common(f.text[p+width:f.to], s.arena[at+width:s.formEnd(i)])
	start := at - commonBack(f.text[f.from:p], s.arena[s.forms[i].start:at])
	*known = extent{diagonal, end - diagonal}
	f.judge(i, start, end, start-diagonal)
}

// extent returns where diagonal is remembered, or else the place among four
// that is of the least use.
func (f *finding) extent(diagonal int) *extent {
	if f.extended == nil {
		f.extended = new([256]extent)
	}
	at := int(uint64(diagonal) * longKind.mix >> 56)
	least := &f.extended[at]
	for i := range 4 {
		e := &f.extended[(at+i)%256]
		if e.diagonal == diagonal {
			return e
		}
		if e.end < least.end {
			least = e
		}
	}
	return least
}

// between reports whether a window lies between two placeholders, and sets
// from and to.
func (f *finding) between(p, width int) bool {
	if !f.cut {
		f.cut, f.bars = true, f.set.placeholders(f.text)
	}
	for f.next < len(f.bars) && f.bars[f.next].End <= p {
		f.next++
	}
	for f.next > 0 && f.bars[f.next-1].End > p {
		f.next--
	}
	f.from, f.to = 0, len(f.text)
	if f.next > 0 {
		f.from = f.bars[f.next-1].End
	}
	if f.next < len(f.bars) {
		f.to = f.bars[f.next].Start
	}
	return p+width <= f.to
}

// judge adds the piece [start, end) of the arena, in form i, which is at p in
// the text, to the hits if it counts.
func (f *finding) judge(i, start, end, p int) {
	s := f.set
	lo, hi := shortLines(s.arena[start:end])
	start, end, p = start+lo, start+hi, p+lo

	first, core, e := int(s.forms[i].start), s.formEnd(i)-int(s.forms[i].edge.pad), s.forms[i].edge
	whole := start == first && end >= core
	if !whole && (end-start < minPiece || !s.isHeavy(start, end)) {
		return
	}
	q := p + end - start
	if start == first && e.leftMask != 0 && p > f.from && agrees(f.text[p-1], e.leftMask, e.leftBits) {
		p--
	}
	if end == core && e.rightMask != 0 && q < f.to && agrees(f.text[q], e.rightMask, e.rightBits) {
		q++
	}
	f.add(hit{p, q, s.forms[i].name, q - p})
}

// agrees reports whether c is a base64 character with the given bits.
func agrees(c byte, mask, bits uint8) bool {
	v := sextet(c)
	return v != 0xFF && v&mask == bits
}

// add merges h with the hits that it overlaps. Those that only touch stay
// apart: otherwise whatever ends a text would have to wait for the next one.
func (f *finding) add(h hit) {
	end := len(f.hits)
	for end > 0 && f.hits[end-1].start >= h.end {
		end--
	}
	start := end
	for start > 0 && f.hits[start-1].end > h.start {
		start--
		o := f.hits[start]
		if o.longest > h.longest || o.longest == h.longest && o.name < h.name {
			h.name, h.longest = o.name, o.longest
		}
		h.start, h.end = min(h.start, o.start), max(h.end, o.end)
	}
	f.hits = slices.Replace(f.hits, start, end, h)
}

// isHeavy reports whether the bytes [start, end) of the arena weigh enough
// for a fragment.
func (s *Set) isHeavy(start, end int) bool {
	sum := 0
	for i := start; i < end && sum < minHeft; i++ {
		if i%4 == 0 && i+4 <= end {
			b := s.heft[i/4]
			sum += bits.OnesCount8(b&0x55) + 2*bits.OnesCount8(b&0xAA)
			i += 3
			continue
		}
		sum += int(s.heft[i/4] >> (i % 4 * 2) & 3)
	}
	return sum >= minHeft
}
