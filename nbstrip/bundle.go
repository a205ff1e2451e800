package nbstrip

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// doomed is a binary text in which a value was found.
type doomed struct {
	at     notebook.Range
	cell   int
	label  string
	bundle notebook.Bundle // that has the text, nil if none was kept
	entry  int
}

// drop marks a binary text.
func (r *redaction) drop(t notebook.Text, h hit) {
	d := doomed{at: t.Range(), cell: t.Cell, label: r.labels[h.spans[0].Name]}
	for i := range h.spans {
		r.report(d.at.Start, t, h, i)
	}
	if t.Cell >= 0 {
		d.bundle, d.entry = holder(r.nb.Cells[t.Cell], d.at)
	}
	r.doomed = append(r.doomed, d)
}

// holder returns the bundle in c, and the index of its entry, that has at.
func holder(c notebook.Cell, at notebook.Range) (notebook.Bundle, int) {
	bundles := slices.Clone(c.Attachments)
	for _, out := range c.Outputs {
		bundles = append(bundles, out.Data)
	}
	for _, b := range bundles {
		for i, e := range b {
			if e.Value.Start <= at.Start && at.End <= e.Value.End {
				return b, i
			}
		}
	}
	return nil, 0
}

// drops returns the edits that take out all marked texts.
func (r *redaction) drops() (edits []notebook.Edit, dropped []Dropped) {
	slices.SortFunc(r.doomed, func(a, b doomed) int { return cmp.Compare(a.at.Start, b.at.Start) })
	count := lines{src: r.src}
	for i := 0; i < len(r.doomed); {
		n := 1
		for i+n < len(r.doomed) && sameBundle(r.doomed[i], r.doomed[i+n]) {
			n++
		}
		edits = append(edits, dropFrom(r.doomed[i:i+n])...)
		for _, d := range r.doomed[i : i+n] {
			dropped = append(dropped, Dropped{Cell: d.cell, Mime: d.mime(), Line: count.of(d.at.Start)})
		}
		i += n
	}
	return edits, dropped
}

func sameBundle(a, b doomed) bool {
	return a.bundle != nil && b.bundle != nil && a.bundle[0] == b.bundle[0]
}

// dropFrom returns the edits that take the marked entries out of one bundle.
// Where no text would be left a placeholder becomes the text, so that the
// output still shows that there was something.
func dropFrom(marked []doomed) (edits []notebook.Edit) {
	b := marked[0].bundle
	if b == nil {
		return []notebook.Edit{{Start: marked[0].at.Start, End: marked[0].at.End, New: []byte(`""`)}}
	}
	out := map[int]bool{}
	for _, m := range marked {
		out[m.entry] = true
	}
	if !hasText(b) {
		e := b[marked[0].entry]
		edits = append(edits, notebook.Edit{
			Start: e.Name.Start, End: e.Value.End,
			New: []byte(`"` + textName(e) + `": "` + string(escape(marked[0].label)) + `"`),
		})
		delete(out, marked[0].entry)
	}
	for i := 0; i < len(b); i++ {
		if !out[i] {
			continue
		}
		first := i
		for i+1 < len(b) && out[i+1] {
			i++
		}
		edits = append(edits, cut(b, first, i))
	}
	return edits
}

// cut returns the edit that takes the entries first to last, of more, out with one of the commas around them.
func cut(b notebook.Bundle, first, last int) notebook.Edit {
	if last+1 < len(b) {
		return notebook.Edit{Start: b[first].Name.Start, End: b[last+1].Name.Start}
	}
	return notebook.Edit{Start: b[first-1].Value.End, End: b[last].Value.End}
}

// hasText reports whether b has a plain text.
func hasText(b notebook.Bundle) bool {
	return slices.ContainsFunc(b, func(e notebook.Entry) bool { return e.Mime == "text/plain" || e.Mime == "text" })
}

// textName is the name of the plain text beside e.
func textName(e notebook.Entry) string {
	if strings.Contains(e.Mime, "/") {
		return "text/plain"
	}
	return "text" // nbformat 2 and 3
}

// mime returns the type of what was dropped. A name of somebody's own could hold a value, so it is not repeated.
func (d doomed) mime() string {
	if d.bundle == nil {
		return "*/*"
	}
	switch mime := d.bundle[d.entry].Mime; mime {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "application/pdf":
		return mime
	case "png", "jpeg":
		return "image/" + mime
	case "pdf":
		return "application/pdf"
	default:
		class, _, _ := strings.Cut(mime, "/")
		return class + "/*"
	}
}
