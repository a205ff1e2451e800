package nbstrip

import (
	"regexp"
	"sync"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

var placeholders = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\[nbhush:([A-Za-z_][A-Za-z0-9_]*)\]`)
})

// Restore puts values back in the place of placeholders in the sources of code
// cells: what runs gets them, what is only shown does not. value returns the
// value of a name, or false to leave the placeholder; it is asked once for each
// place. A src that is no notebook, or has no placeholder, comes back as it is.
func Restore(src []byte, value func(name string) (string, bool)) []byte {
	if !placeholders().Match(src) {
		return src
	}
	nb, err := notebook.Scan(src)
	if err != nil {
		return src
	}
	var edits []notebook.Edit
	for _, t := range nb.Texts() {
		if t.Part != notebook.InSource || t.Cell < 0 || nb.Cells[t.Cell].Type != "code" {
			continue
		}
		m := t.Map()
		text := t.AppendTo(nil)
		for _, at := range placeholders().FindAllSubmatchIndex(text, -1) {
			ranges := m.Ranges(at[0], at[1])
			if len(ranges) != 1 {
				continue
			}
			if v, ok := value(string(text[at[2]:at[3]])); ok {
				edits = append(edits, notebook.Edit{Start: ranges[0].Start, End: ranges[0].End, New: escape(v)})
			}
		}
	}
	return notebook.Splice(src, edits)
}
