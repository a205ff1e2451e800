package policy

import (
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// Approval says that the user approved one content of one nbhush.toml.
type Approval struct {
	Path  string        `json:"path"` // absolute
	Hash  string        `json:"hash"`
	Since time.Time     `json:"since"`
	Names []secret.Name `json:"names"`
}

// Approvals is the list of approved nbhush.toml files.
type Approvals struct{ path string }

// NewApprovals returns the list in the file at path, which need not exist yet.
func NewApprovals(path string) *Approvals { return &Approvals{path: path} }

// Allow approves the content with that hash of the nbhush.toml at path.
func (a *Approvals) Allow(path, hash string, names []secret.Name) (Approval, error) {
	return Approval{}, nil
}

// Deny takes the approval of the nbhush.toml at path back and returns it, or ErrNotApproved.
func (a *Approvals) Deny(path string) (Approval, error) { return Approval{}, nil }

// Lookup returns the approval of the nbhush.toml at path, nil where there is none.
func (a *Approvals) Lookup(path string) (*Approval, error) { return nil, nil }

// List returns every approval in the order of the paths.
func (a *Approvals) List() ([]Approval, error) { return nil, nil }
