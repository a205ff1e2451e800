package nbstrip

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// redaction gathers what changes in one notebook.
type redaction struct {
	nb      *notebook.Notebook
	src     []byte
	options Options
	labels  map[string]string // what stands in the place of each name's value
	names   *renames
	found   []located
	edits   []notebook.Edit
	doomed  []doomed
	gone    map[int]notebook.Range // the cells and outputs that go whole, by where they start
}

// located is a finding with its offset in the source.
type located struct {
	offset int
	Finding
}

// redact makes the edits for what was found.
func (r *redaction) redact(hits []hit) Result {
	for _, h := range hits {
		switch t := r.nb.Text(h.text); {
		case t.Binary:
			r.drop(t, h)
		case t.Number:
			r.quote(t, h)
		default:
			r.edit(t, h)
		}
	}
	return r.result()
}

// labels returns the placeholder for each name in hits. A placeholder which
// itself holds a value, since a secret is named after another one's value, would
// leak that and be found again: *** is never long enough to be one.
func (s *searcher) labels(hits []hit) (map[string]string, error) {
	labels := map[string]string{}
	for _, h := range hits {
		for _, span := range h.spans {
			if _, ok := labels[span.Name]; ok {
				continue
			}
			label := match.Placeholder(span.Name)
			spans, err := s.findBytes([]byte(label))
			if err != nil {
				return nil, err
			}
			if len(spans) > 0 {
				label = "***"
			}
			labels[span.Name] = label
		}
	}
	return labels, nil
}

// edit makes the edits of a text that can be edited in part.
func (r *redaction) edit(t notebook.Text, h hit) {
	edits := r.editsOf(t, h)
	if t.Name {
		r.names.unique(r.src, t, edits)
	}
	r.edits = append(r.edits, edits...)
}

// quote makes a string with the placeholder of a number.
func (r *redaction) quote(t notebook.Text, h hit) {
	at := t.Range()
	for i := range h.spans {
		r.report(at.Start, t, h, i)
	}
	r.edits = append(r.edits, notebook.Edit{Start: at.Start, End: at.End, New: []byte(`"` + string(escape(r.labels[h.spans[0].Name])) + `"`)})
}

// editsOf returns an edit for each JSON string that a span touches: the first
// one gets the placeholder, the others lose their part of the value.
func (r *redaction) editsOf(t notebook.Text, h hit) []notebook.Edit {
	var edits []notebook.Edit
	m := t.Map()
	for n, span := range h.spans {
		text := escape(r.labels[span.Name])
		for i, at := range m.Ranges(span.Start, span.End) {
			if i == 0 {
				r.report(at.Start, t, h, n)
			}
			if last := len(edits) - 1; last >= 0 && at.Start < edits[last].End {
				at.Start = edits[last].End // both spans hold parts of one character
			}
			edits = append(edits, notebook.Edit{Start: at.Start, End: at.End, New: text})
			text = nil
		}
	}
	return edits
}

// report notes span i of h, which is in t.
func (r *redaction) report(offset int, t notebook.Text, h hit, i int) {
	f := Finding{Name: h.spans[i].Name, Cell: t.Cell, Where: t.Part}
	if h.prints != nil {
		f.Fingerprint = h.prints[i]
	}
	r.found = append(r.found, located{offset, f})
	r.mark(offset, f.Name, t)
}

// result makes all edits.
func (r *redaction) result() Result {
	r.doomed = slices.DeleteFunc(r.doomed, r.isGone)
	drops, dropped := r.drops()
	whole, wholes := r.wholes()
	res := Result{Out: notebook.Splice(r.src, merge(whole, merge(drops, r.edits))), Dropped: append(wholes, dropped...)}
	slices.SortStableFunc(res.Dropped, func(a, b Dropped) int { return cmp.Compare(a.Line, b.Line) })
	slices.SortStableFunc(r.found, func(a, b located) int { return cmp.Compare(a.offset, b.offset) })
	count := lines{src: r.src}
	for _, f := range r.found {
		f.Line = count.of(f.offset)
		res.Findings = append(res.Findings, f.Finding)
	}
	return res
}

// merge returns drops and those edits that are not within one of them, in
// order. Both are in order themselves.
func merge(drops, edits []notebook.Edit) []notebook.Edit {
	var out []notebook.Edit
	for _, e := range edits {
		for len(drops) > 0 && drops[0].Start <= e.Start {
			out = append(out, drops[0])
			drops = drops[1:]
		}
		if len(out) == 0 || e.Start >= out[len(out)-1].End {
			out = append(out, e)
		}
	}
	return append(out, drops...)
}

// escape returns the inside of text as a JSON string.
func escape(text string) []byte {
	b, _ := json.Marshal(text) // a string is always marshalled
	return b[1 : len(b)-1]
}

// renames keeps apart the names of members in which values were found: two that
// become equal would be one to every reader, and the other's data lost.
type renames struct {
	taken map[string]string // new name, and names without a value -> old name
}

// newRenames looks at the names in nb, if a value is in any of them.
func newRenames(nb *notebook.Notebook, hits []hit) *renames {
	inNames := map[int]bool{}
	for _, h := range hits {
		if nb.Text(h.text).Name {
			inNames[h.text] = true
		}
	}
	if len(inNames) == 0 {
		return nil
	}
	r := &renames{taken: map[string]string{}}
	for i, t := range nb.Texts() {
		if t.Name && !inNames[i] {
			name := string(t.AppendTo(nil))
			r.taken[name] = name
		}
	}
	return r
}

// unique changes the edits of the name t so that the new name is its alone. The
// same old name always gets the same new one.
func (r *renames) unique(src []byte, t notebook.Text, edits []notebook.Edit) {
	old := string(t.AppendTo(nil))
	placeholder := edits[0].New
	for n := 2; ; n++ {
		name := edited(src, t.Range(), edits)
		if was, ok := r.taken[name]; !ok || was == old {
			r.taken[name] = old
			return
		}
		edits[0].New = append(bytes.Clone(placeholder), "~"+strconv.Itoa(n)...)
	}
}

// edited returns the decoded string at with the edits made.
func edited(src []byte, at notebook.Range, edits []notebook.Edit) string {
	local := slices.Clone(edits)
	for i := range local {
		local[i].Start -= at.Start + 1
		local[i].End -= at.Start + 1
	}
	inside := notebook.Splice(src[at.Start+1:at.End-1], local)
	return string(notebook.Raw(inside).AppendTo(nil))
}
