package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
)

// lockWait is how long a writer waits for another process, which needs
// milliseconds; longer means that it is stopped or hangs.
const lockWait = 10 * time.Second

// ErrNotApproved says that there is no approval to take back.
var ErrNotApproved = errors.New("not approved")

// Approval says that the user approved one content of one nbhush.toml.
type Approval struct {
	Path  string        `json:"path"` // absolute, as Find returns it
	Hash  string        `json:"hash"`
	Since time.Time     `json:"since"`
	Names []secret.Name `json:"names"` // that it listed, to be shown; Decide reads the file
}

// Approvals is the list of approved nbhush.toml files, a file of JSON. Several
// goroutines and processes may write it: each reads, changes and replaces the
// whole file under a lock. Readers need none.
type Approvals struct {
	path string
	mu   sync.Mutex
}

// NewApprovals returns the list in the file at path, which need not exist yet.
func NewApprovals(path string) *Approvals { return &Approvals{path: path} }

// Allow approves the content with this Hash of the nbhush.toml at path, in the
// place of an earlier content.
func (a *Approvals) Allow(path, hash string, names []secret.Name) (Approval, error) {
	if !filepath.IsAbs(path) || len(hash) != hashLen {
		return Approval{}, errors.New("an approval needs an absolute path and a SHA-256")
	}
	made := Approval{
		Path:  filepath.Clean(path),
		Hash:  hash,
		Since: time.Now().UTC().Truncate(time.Second),
		Names: append([]secret.Name{}, names...),
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

// damagedError says that the list cannot be read; nothing is approved then.
type damagedError struct {
	path string
	err  error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("list of approvals %s: %v", e.path, e.err)
}
func (e *damagedError) Unwrap() error { return e.err }
func (e *damagedError) Hint() string {
	return "move it away, then run nbhush allow in each project"
}

// List returns every approval in the order of the paths. An error means that
// nothing is approved.
func (a *Approvals) List() ([]Approval, error) {
	src, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of approvals: %w", err)
	}
	all, err := parseApprovals(src)
	if err != nil {
		return nil, &damagedError{a.path, err}
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

// change replaces the file by what edit makes of its approvals, while nobody
// else writes it.
func (a *Approvals) change(edit func([]Approval) ([]Approval, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(a.path), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	lock := flock.New(a.path + ".lock")
	if _, err := lock.TryLockContext(ctx, 2*time.Millisecond); err != nil {
		return fmt.Errorf("wait for the lock %s.lock: %w", a.path, err)
	}
	defer func() { _ = lock.Unlock() }()

	all, err := a.List()
	if err != nil {
		return err
	}
	if all, err = edit(all); err != nil {
		return err
	}
	slices.SortFunc(all, func(x, y Approval) int { return strings.Compare(x.Path, y.Path) })
	out, err := json.MarshalIndent(approvalsFile{approvalsVersion, all}, "", "  ")
	if err != nil {
		return err
	}
	if err := savefile.Write(a.path, append(out, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the list of approvals: %w", err)
	}
	return nil
}
