package kernelspec

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// member is one name and value of a JSON object, by their places in the source.
type member struct {
	name       string
	start      int // of the quoted name
	value, end int // src[value:end] is the value
}

// edit replaces src[start:end] by text.
type edit struct {
	start, end int
	text       string
}

// splice applies edits, which do not overlap.
func splice(src []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(out, src[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	return append(out, src[at:]...)
}

// members returns the members of the object at src[start:end]. A name that is
// there twice is an error: programs differ in which of the two they read.
func members(src []byte, start, end int) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(src[start:end]))
	if dec.PeekKind() != '{' {
		return nil, fmt.Errorf("an object was expected at byte %d", start)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var all []member
	for dec.PeekKind() == '"' {
		var m member
		from, to, err := value(dec, start)
		if err != nil {
			return nil, err
		}
		m.start = from
		if m.name, err = unquote(src[from:to]); err != nil {
			return nil, err
		}
		if m.value, m.end, err = value(dec, start); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	if _, err := dec.ReadToken(); err != nil { // the closing brace, or what is wrong instead
		return nil, err
	}
	return all, nil
}

// elements returns the places of the strings in the array at src[start:end].
func elements(src []byte, start, end int) (places [][2]int, values []string, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(src[start:end]))
	if dec.PeekKind() != '[' {
		return nil, nil, fmt.Errorf("a list was expected at byte %d", start)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, nil, err
	}
	for dec.PeekKind() == '"' {
		from, to, err := value(dec, start)
		if err != nil {
			return nil, nil, err
		}
		s, err := unquote(src[from:to])
		if err != nil {
			return nil, nil, err
		}
		places, values = append(places, [2]int{from, to}), append(values, s)
	}
	if tok, err := dec.ReadToken(); err != nil {
		return nil, nil, err
	} else if tok.Kind() != ']' {
		return nil, nil, fmt.Errorf("a list of strings was expected at byte %d", start)
	}
	return places, values, nil
}

// value reads the next value and returns its place, base added.
func value(dec *jsontext.Decoder, base int) (from, to int, err error) {
	raw, err := dec.ReadValue()
	if err != nil {
		return 0, 0, err
	}
	to = base + int(dec.InputOffset())
	return to - len(raw), to, nil
}

func unquote(src []byte) (string, error) {
	b, err := jsontext.AppendUnquote(nil, src)
	return string(b), err
}

func quote(s string) (string, error) {
	b, err := jsontext.AppendQuote(nil, s)
	return string(b), err
}

// find returns the member called name.
func find(all []member, name string) (member, bool) {
	i := slices.IndexFunc(all, func(m member) bool { return m.name == name })
	if i < 0 {
		return member{}, false
	}
	return all[i], true
}

// without returns the edits that take the members called names, and their commas, out
// of an object.
func without(all []member, names ...string) []edit {
	stays := func(m member) bool { return !slices.Contains(names, m.name) }
	last := -1 // that stays
	for i, m := range all {
		if stays(m) {
			last = i
		}
	}
	var edits []edit
	for i, m := range all {
		switch {
		case stays(m):
		case i < last:
			edits = append(edits, edit{m.start, all[i+1].start, ""})
		case last >= 0: // and nothing behind it
			return append(edits, edit{all[last].end, all[len(all)-1].end, ""})
		default:
			return append(edits, edit{m.start, all[len(all)-1].end, ""})
		}
	}
	return edits
}
