package notebook

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
	size := len(src)
	for _, e := range edits {
		size += len(e.New) - (e.End - e.Start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(out, src[at:e.Start]...)
		out = append(out, e.New...)
		at = e.End
	}
	return append(out, src[at:]...)
}
