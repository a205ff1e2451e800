package nbstrip

import (
	"fmt"
	"path"

	"github.com/nbhush/nbhush/nbstrip/detect"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// Mode is what Strip does with a secret that it finds.
type Mode int

// The modes. Where there is no output or cell to drop, each of them redacts.
const (
	Redact     Mode = iota // match.Placeholder stands in the place of the value
	DropOutput             // an output that holds the value goes whole
	DropCell               // a cell that holds the value, wherever in it, goes whole
)

var modes = [...]string{Redact: "redact", DropOutput: "drop-output", DropCell: "drop-cell"}

// ParseMode returns the mode that s names: redact, drop-output or drop-cell.
func ParseMode(s string) (Mode, error) {
	for m, name := range modes {
		if s == name {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("unknown mode %q; redact, drop-output and drop-cell are known", s)
}

// String returns what ParseMode reads.
func (m Mode) String() string {
	if m < 0 || int(m) >= len(modes) {
		return fmt.Sprintf("mode %d", int(m))
	}
	return modes[m]
}

// Options say how to strip. The zero Options redact.
type Options struct {
	Mode Mode // where neither a tag nor a rule says otherwise
	// Rules are asked in order; the first that has the secret's name counts.
	Rules []Rule
	// Tags are those of cells, and come before Rules. Of several the one that takes out most counts.
	Tags map[string]Mode
	// Leave are patterns, as in Rules, of names of looks that stay, such as JWT-*. A stored secret's name is none.
	Leave []string
	// Ignore is what Strip leaves in although it looks like a secret. Without
	// one StripFile reads it itself, see ReadIgnore.
	Ignore *detect.Ignore
	// Fingerprint asks for that of each finding, which takes some milliseconds each.
	Fingerprint bool
}

// Rule says what to do with the secrets whose names match Pattern, as path.Match has it.
type Rule struct {
	Pattern string
	Mode    Mode
}

func (o Options) check() error {
	all := []Mode{o.Mode}
	for _, r := range o.Rules {
		if _, err := path.Match(r.Pattern, ""); err != nil {
			return fmt.Errorf("strip: pattern %q: %w", r.Pattern, err)
		}
		all = append(all, r.Mode)
	}
	for _, pattern := range o.Leave {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("strip: pattern %q: %w", pattern, err)
		}
	}
	for _, m := range o.Tags {
		all = append(all, m)
	}
	for _, m := range all {
		if m < Redact || m > DropCell {
			return fmt.Errorf("strip: unknown %v", m)
		}
	}
	return nil
}

// mode returns what to do with the secret called name in a cell with tags.
func (o Options) mode(name string, tags []string) Mode {
	tagged, most := false, Redact
	for _, tag := range tags {
		if m, ok := o.Tags[tag]; ok {
			tagged, most = true, max(most, m)
		}
	}
	if tagged {
		return most
	}
	for _, r := range o.Rules {
		if ok, _ := path.Match(r.Pattern, name); ok {
			return r.Mode
		}
	}
	return o.Mode
}

// mark notes what goes whole because of the finding at offset in t.
func (r *redaction) mark(offset int, name string, t notebook.Text) {
	if t.Cell < 0 {
		return
	}
	cell := &r.nb.Cells[t.Cell]
	var whole notebook.Range
	switch r.options.mode(name, cell.Tags) {
	case DropCell:
		whole = cell.Range
	case DropOutput:
		for i := range cell.Outputs {
			if out := &cell.Outputs[i]; out.Start <= offset && offset < out.End {
				whole = out.Range
			}
		}
	}
	if whole.End > 0 {
		if r.gone == nil {
			r.gone = map[int]notebook.Range{}
		}
		r.gone[whole.Start] = whole
	}
}

// wholes returns the edits that take out the marked cells and outputs. The
// lists that they are in are looked at only now, since most notebooks need none.
func (r *redaction) wholes() ([]notebook.Edit, []Dropped) {
	if len(r.gone) == 0 {
		return nil, nil
	}
	root, err := notebook.Parse(r.src, map[string]int{"outputs": 1, "metadata": 0, "source": 0, "input": 0, "attachments": 0})
	if err != nil {
		return nil, nil // Scan read it
	}
	r.markNodes(root)
	var dropped []Dropped
	count := lines{src: r.src}
	for i, cell := range r.nb.Cells {
		if r.goes(cell.Range) {
			dropped = append(dropped, Dropped{Cell: i, Mime: "cell", Line: count.of(cell.Start)})
			continue
		}
		for _, out := range cell.Outputs {
			if r.goes(out.Range) {
				dropped = append(dropped, Dropped{Cell: i, Mime: "output", Line: count.of(out.Start)})
			}
		}
	}
	return root.Edits(), dropped
}

func (r *redaction) markNodes(n *notebook.Node) {
	n.Drop = r.goes(n.Range) && n.Name.End == 0
	for i := range n.Items {
		r.markNodes(&n.Items[i])
	}
}

func (r *redaction) goes(at notebook.Range) bool { return r.gone[at.Start] == at && at.End > 0 }

// isGone reports whether d is in a cell or output that goes whole.
func (r *redaction) isGone(d doomed) bool {
	for _, at := range r.gone {
		if at.Start <= d.at.Start && d.at.End <= at.End {
			return true
		}
	}
	return false
}
