package notebook

import "slices"

// Range is the half-open range [Start, End) of bytes.
type Range struct{ Start, End int }

// Edit puts New in the place of the bytes [Start, End).
type Edit struct {
	Start, End int
	New        []byte
}

// Splice returns src with edits made, in a new slice of exactly the length it
// needs; without edits it returns src itself. The edits are sorted and do not
// overlap. Bytes outside of them are equal in src and in the result.
func Splice(src []byte, edits []Edit) []byte {
	if len(edits) == 0 {
		return src
	}
	return AppendSplice(nil, src, edits)
}

// AppendSplice appends src with edits made to dst.
func AppendSplice(dst, src []byte, edits []Edit) []byte {
	size := len(src)
	for _, e := range edits {
		size += len(e.New) - (e.End - e.Start)
	}
	if dst == nil {
		dst = make([]byte, 0, size)
	}
	dst = slices.Grow(dst, size)
	at := 0
	for _, e := range edits {
		dst = append(dst, src[at:e.Start]...)
		dst = append(dst, e.New...)
		at = e.End
	}
	return append(dst, src[at:]...)
}
