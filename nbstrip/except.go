package nbstrip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/detect"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// ReadIgnore reads the detect.IgnoreFile that counts for files in dir: the
// nearest of those in dir and above, up to the top of a repository. Without
// one it returns nil.
func ReadIgnore(dir string) (*detect.Ignore, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for {
		file := filepath.Join(dir, detect.IgnoreFile)
		b, err := os.ReadFile(file)
		if err == nil {
			ignore, err := detect.ParseIgnore(b)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			return ignore, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return nil, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil, nil
		}
		dir = up
	}
}

// except takes what is to be ignored out of hits. Only what was found by its
// look can be: the value of a stored secret is one wherever it stands.
func (o Options) except(nb *notebook.Notebook, hits []hit) []hit {
	kept := hits[:0]
	for _, h := range hits {
		t := nb.Text(h.text)
		tagged := t.Cell >= 0 && slices.Contains(nb.Cells[t.Cell].Tags, detect.IgnoreTag)
		h.spans = o.exceptSpans(h.spans, tagged, func() []byte { return t.AppendTo(nil) })
		if len(h.spans) == 0 {
			continue
		}
		if o.Fingerprint {
			h.prints = prints(h.spans, t.AppendTo(nil))
		}
		kept = append(kept, h)
	}
	return kept
}

// exceptSpans is except for one text, which is decoded if it must.
func (o Options) exceptSpans(spans []match.Span, tagged bool, decoded func() []byte) []match.Span {
	var text []byte
	return slices.DeleteFunc(spans, func(span match.Span) bool {
		rule, byLook := detect.Rule(span.Name)
		switch {
		case !byLook:
			return false
		case tagged || o.leaves(span.Name):
			return true
		case o.Ignore == nil:
			return false
		}
		if text == nil {
			text = decoded()
		}
		return o.Ignore.Has(rule, text[span.Start:span.End])
	})
}

// leaves reports whether a look of this name stays.
func (o Options) leaves(name string) bool {
	return slices.ContainsFunc(o.Leave, func(pattern string) bool {
		ok, _ := path.Match(pattern, name) // a bad pattern was refused
		return ok
	})
}

// prints returns the fingerprint of each span that was found by its look.
func prints(spans []match.Span, text []byte) []string {
	list := make([]string, len(spans))
	for i, span := range spans {
		if rule, byLook := detect.Rule(span.Name); byLook {
			list[i] = detect.Fingerprint(rule, text[span.Start:span.End])
		}
	}
	return list
}
