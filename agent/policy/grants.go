package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// Grant is what the user said of one name beside an nbhush.toml: that a kernel
// or a notebook may have it, or that it must not. Without a name it is about all
// that the file lists in one profile. The zero times are: not known since when,
// and for ever.
type Grant struct {
	Name     secret.Name `json:"name,omitempty"`
	Deny     bool        `json:"deny,omitempty"`
	Profile  string      `json:"profile,omitempty"`  // "": any, but a grant not where the profile asks
	Notebook string      `json:"notebook,omitempty"` // absolute path
	Kernel   string      `json:"kernel,omitempty"`   // the process of its hook; see Request
	Once     bool        `json:"once,omitempty"`     // for one get
	Since    time.Time   `json:"since,omitzero"`
	Until    time.Time   `json:"until,omitzero"`
	Answer   bool        `json:"-"` // to the very request that is decided, and never kept
}

// covers reports whether g speaks about r. A denial without a notebook speaks
// about all; a grant is always for one request, one kernel or one notebook.
func (g *Grant) covers(r Request) bool {
	whole := g.Name == "" && g.Profile != "" && !g.Deny
	if g.Name != r.Name && !whole || g.Profile != "" && g.Profile != r.Profile || !g.Until.IsZero() && !r.Now.Before(g.Until) {
		return false
	}
	switch {
	case g.Deny:
		return g.Notebook == "" || g.Notebook == r.Notebook
	case g.Answer:
		return true
	case g.Kernel != "":
		return g.Kernel == r.Kernel
	}
	return g.Notebook != "" && g.Notebook == r.Notebook
}

// Same reports whether g is about the same name and place as o, and so takes its place.
func (g *Grant) Same(o Grant) bool {
	return g.Name == o.Name && g.Notebook == o.Notebook && g.Kernel == o.Kernel && g.Profile == o.Profile
}

func (g *Grant) reason() string {
	in := ""
	if g.Profile != "" {
		in = " in the profile " + g.Profile
	}
	switch {
	case g.Deny && g.Notebook == "":
		return fmt.Sprintf("you denied %s to all kernels", g.Name) + in
	case g.Deny:
		return fmt.Sprintf("you denied %s to this notebook", g.Name) + in
	case g.Once, g.Answer:
		return "you allowed it once" + in
	case g.Kernel != "":
		return "you allowed it for this kernel" + in
	case g.Until.IsZero():
		return "you allowed it for this notebook" + in
	}
	return "you allowed it for this notebook" + in + " until " + g.Until.UTC().Format(time.RFC3339)
}

// Grants is the list of grants and denials, a file of JSON, as Approvals is one.
type Grants struct{ file listFile }

// NewGrants returns the list in the file at path, which need not exist yet.
func NewGrants(path string) *Grants { return &Grants{listFile{path: path, what: "list of grants"}} }

var errGrant = errors.New("a grant needs a name and a kernel, or the absolute path of a notebook")

// Add keeps g in the place of what was there for the same name and place. Since is now.
func (gs *Grants) Add(g Grant) (Grant, error) {
	if _, err := secret.ParseName(string(g.Name)); err != nil && (g.Name != "" || g.Profile == "" || g.Deny) {
		return Grant{}, err
	}
	if g.Profile != "" && !validProfile(g.Profile) {
		return Grant{}, errProfileName
	}
	if g.Notebook != "" {
		if !filepath.IsAbs(g.Notebook) {
			return Grant{}, errGrant
		}
		g.Notebook = filepath.Clean(g.Notebook)
	}
	if g.Answer || g.Once && (g.Deny || g.Kernel != "" || g.Name == "") || !g.Deny && (g.Kernel == "") == (g.Notebook == "") {
		return Grant{}, errGrant
	}
	g.Since = time.Now().UTC().Truncate(time.Second)
	return g, gs.change(func(all []Grant) []Grant {
		return append(slices.DeleteFunc(all, func(o Grant) bool { return g.Same(o) }), g)
	})
}

// Remove takes away every one for which gone says so, and returns these.
func (gs *Grants) Remove(gone func(Grant) bool) (was []Grant, err error) {
	err = gs.change(func(all []Grant) []Grant {
		var left []Grant
		for _, g := range all {
			if gone(g) {
				was = append(was, g)
			} else {
				left = append(left, g)
			}
		}
		return left
	})
	return was, err
}

// grantsFile is the content of the file.
type grantsFile struct {
	Version int     `json:"version"`
	Grants  []Grant `json:"grants"`
}

// The versions of the file: a program that knows the first one alone would take
// a grant of the second for one without a profile, and for ever.
const (
	plainVersion  = 1
	grantsVersion = 2
)

// List returns all, sorted by name and place, also those whose time is over. An
// error means that nobody can say what was granted or denied.
func (gs *Grants) List() ([]Grant, error) {
	src, err := gs.file.read()
	if err != nil || src == nil {
		return nil, err
	}
	all, err := parseGrants(src)
	if err != nil {
		return nil, &damagedError{gs.file.what, gs.file.path, err, "move it away, then allow and deny again what was in it"}
	}
	return all, nil
}

func parseGrants(src []byte) ([]Grant, error) {
	var f grantsFile
	if err := json.Unmarshal(src, &f); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if f.Version != plainVersion && f.Version != grantsVersion {
		return nil, fmt.Errorf("it has version %d, and this program knows %d", f.Version, grantsVersion)
	}
	return f.Grants, nil
}

// change replaces the file by what edit makes of its grants.
func (gs *Grants) change(edit func([]Grant) []Grant) error {
	return gs.file.change(func() ([]byte, error) {
		all, err := gs.List()
		if err != nil {
			return nil, err
		}
		before := len(all)
		if all = edit(all); len(all) == 0 && before == 0 {
			return nil, nil // a file for nothing
		}
		slices.SortFunc(all, func(x, y Grant) int {
			return cmp.Or(strings.Compare(string(x.Name), string(y.Name)),
				strings.Compare(x.Notebook, y.Notebook), strings.Compare(x.Kernel, y.Kernel), strings.Compare(x.Profile, y.Profile))
		})
		version := plainVersion
		if slices.ContainsFunc(all, func(g Grant) bool { return g.Once || g.Profile != "" }) {
			version = grantsVersion
		}
		return json.MarshalIndent(grantsFile{version, all}, "", "  ")
	})
}
