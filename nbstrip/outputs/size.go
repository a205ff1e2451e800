package outputs

import (
	"unicode/utf8"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// small reports whether out, as it will be, has at most MaxSize characters: those
// of all strings, numbers and words in it, as Python prints them, names of members not counted. nbstripout
// counts before it takes counts out, so that a second time may find it larger.
func (s *Stripper) small(out *notebook.Node) bool {
	if s.o.MaxSize == 0 && !out.Blank(s.src) {
		return false // as nearly always: no need to look inside
	}
	src := s.src[out.Start:out.End]
	whole, err := notebook.Parse(src, nil)
	if err != nil {
		return false
	}
	sum := size(src, whole)
	for i := range whole.Items {
		if m := &whole.Items[i]; m.Key == "execution_count" && !s.o.KeepCount {
			sum += len("null") - size(src, m)
		}
	}
	return sum <= s.o.MaxSize
}

func size(src []byte, n *notebook.Node) (sum int) {
	switch src[n.Start] {
	case '"':
		return utf8.RuneCount(notebook.Raw(src[n.Start+1 : n.End-1]).AppendTo(nil))
	case '{', '[':
		for i := range n.Items {
			sum += size(src, &n.Items[i])
		}
		return sum
	}
	switch token := src[n.Start:n.End]; string(token) {
	case "NaN", "Infinity":
		return len("nan")
	case "-Infinity":
		return len("-inf")
	case "true", "false", "null": // Python's words are as long
		return len(token)
	default:
		return len(appendNumber(nil, token))
	}
}
