package outputs

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// ErrContradiction says that a cell is told both to keep and not to keep its output.
var ErrContradiction = errors.New("cell metadata contradicts tags: `keep_output` is false, but `keep_output` in tags")

// shallow says how deep to look at first; what turns out to matter is looked at again.
var shallow = map[string]int{"outputs": 1, "results": 0, "source": 0, "input": 0, "attachments": 0, "metadata": 1}

// maxKept is how large a result a Stripper keeps room for, in bytes.
const maxKept = 4 << 20

// Strip returns src without what o says should go; it is src itself if nothing
// is to go. A src that is no JSON object is a *notebook.NotNotebookError. It
// never changes src and may be called by many goroutines.
func Strip(src []byte, o Options) ([]byte, error) { return New(o).Strip(src) }

// Stripper strips one notebook after the other, each in the memory of the one
// before. It is for one goroutine.
type Stripper struct {
	o                Options
	ofNotebook, keys []string // of the notebook's metadata, and of cells

	parser notebook.Parser
	edits  []notebook.Edit
	out    []byte

	checker checker
	formed  []byte

	// of the notebook at hand
	src        []byte
	keepOutput bool
	cells      int // seen, and not dropped
}

// New returns a Stripper for o.
func New(o Options) *Stripper {
	s := &Stripper{o: o, edits: make([]notebook.Edit, 0, 64)}
	s.ofNotebook, s.keys = o.keys()
	return s
}

// Strip is the function Strip; the result is valid until the next one is made.
func (s *Stripper) Strip(src []byte) ([]byte, error) {
	root, err := s.parser.Parse(src, shallow)
	if err != nil {
		return nil, err
	}
	s.src, s.keepOutput = src, s.o.KeepOutput
	if src[root.Start] != '{' {
		return nil, &notebook.NotNotebookError{Line: 1, Reason: "it is no JSON object"}
	}
	if s.o.Zeppelin || isNote(root) {
		s.zeppelin(root)
	} else if err := s.notebook(root); err != nil {
		return nil, err
	}
	if s.edits = root.AppendEdits(s.edits[:0]); len(s.edits) == 0 {
		return src, nil
	}
	if cap(s.out) > maxKept {
		s.out = nil
	}
	s.out = notebook.AppendSplice(s.out[:0], src, s.edits)
	return s.out, nil
}

// isNote reports whether root looks like a Zeppelin note.
func isNote(root *notebook.Node) bool {
	return root.Get("cells") == nil && root.Get("worksheets") == nil && root.Get("paragraphs") != nil
}

// zeppelin empties the results of all paragraphs.
func (s *Stripper) zeppelin(root *notebook.Node) {
	for _, p := range s.items(root.Get("paragraphs"), '[') {
		for i := range p.Items {
			if m := &p.Items[i]; m.Key == "results" && !s.is(m, "{}") {
				m.New = []byte("{}")
			}
		}
	}
}

