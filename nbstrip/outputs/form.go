package outputs

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// Form gives out, which Strip returned, the form in which nbstripout 0.9 writes
// it: that of nbformat 5 for the notebook's version, that of Python's json for a
// Zeppelin note. Since nbformat gives ids to cells that should have them, so does
// Form, and added says that it did. The result is out itself if it has that form,
// and also if nbstripout cannot read or write it, would change it anew each time,
// or only gets by with a part that is of another kind than its format says. It is
// valid until the next one is made.
func (s *Stripper) Form(out []byte) (formed []byte, added bool) {
	giveIDs := !s.o.KeepID && !slices.Contains(s.keys, "id")
	if !s.o.Zeppelin && s.checker.canonical(out, giveIDs) {
		return out, false
	}
	formed, added = s.anew(out, giveIDs)
	if formed == nil || bytes.Equal(formed, out) {
		return out, false
	}
	return formed, added
}

// anew writes out anew; it is nil for what keeps its form.
func (s *Stripper) anew(out []byte, giveIDs bool) (formed []byte, added bool) {
	if !utf8.Valid(out) || bytes.HasPrefix(out, []byte("\ufeff")) {
		return nil, false
	}
	root, err := s.parser.Parse(out, nil)
	if err != nil || out[root.Start] != '{' {
		return nil, false
	}
	if cap(s.formed) > maxKept {
		s.formed = nil
	}
	w := writer{src: out, buf: slices.Grow(s.formed[:0], len(out)+len(out)/4), limit: 32*len(out) + 1<<16}
	w.anyValue = w.value
	if s.o.Zeppelin || isNote(root) {
		w.note(root)
	} else {
		added = w.notebook(root, giveIDs)
	}
	s.formed = append(w.buf, '\n')
	if w.failed {
		return nil, false
	}
	return s.formed, added
}

// maxDepth is how deep what is written may nest. Python, which calls itself for
// each level, gives up earlier; where depends on its version.
const maxDepth = 1000

// writer writes a notebook anew, from its tree.
type writer struct {
	src, buf []byte
	limit    int  // of buf: indents may be far longer than what they are for
	failed   bool // the notebook is to keep its form
	version  int  // of nbformat

	indent   int  // of each level
	inOrder  bool // members stay in their order, in place of the alphabet's
	onlyText bool // whatever is not ASCII becomes an escape

	anyValue func(n *notebook.Node, depth int) // value, made once
}

// note writes a Zeppelin note: json.dump(indent=2).
func (w *writer) note(root *notebook.Node) {
	w.indent, w.inOrder, w.onlyText = 2, true, true
	w.objects(root.Get("paragraphs"))
	w.value(root, 0)
}

// notebook writes a notebook as nbformat's writer for its version does. Members
// of an object move when it is written, so whatever is to be known of them is asked before.
func (w *writer) notebook(root *notebook.Node, giveIDs bool) (added bool) {
	w.version = 1 // of one that does not say it
	if n := root.Get("nbformat"); n != nil {
		w.version = int(w.src[n.Start] - '0')
		w.need(n.End == n.Start+1 && 1 <= w.version && w.version <= 4)
	}
	minor := w.minor(root)
	w.need(w.version != 3 || minor <= 0)
	meta := root.Get("metadata")
	w.need(w.is(meta, '{'))
	cells := w.cells(root)
	if w.failed {
		return false
	}
	for i, c := range cells {
		w.checkCell(c)
		if id := c.Get("id"); w.version == 4 && minor >= 5 && id != nil {
			w.need(!w.is(id, '{') && !w.is(id, '['))
		} else if w.version == 4 && minor >= 5 && giveIDs {
			c.Items = append(c.Items, notebook.Node{Key: "id", New: []byte(`"` + strconv.Itoa(i) + `"`)})
			added = true
		}
	}
	w.indent, w.onlyText = 1, w.version < 4
	switch w.version {
	case 1:
		w.indent, w.inOrder = 4, true
		w.value(root, 0)
	case 4:
		drop(meta, "orig_nbformat", "orig_nbformat_minor", "signature")
		w.members(root, 0, w.within("cells", w.cell))
	default:
		if w.version == 3 {
			drop(root, "orig_nbformat", "orig_nbformat_minor")
		}
		w.members(root, 0, w.within("worksheets", func(sheet *notebook.Node, depth int) {
			w.members(sheet, depth, w.within("cells", w.oldCell))
		}))
	}
	return added
}

// minor returns the second number of the format.
func (w *writer) minor(root *notebook.Node) int {
	n := root.Get("nbformat_minor")
	if n == nil {
		return 0
	}
	minor, err := strconv.Atoi(string(w.src[n.Start:n.End]))
	w.need(err == nil || errors.Is(err, strconv.ErrRange))
	return minor
}

// cells returns all cells.
func (w *writer) cells(root *notebook.Node) (cells []*notebook.Node) {
	sheets := []*notebook.Node{root}
	if w.version < 4 && root.Get("nbformat") != nil {
		sheets = w.objects(root.Get("worksheets"))
	}
	for _, sheet := range sheets {
		cells = append(cells, w.objects(sheet.Get("cells"))...)
	}
	return cells
}

// checkCell checks what nbstripout itself relies on, and the readers and writers of nbformat.
func (w *writer) checkCell(c *notebook.Node) {
	if meta := c.Get("metadata"); meta != nil {
		w.need(w.is(meta, '{'))
		tags := meta.Get("tags")
		w.need(tags == nil || w.is(tags, '{') || w.is(tags, '[') || w.is(tags, '"'))
	} else {
		w.need(w.version < 4)
	}
	w.need(w.version == 1 || w.is(c.Get("cell_type"), '"'))
	if outputs := c.Get("outputs"); outputs != nil {
		w.objects(outputs)
	} else {
		w.need(w.version == 1 || !w.says(c.Get("cell_type"), "code"))
	}
}

