package match

import "context"

// Span is the half-open range [Start, End) of bytes of the searched text that
// holds the value called Name, or a fragment of it, in one of its encodings.
type Span struct {
	Start, End int
	Name       string
}

// Result is what a Finder says of one text.
type Result struct {
	// Spans are in order and do not overlap.
	Spans []Span
	// Tail is the number of bytes at the end of the text that may belong to a
	// match which later text would complete or lengthen. A span that ends
	// inside the tail lies wholly inside it. With no later text, Tail means nothing.
	Tail int
}

// Finder finds secrets in text. Find does not keep text and does not change it.
// A Finder is safe for concurrent use. An error means that text was not
// searched to its end and nothing is known about it.
//
// Set is the Finder of the agent; client.Stream, which asks the agent, is the
// one of everybody else.
type Finder interface {
	Find(ctx context.Context, text []byte) (Result, error)
}

// Lender is a Finder that lends memory for long texts. One that stands there
// from its first byte on is found in without a copy.
type Lender interface {
	Finder
	// Lend returns memory to write a text into, empty but for its capacity, and
	// what gives it back: to be called once, after the last use of the memory
	// and of every Find in it. It returns nil, nil where there is no such memory.
	Lend() (text []byte, giveBack func())
}

// Placeholder returns what stands in the place of the value called name:
// [nbhush:name].
func Placeholder(name string) string { return "[nbhush:" + name + "]" }

// Replace appends text to dst with each span replaced by its placeholder.
// Neither text nor spans are changed.
func Replace(dst, text []byte, spans []Span) []byte {
	at := 0
	for _, s := range spans {
		dst = append(dst, text[at:s.Start]...)
		dst = append(dst, Placeholder(s.Name)...)
		at = s.End
	}
	return append(dst, text[at:]...)
}