func (s *Stripper) notebook(root *notebook.Node) error {
	meta := root.Get("metadata")
	if keep := meta.Get("keep_output"); keep != nil && !s.keepOutput {
		s.keepOutput = s.truth(keep)
	}
	if meta != nil {
		for _, key := range s.ofNotebook {
			s.pop(meta, key)
		}
		s.only(meta, "metadata.")
	}
	for i := range root.Items {
		switch m := &root.Items[i]; m.Key {
		case "cells":
			s.cells = 0 // of two, nbstripout reads one
			if err := s.all(m); err != nil {
				return err
			}
		case "worksheets":
			s.cells = 0
			for j := range s.items(m, '[') {
				if err := s.all(m.Items[j].Get("cells")); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Stripper) all(cells *notebook.Node) error {
	items := s.items(cells, '[')
	for i := range items {
		if c := &items[i]; s.src[c.Start] == '{' {
			if err := s.cell(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Stripper) cell(c *notebook.Node) error {
	meta := c.Get("metadata")
	if s.o.DropEmptyCells && s.empty(c) || slices.ContainsFunc(s.o.DropTags, func(tag string) bool { return s.has(meta.Get("tags"), tag) }) {
		c.Drop = true
		return nil
	}
	keep, err := s.keeps(meta)
	if err != nil {
		return err
	}
	for i := range c.Items {
		switch m := &c.Items[i]; m.Key {
		case "outputs":
			s.outputs(m, keep)
		case "prompt_number", "execution_count":
			s.null(m)
		case "id":
			if id := []byte(`"` + strconv.Itoa(s.cells) + `"`); !s.o.KeepID && !s.is(m, string(id)) {
				m.New = id
			}
		}
	}
	for _, key := range s.keys {
		s.pop(c, key)
	}
	if meta != nil {
		s.only(meta, "cell.metadata.")
	}
	s.cells++
	return nil
}

// keeps reports whether a cell with this metadata keeps its outputs.
func (s *Stripper) keeps(meta *notebook.Node) (bool, error) {
	if init := meta.Get("init_cell"); init != nil {
		return s.truth(init) && !s.o.StripInitCells, nil
	}
	said := meta.Get("keep_output")
	tagged := s.has(meta.Get("tags"), "keep_output")
	switch {
	case said != nil && tagged && !s.truth(said):
		return false, ErrContradiction
	case said != nil || tagged:
		return tagged || s.truth(said), nil
	}
	return s.keepOutput, nil
}

func (s *Stripper) outputs(all *notebook.Node, keep bool) {
	items := s.items(all, '[')
	drop := !keep && len(s.o.KeepTypes) == 0 && s.o.MaxSize == 0 // all of them, and so nearly always
	for i := range items {
		out := &items[i]
		if out.Drop = drop && !out.Blank(s.src); out.Drop {
			continue
		}
		out.Deepen(s.src)
		if !keep || len(s.o.KeepTypes) > 0 {
			out.Drop = !s.small(out) && !s.matches(out, s.o.KeepTypes)
		}
		out.Drop = out.Drop || s.matches(out, s.o.DropTypes)
		for j := range out.Items {
			if m := &out.Items[j]; m.Key == "execution_count" {
				s.null(m)
			}
		}
	}
}

// matches reports whether out is of one of the types.
func (s *Stripper) matches(out *notebook.Node, types []string) bool {
	for _, t := range types {
		kind, name, named := strings.Cut(t, ":")
		if s.text(out.Get("output_type")) == kind && (!named || s.text(out.Get("name")) == name) {
			return true
		}
	}
	return false
}

// null makes a count null, unless counts are kept.
func (s *Stripper) null(n *notebook.Node) {
	if !s.o.KeepCount && !s.is(n, "null") {
		n.New = []byte("null")
	}
}

// pop takes the member key out of n: the one called that, or else, where it has
// dots, the member behind a dot of the member before it.
func (s *Stripper) pop(n *notebook.Node, key string) {
	if n == nil || s.src[n.Start] != '{' {
		return
	}
	found := false
	for i := range n.Items {
		if n.Items[i].Key == key {
			n.Items[i].Drop, found = true, true
		}
	}
	if head, tail, ok := strings.Cut(key, "."); ok && !found {
		below := n.Get(head)
		below.Deepen(s.src)
		s.pop(below, tail)
	}
}

// only takes out of the metadata what is not in the list of OnlyKeys.
func (s *Stripper) only(meta *notebook.Node, prefix string) {
	if s.o.OnlyKeys == nil || s.src[meta.Start] != '{' {
		return
	}
	for i := range meta.Items {
		if m := &meta.Items[i]; !slices.Contains(s.o.OnlyKeys, prefix+m.Key) {
			m.Drop = true
		}
	}
}

// empty reports whether a cell has nothing but white space as its source.
func (s *Stripper) empty(c *notebook.Node) bool {
	source := c.Get("source")
	if source == nil {
		source = c.Get("input")
	}
	if source == nil {
		return true
	}
	source.Deepen(s.src)
	lines := source.Items
	if s.src[source.Start] == '"' {
		lines = []notebook.Node{*source}
	}
	for i := range lines {
		if strings.TrimFunc(s.text(&lines[i]), space) != "" {
			return false
		}
	}
	return true
}

// space is what Python's str.strip takes away.
func space(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// has reports what Python's in says of a word and a list, a string or an object.
func (s *Stripper) has(n *notebook.Node, word string) bool {
	if n == nil {
		return false
	}
	n.Deepen(s.src)
	switch s.src[n.Start] {
	case '"':
		return strings.Contains(s.text(n), word)
	case '{':
		return n.Get(word) != nil
	}
	return slices.ContainsFunc(n.Items, func(item notebook.Node) bool {
		return s.src[item.Start] == '"' && s.text(&item) == word
	})
}

// truth reports what Python's bool says of a value.
func (s *Stripper) truth(n *notebook.Node) bool {
	switch b := s.src[n.Start:n.End]; b[0] {
	case '{', '[':
		return len(n.Items) > 0 || len(bytes.TrimSpace(b[1:len(b)-1])) > 0
	case '"':
		return len(b) > 2
	case 't', 'N', 'I':
		return true
	case 'f', 'n':
		return false
	default:
		f, err := strconv.ParseFloat(string(b), 64)
		return err != nil || f != 0
	}
}

// items returns the items of a value that begins with open.
func (s *Stripper) items(n *notebook.Node, open byte) []notebook.Node {
	if n == nil || s.src[n.Start] != open {
		return nil
	}
	return n.Items
}

func (s *Stripper) is(n *notebook.Node, text string) bool {
	return string(s.src[n.Start:n.End]) == text
}

// text returns the decoded string that n is, "" if it is none.
func (s *Stripper) text(n *notebook.Node) string {
	if n == nil || s.src[n.Start] != '"' {
		return ""
	}
	return string(notebook.Raw(s.src[n.Start+1 : n.End-1]).AppendTo(nil))
}
