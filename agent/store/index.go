package store

import (
	"bytes"
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

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
)

// lockWait is how long a writer waits for another process, which needs
// milliseconds; longer means that it is stopped or hangs.
const lockWait = 10 * time.Second

// Entry is what the index says of one secret.
type Entry struct {
	Name    secret.Name `json:"name"`
	Kind    string      `json:"store"`
	Created time.Time   `json:"created"`
	Updated time.Time   `json:"updated"`
}

// Index is the list of names with their stores and times: a file of JSON that
// holds no value. Several goroutines and processes may write it: each reads,
// changes and replaces the whole file under a lock, so that no entry is lost.
type Index struct {
	path string
	mu   sync.Mutex
}

// NewIndex returns the index in the file at path, which need not exist yet.
func NewIndex(path string) *Index { return &Index{path: path} }

// List returns the entries in the order of their names.
func (x *Index) List() ([]Entry, error) { return x.read() }

// Load returns the entries after it has made them agree with the names that s
// holds: a name that the index lacks is added with the time of now, one of the
// kind of s that s lacks is removed. A damaged index is put aside and made
// again. With a store that cannot list, Load is List.
func (x *Index) Load(s Store) ([]Entry, error) {
	names, err := s.Names()
	if errors.Is(err, errors.ErrUnsupported) {
		return x.List()
	}
	if err != nil {
		return nil, err
	}
	var all []Entry
	err = x.locked(func() error {
		old, err := x.read()
		if errors.Is(err, errDamaged) {
			old, err = nil, os.Rename(x.path, x.path+".damaged")
		}
		if err != nil {
			return err
		}
		all = heal(old, names, s.Kind(), time.Now().UTC())
		if slices.Equal(all, old) {
			return nil
		}
		return x.write(all)
	})
	return all, err
}

// heal returns the entries of old without those of the kind that names lacks,
// and with those that old lacks.
func heal(old []Entry, names []secret.Name, kind string, now time.Time) []Entry {
	var all []Entry
	for _, e := range old {
		if e.Kind != kind || slices.Contains(names, e.Name) {
			all = append(all, e)
		}
	}
	for _, name := range names {
		if i := find(all, name); i < 0 {
			all = append(all, Entry{Name: name, Kind: kind, Created: now, Updated: now})
		} else {
			all[i].Kind = kind
		}
	}
	sortEntries(all)
	return all
}

// Put notes that the secret called name was written to a store of that kind
// just now, and returns its entry. Replaced says that the name was there before.
func (x *Index) Put(name secret.Name, kind string) (e Entry, replaced bool, err error) {
	now := time.Now().UTC()
	err = x.locked(func() error {
		all, err := x.read()
		if err != nil {
			return err
		}
		i := find(all, name)
		if replaced = i >= 0; !replaced {
			i = len(all)
			all = append(all, Entry{Name: name, Created: now})
		}
		all[i].Kind, all[i].Updated = kind, now
		e = all[i]
		return x.write(all)
	})
	return e, replaced, err
}

// Delete removes name and returns what its entry was, or ErrNotFound.
func (x *Index) Delete(name secret.Name) (e Entry, err error) {
	err = x.locked(func() error {
		all, err := x.read()
		if err != nil {
			return err
		}
		i := find(all, name)
		if i < 0 {
			return ErrNotFound
		}
		e = all[i]
		return x.write(slices.Delete(all, i, i+1))
	})
	return e, err
}

func find(all []Entry, name secret.Name) int {
	return slices.IndexFunc(all, func(e Entry) bool { return e.Name == name })
}

func sortEntries(all []Entry) {
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(string(a.Name), string(b.Name)) })
}

// indexFile is the content of the file.
type indexFile struct {
	Version int     `json:"version"`
	Secrets []Entry `json:"secrets"`
}

const indexVersion = 1

var errDamaged = errors.New("damaged")

func (x *Index) read() ([]Entry, error) {
	src, err := os.ReadFile(x.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of secrets: %w", err)
	}
	all, err := parseIndex(src)
	if err != nil {
		return nil, &Error{
			Err:  fmt.Errorf("list of secrets %s is %w", x.path, err),
			Mend: "move it away and run: nbhush list",
		}
	}
	return all, nil
}

// parseIndex returns the entries in src, or an error that is errDamaged.
func parseIndex(src []byte) ([]Entry, error) {
	var f indexFile
	d := json.NewDecoder(bytes.NewReader(src))
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if f.Version != indexVersion {
		return nil, fmt.Errorf("of version %d, and this program knows %d", f.Version, indexVersion)
	}
	for i, e := range f.Secrets {
		if _, err := secret.ParseName(string(e.Name)); err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", errDamaged, i, err)
		}
	}
	sortEntries(f.Secrets)
	return f.Secrets, nil
}

func (x *Index) write(all []Entry) error {
	sortEntries(all)
	out, err := json.MarshalIndent(indexFile{indexVersion, all}, "", "  ")
	if err != nil {
		return err
	}
	if err := savefile.Write(x.path, append(out, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the list of secrets: %w", err)
	}
	return nil
}

// locked runs change while no other goroutine or process writes the index.
func (x *Index) locked(change func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return lockFile(x.path, change)
}

// lockFile runs change while this process holds the lock that belongs to the
// file at path. The lock is a file of its own because path is replaced.
func lockFile(path string, change func() error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	unlock, err := savefile.Lock(context.Background(), path, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	return change()
}