// cell writes a cell of nbformat 4.
func (w *writer) cell(c *notebook.Node, depth int) {
	drop(c.Get("metadata"), "trusted")
	code := w.says(c.Get("cell_type"), "code")
	w.members(c, depth, func(m *notebook.Node, depth int) {
		switch {
		case m.Key == "source":
			w.lines(m, depth)
		case m.Key == "attachments":
			w.members(m, depth, w.bundle)
		case m.Key == "outputs" && code:
			w.items(m, depth, w.output)
		default:
			w.value(m, depth)
		}
	})
}

// output writes an output of nbformat 4.
func (w *writer) output(o *notebook.Node, depth int) {
	kind := o.Get("output_type")
	w.need(w.is(kind, '"'))
	stream, untyped := w.says(kind, "stream"), w.says(kind, "")
	shown := w.says(kind, "display_data") || w.says(kind, "execute_result")
	w.need(!stream || o.Get("text") != nil)
	w.members(o, depth, func(m *notebook.Node, depth int) {
		switch {
		case m.Key == "data" && shown:
			w.bundle(m, depth)
		case m.Key == "text" && stream:
			w.lines(m, depth)
		case m.Key == "text" && !shown && !untyped && w.is(m, '['):
			w.joined(m.Items)
		default:
			w.value(m, depth)
		}
	})
}

// bundle writes an object that maps MIME types to data.
func (w *writer) bundle(b *notebook.Node, depth int) {
	w.members(b, depth, func(m *notebook.Node, depth int) {
		isJSON := m.Key == "application/json" || strings.HasPrefix(m.Key, "application/") && strings.HasSuffix(m.Key, "+json")
		split := strings.HasPrefix(m.Key, "text/") || m.Key == "application/javascript" || m.Key == "image/svg+xml"
		text := w.is(m, '"') || w.is(m, '[') && !isJSON && w.strings(m.Items)
		switch {
		case text && split:
			w.lines(m, depth)
		case text && w.is(m, '['):
			w.joined(m.Items)
		default:
			w.value(m, depth)
		}
	})
}

// What may have lines, in nbformat 2 and 3.
var (
	codeLines   = []string{"input"}
	otherLines  = []string{"source", "rendered"}
	outputLines = []string{"text", "html", "svg", "latex", "javascript", "json"}
)

// oldCell writes a cell of nbformat 2 or 3.
func (w *writer) oldCell(c *notebook.Node, depth int) {
	if w.version == 3 {
		drop(c, "trusted")
		drop(c.Get("metadata"), "trusted")
	}
	code := w.says(c.Get("cell_type"), "code")
	withLines := otherLines
	if code {
		withLines = codeLines
	}
	w.members(c, depth, func(m *notebook.Node, depth int) {
		switch {
		case slices.Contains(withLines, m.Key):
			w.lines(m, depth)
		case m.Key == "outputs" && code:
			w.items(m, depth, w.oldOutput)
		default:
			w.value(m, depth)
		}
	})
}

// oldOutput writes an output of nbformat 2 or 3.
func (w *writer) oldOutput(o *notebook.Node, depth int) {
	w.members(o, depth, func(m *notebook.Node, depth int) {
		if w.version == 2 && (m.Key == "png" || m.Key == "jpeg") {
			w.need(w.isASCII(m))
		}
		if slices.Contains(outputLines, m.Key) {
			w.lines(m, depth)
		} else {
			w.value(m, depth)
		}
	})
}

// within returns what writes a member: with each if it is the list called name, as any value else.
func (w *writer) within(name string, each func(n *notebook.Node, depth int)) func(*notebook.Node, int) {
	return func(m *notebook.Node, depth int) {
		if m.Key == name {
			w.items(m, depth, each)
		} else {
			w.value(m, depth)
		}
	}
}

// need gives up unless ok.
func (w *writer) need(ok bool) { w.failed = w.failed || !ok }

// is reports whether n is there and begins with c.
func (w *writer) is(n *notebook.Node, c byte) bool { return n != nil && w.src[n.Start] == c }

// says reports whether n is the string s.
func (w *writer) says(n *notebook.Node, s string) bool {
	return w.is(n, '"') && string(notebook.Raw(w.inside(*n)).AppendTo(nil)) == s
}

// inside returns what is between the quotes of a string.
func (w *writer) inside(n notebook.Node) []byte { return w.src[n.Start+1 : n.End-1] }

// strings reports whether all items are strings.
func (w *writer) strings(items []notebook.Node) bool {
	return !slices.ContainsFunc(items, func(n notebook.Node) bool { return w.src[n.Start] != '"' })
}

func (w *writer) isASCII(n *notebook.Node) bool {
	if !w.is(n, '"') {
		return false
	}
	for c := range pieces(w.inside(*n)) {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// objects returns the items of n, which must be a list of objects.
func (w *writer) objects(n *notebook.Node) (items []*notebook.Node) {
	if w.need(w.is(n, '[')); w.failed {
		return nil
	}
	for i := range n.Items {
		w.need(w.is(&n.Items[i], '{'))
		items = append(items, &n.Items[i])
	}
	return items
}

// drop takes members out of an object.
func drop(n *notebook.Node, names ...string) {
	if n == nil {
		return
	}
	for i := range n.Items {
		if m := &n.Items[i]; slices.Contains(names, m.Key) {
			m.Drop = true
		}
	}
}
