package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// ErrNotApproved says that there is no approval to take back.
var ErrNotApproved = errors.New("not approved")

// Approval says that the user approved one content of one nbhush.toml.
type Approval struct {
	Path  string        `json:"path"` // absolute, as Find returns it
	Hash  string        `json:"hash"`
	Since time.Time     `json:"since"`
	Names []secret.Name `json:"names"` // that it listed, to be shown; Decide reads the file
	// Guards says that it had rules or profiles. A kernel must not get around them by an edit.
	Guards bool `json:"guards,omitempty"`
}

// Approves reports whether a approves the content with this hash of the
// nbhush.toml at path. A nil Approval approves nothing.
func (a *Approval) Approves(path, hash string) bool {
	return a != nil && path != "" && a.Path == path && a.Hash == hash && len(hash) == hashLen
}

// Approvals is the list of approved nbhush.toml files, a file of JSON. Several
// goroutines and processes may write it: each reads, changes and replaces the
// whole file under a lock. Readers need none.
type Approvals struct{ file listFile }

// NewApprovals returns the list in the file at path, which need not exist yet.
func NewApprovals(path string) *Approvals {
	return &Approvals{listFile{path: path, what: "list of approvals"}}
}

// Allow approves the content with this Hash of the nbhush.toml at path, which says
// c, in the place of an earlier content.
func (a *Approvals) Allow(path, hash string, c *Config) (Approval, error) {
	if !filepath.IsAbs(path) || len(hash) != hashLen {
		return Approval{}, errors.New("an approval needs an absolute path and a SHA-256")
	}
	made := Approval{
		Path:  filepath.Clean(path),
		Hash:  hash,
		Since: time.Now().UTC().Truncate(time.Second),
		Names: append([]secret.Name{}, c.Names()...), Guards: c.Guards(),
	}
	err := a.change(func(all []Approval) ([]Approval, error) {
		return append(without(all, made.Path), made), nil
	})
	return made, err
}

// Deny takes the approval of the nbhush.toml at path back and returns what it
// was, or ErrNotApproved.
func (a *Approvals) Deny(path string) (was Approval, err error) {
	path = filepath.Clean(path)
	err = a.change(func(all []Approval) ([]Approval, error) {
		i := slices.IndexFunc(all, func(x Approval) bool { return x.Path == path })
		if i < 0 {
			return nil, ErrNotApproved
		}
		was = all[i]
		return without(all, path), nil
	})
	return was, err
}

// Lookup returns the approval of the nbhush.toml at path, nil where there is none.
func (a *Approvals) Lookup(path string) (*Approval, error) {
	all, err := a.List()
	if err != nil {
		return nil, err
	}
	path = filepath.Clean(path)
	for i := range all {
		if all[i].Path == path {
			return &all[i], nil
		}
	}
	return nil, nil
}

func without(all []Approval, path string) []Approval {
	return slices.DeleteFunc(all, func(x Approval) bool { return x.Path == path })
}

// approvalsFile is the content of the file.
type approvalsFile struct {
	Version int        `json:"version"`
	Allowed []Approval `json:"allowed"`
}

const approvalsVersion = 1

// damagedError says that a list cannot be read; nothing is allowed then.
type damagedError struct {
	what, path string
	err        error
	mend       string
}

func (e *damagedError) Error() string { return fmt.Sprintf("%s %s: %v", e.what, e.path, e.err) }
func (e *damagedError) Unwrap() error { return e.err }
func (e *damagedError) Hint() string  { return e.mend }

// List returns every approval in the order of the paths. An error means that
// nothing is approved.
func (a *Approvals) List() ([]Approval, error) {
	src, err := a.file.read()
	if err != nil || src == nil {
		return nil, err
	}
	all, err := parseApprovals(src)
	if err != nil {
		return nil, &damagedError{a.file.what, a.file.path, err, "move it away, then run nbhush allow in each project"}
	}
	return all, nil
}

func parseApprovals(src []byte) ([]Approval, error) {
	var f approvalsFile
	if err := json.Unmarshal(src, &f); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if f.Version != approvalsVersion {
		return nil, fmt.Errorf("it has version %d, and this program knows %d", f.Version, approvalsVersion)
	}
	return f.Allowed, nil
}

// change replaces the file by what edit makes of its approvals.
func (a *Approvals) change(edit func([]Approval) ([]Approval, error)) error {
	return a.file.change(func() ([]byte, error) {
		all, err := a.List()
		if err != nil {
			return nil, err
		}
		if all, err = edit(all); err != nil {
			return nil, err
		}
		slices.SortFunc(all, func(x, y Approval) int { return strings.Compare(x.Path, y.Path) })
		return json.MarshalIndent(approvalsFile{approvalsVersion, all}, "", "  ")
	})
}
