package match

import "bytes"

// use says what becomes of one window of 8 bytes of a form.
type use uint8

const (
	silent  use = iota // in no index, since it is well-known text or the form is found otherwise
	stored             // in the index
	covered            // in the index as a window of another form
)

// plan returns the use of each window of f; before are the forms of the same
// value that were added already. It keeps three promises, by which every
// match of f is found:
//
//   - The core of f has step stored windows in a row, or its weight makes
//     it a fragment that counts. (A core of fewer than minPiece bytes has
//     windows of 4 bytes instead.)
//   - A window with weight is stored or covered if fragments of f can count.
//     The windows that are looked up in a piece leave at most 4 bytes at each
//     of its ends, so one of them has weight if the piece has enough.
//   - A piece of f is a piece of the form that covers its windows, or has a
//     stored window that is looked up.
func (f *form) plan(before []form) []use {
	if len(f.text) < 8 {
		return nil
	}
	uses := make([]use, len(f.text)-7)
	if f.core() < minPiece {
		return uses
	}
	if sum(f.heft) >= minHeft {
		for i := range uses {
			if sum(f.heft[i:i+8]) > 0 {
				uses[i] = stored
			}
		}
	}
	if sum(f.heft[:f.core()]) >= minHeft {
		f.cover(uses, before)
		return uses
	}
	best := 0 // the heaviest windows are the rarest
	for i := range f.core() - 8 - step + 2 {
		if sum(f.heft[i:i+8+step-1]) > sum(f.heft[best:best+8+step-1]) {
			best = i
		}
	}
	for i := range step {
		uses[best+i] = stored
	}
	return uses
}

// cover marks the windows that the form before f with the most of them
// covers: it has them, with the weight and all the bytes around them that a
// piece of minPiece bytes could have. A piece with covered windows alone is
// thus a piece of that form. A piece that goes on to other bytes has
// stored windows on the way there, since step windows with weight are kept at
// each end of a stretch. One form covers all, as a piece must not be covered in parts.
func (f *form) cover(uses []use, before []form) {
	var best [][2]int
	most := 0
	for i := range before {
		if before[i].class != f.class {
			continue
		}
		var ranges [][2]int
		n := 0
		f.stretches(&before[i], func(lo, hi int) {
			if lo, hi = f.inner(uses, lo, hi); lo < hi {
				ranges = append(ranges, [2]int{lo, hi})
				n += hi - lo
			}
		})
		if n > most {
			best, most = ranges, n
		}
	}
	for _, r := range best {
		for i := r[0]; i < r[1]; i++ {
			if uses[i] == stored {
				uses[i] = covered
			}
		}
	}
}

// inner returns which windows of the stretch [lo, hi) of f may be covered.
func (f *form) inner(uses []use, lo, hi int) (first, end int) {
	first, end = lo, hi-7
	if lo > 0 {
		first += minPiece - 8
		for kept := 0; kept < step && first < end; first++ {
			kept = (kept + 1) * int(uses[first]) // stored is 1, silent 0
		}
	}
	if hi < len(f.text) {
		end -= minPiece - 8
		for kept := 0; kept < step && first < end; end-- {
			kept = (kept + 1) * int(uses[end-1])
		}
	}
	return first, end
}

// stretches calls yield with the bounds of each stretch of f that g has too, for the
// same bytes of the value and with the same weights.
func (f *form) stretches(g *form, yield func(lo, hi int)) {
	if f.at == nil {
		f.stretchesBytewise(g, yield)
		return
	}
	lo := int32(0)
	n := min(len(f.at), len(g.at)) - 1
	for i := range n {
		a, b := f.at[i:i+2], g.at[i:i+2]
		if a[1]-a[0] == b[1]-b[0] && bytes.Equal(f.text[a[0]:a[1]], g.text[b[0]:b[1]]) && bytes.Equal(f.heft[a[0]:a[1]], g.heft[b[0]:b[1]]) {
			continue
		}
		yield(int(lo), int(a[0]))
		lo = a[1]
	}
	yield(int(lo), int(f.at[n]))
}

// stretchesBytewise is stretches for base64. A piece that ends with the core
// of f is not taken for one of g unless it is the end of g's core too, since
// the character after it would be missed.
func (f *form) stretchesBytewise(g *form, yield func(lo, hi int)) {
	lo, end := 0, min(len(f.text), len(g.text))
	if f.edge.rightMask != 0 && (f.core() != g.core() || f.edge != g.edge) {
		end = min(end, f.core()-1)
	}
	for i := range end {
		if f.text[i] != g.text[i] || f.heft[i] != g.heft[i] {
			yield(lo, i)
			lo = i + 1
		}
	}
	yield(lo, end)
}

func sum(heft []uint8) int {
	n := 0
	for _, h := range heft {
		n += int(h)
	}
	return n
}
