package policy

import (
	"bytes"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// place is where something stands in a TOML file.
type place struct {
	path    []string
	at      uint32 // offset of its key
	element bool   // an element of the array of that path
}

// places returns the keys of src, which is valid TOML, and the tables in its
// arrays, in their order.
func places(src []byte) (all []place) {
	var p unstable.Parser
	p.Reset(src)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		path, at := keyOf(e)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = path
			all = append(all, place{path, at, e.Kind == unstable.ArrayTable})
		case unstable.KeyValue:
			path = slices.Concat(table, path)
			all = within(e.Value(), path, at, append(all, place{path, at, false}))
		}
	}
	return all
}

// keyOf returns the parts of an expression's key and where the first one begins.
func keyOf(e *unstable.Node) (path []string, at uint32) {
	for keys := e.Key(); keys.Next(); {
		n := keys.Node()
		if path == nil {
			at = n.Raw.Offset
		}
		path = append(path, string(n.Data))
	}
	return path, at
}

// within adds what is in an inline table or an array, whose key is at.
func within(n *unstable.Node, above []string, at uint32, all []place) []place {
	if n.Kind != unstable.InlineTable && n.Kind != unstable.Array {
		return all
	}
	for values := n.Children(); values.Next(); {
		v := values.Node()
		switch v.Kind {
		case unstable.KeyValue:
			path, at := keyOf(v)
			path = slices.Concat(above, path)
			all = within(v.Value(), path, at, append(all, place{path, at, false}))
		case unstable.InlineTable:
			at := at
			if first := v.Children(); first.Next() {
				_, at = keyOf(first.Node())
			}
			all = within(v, above, at, append(all, place{above, at, true}))
		}
	}
	return all
}

func lineAt(src []byte, at uint32) int { return bytes.Count(src[:at], []byte("\n")) + 1 }

// lineOf returns the line of a key, or if that has none of its own, of the
// nearest key above it; 0 where there is no such.
func lineOf(src []byte, path ...string) int {
	line, best := 0, 0
	for _, p := range places(src) {
		n := 0
		for n < len(p.path) && n < len(path) && p.path[n] == path[n] {
			n++
		}
		if n > best {
			line, best = lineAt(src, p.at), n
		}
	}
	return line
}

// linesOf returns the lines of the elements of an array of tables.
func linesOf(src []byte, key string) (lines []int) {
	for _, p := range places(src) {
		if p.element && len(p.path) == 1 && p.path[0] == key {
			lines = append(lines, lineAt(src, p.at))
		}
	}
	return lines
}
