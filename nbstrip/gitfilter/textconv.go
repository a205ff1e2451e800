package gitfilter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	nb "github.com/nbhush/nbhush/nbstrip/notebook"
)

// Textconv writes the notebook src for people to read in a diff: its cells and
// what they show, without values. git gives the file as it is in the work tree,
// so it is cleaned here. What cannot be checked is not shown, and is no error:
// git log and git diff would end.
func (f *Filter) Textconv(ctx context.Context, path string, src []byte, w io.Writer) error {
	out, err := f.strip(ctx, path, src)
	if err != nil {
		f.report(&WithheldError{Path: path, Err: err})
		// The sum shows that two versions differ.
		_, err = fmt.Fprintf(w, "nbhush: this notebook could not be checked for secrets, so it is not shown (%.6x)\n", sha256.Sum256(src))
		return err
	}
	_, err = w.Write(readable(out))
	return err
}

// readable returns the text of a notebook; what is none comes back as it is.
func readable(src []byte) []byte {
	root, err := nb.Parse(src, nil)
	if err != nil || root.Get("cells") == nil && root.Get("worksheets") == nil {
		return src
	}
	r := reader{src: src}
	r.cells(root.Get("cells"))
	if sheets := root.Get("worksheets"); sheets != nil {
		for i := range sheets.Items {
			r.cells(sheets.Items[i].Get("cells"))
		}
	}
	if meta := root.Get("metadata"); meta != nil && len(meta.Items) > 0 {
		fmt.Fprintf(&r.out, "# %%%% metadata\n%s\n", r.raw(meta))
	}
	return r.out.Bytes()
}

// reader writes out what a person reads.
type reader struct {
	src []byte
	out bytes.Buffer
}

func (r *reader) raw(n *nb.Node) []byte { return r.src[n.Start:n.End] }

func (r *reader) cells(all *nb.Node) {
	if all == nil {
		return
	}
	for i := range all.Items {
		c := &all.Items[i]
		head := "# %% [" + r.text(c.Get("cell_type")) + "]"
		if tags := c.Get("metadata").Get("tags"); tags != nil && len(tags.Items) > 0 {
			head += " tags=" + string(r.raw(tags))
		}
		r.out.WriteString(head + "\n")
		source := c.Get("source")
		if source == nil {
			source = c.Get("input")
		}
		r.block("", r.text(source))
		if outputs := c.Get("outputs"); outputs != nil {
			for j := range outputs.Items {
				r.output(&outputs.Items[j])
			}
		}
	}
}

// output writes an output in lines that begin with #>.
func (r *reader) output(o *nb.Node) {
	kind := r.text(o.Get("output_type"))
	if name := r.text(o.Get("name")); name != "" {
		kind += " " + name
	}
	r.out.WriteString("#> " + kind + "\n")
	for _, key := range []string{"text", "traceback"} {
		r.block("#> ", r.text(o.Get(key)))
	}
	data := o.Get("data")
	if data == nil {
		return
	}
	for i := range data.Items {
		switch m := &data.Items[i]; {
		case strings.HasPrefix(m.Key, "text/"):
			r.block("#> "+m.Key+": ", r.text(m))
		default:
			fmt.Fprintf(&r.out, "#> %q: %d bytes (%.6x)\n", m.Key, m.End-m.Start, sha256.Sum256(r.raw(m)))
		}
	}
}

// block writes lines with prefix before each, and an end of line after the last.
func (r *reader) block(prefix, text string) {
	if text == "" {
		return
	}
	for line := range strings.Lines(text) {
		r.out.WriteString(prefix + strings.TrimSuffix(line, "\n") + "\n")
	}
}

// text returns a string, or the joined strings of a list.
func (r *reader) text(n *nb.Node) string {
	switch {
	case n == nil:
		return ""
	case r.src[n.Start] == '"':
		return string(nb.Raw(r.src[n.Start+1 : n.End-1]).AppendTo(nil))
	}
	var all strings.Builder
	for i := range n.Items {
		text := r.text(&n.Items[i])
		all.WriteString(text)
		if n.Key == "traceback" {
			all.WriteString("\n")
		}
	}
	return all.String()
}
