package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// maxSync caps what is read from a file, in bytes.
const maxSync = 64 << 20

func postSync(s *session, r *http.Request) (any, error) {
	var q api.SyncRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	defer clear(q.Passphrase)
	return s.Sync(r.Context(), q)
}

// Sync merges the secrets of an encrypted file into those of this machine,
// writes the result into the file, or both. The passphrase stays the caller's.
func (s *session) Sync(_ context.Context, q api.SyncRequest) (api.SyncResult, error) {
	var res api.SyncResult
	w, err := s.owner(audit.OpSet, "")
	switch {
	case err != nil:
		return res, err
	case !filepath.IsAbs(q.Path):
		return res, fail(api.CodeBadInput, "", "a file must be given by its absolute path")
	case len(q.Passphrase) == 0:
		return res, fail(api.CodeBadInput, "", "the passphrase is empty")
	}
	a := s.agent
	if a.values.isLocked() {
		return res, errLocked
	}
	a.write.Lock()
	defer a.write.Unlock()
	res, err = a.sync(q)
	entry := audit.Entry{Who: w.who(), Op: audit.OpSync, Verdict: audit.Allowed, Reason: q.Path}
	if err != nil {
		entry.Verdict = audit.Failed
		err = storeError(err)
	}
	return res, errors.Join(err, a.note(entry))
}

func (a *agent) sync(q api.SyncRequest) (res api.SyncResult, err error) {
	ours, err := a.records()
	if err != nil {
		return res, err
	}
	defer wipeRecords(ours)
	all := map[secret.Name]store.Record{}
	for name, r := range ours {
		all[name] = r.Clone()
	}
	defer func() { wipeRecords(all) }()
	if q.Read {
		theirs, err := readRecords(q.Path, q.Passphrase)
		if err != nil && (!q.Write || !errors.Is(err, fs.ErrNotExist)) {
			return res, err
		}
		kept := []string{}
		for name, their := range theirs {
			if apart(all[name], their) {
				kept = append(kept, string(name))
			}
			all[name] = merge(all[name], their, q.Revive)
		}
		if res, err = a.apply(ours, all); err != nil {
			return res, err
		}
		slices.Sort(kept)
		res.Kept = kept
	}
	for _, r := range all {
		if _, ok := r.Current(); ok {
			res.Secrets++
		}
	}
	if q.Write {
		err = writeRecords(q.Path, all, q.Passphrase)
	}
	return res, err
}

// merge is store.Merge; with revive a removal here does not count where the
// other side still has the secret.
func merge(our, their store.Record, revive bool) store.Record {
	m := store.Merge(our, their)
	last, there := their.Current()
	if _, ok := m.Current(); revive && there && !ok {
		m.Add(store.Version{Value: last.Value.Clone(), Since: time.Now(), Expires: last.Expires})
	}
	return m
}

// records returns what is known of every secret.
func (a *agent) records() (map[secret.Name]store.Record, error) {
	all, err := a.past.All()
	if err != nil {
		return nil, err
	}
	values, err := a.values.readAll()
	if err != nil {
		wipeRecords(all)
		return nil, err
	}
	for name, r := range all {
		if _, ok := values[name]; !ok {
			all[name] = a.agree(name, r, secret.Value{}, false)
		}
	}
	for name, v := range values {
		all[name] = a.agree(name, all[name], v, true)
	}
	return all, nil
}

// apply makes the store and the history say what after says. An error leaves
// some done; the same again does the rest.
func (a *agent) apply(before, after map[secret.Name]store.Record) (res api.SyncResult, err error) {
	res = api.SyncResult{Added: []string{}, Changed: []string{}, Removed: []string{}}
	for name, r := range after {
		was, had := before[name].Current()
		now, has := r.Current()
		if sameRecord(before[name], r) {
			continue
		}
		if err := a.replace(name, before[name].Clone(), r.Clone()); err != nil {
			return res, fmt.Errorf("%s: %w", name, err)
		}
		var to *[]string
		switch {
		case has && !had:
			to = &res.Added
		case had && !has:
			to = &res.Removed
		case had && !was.Value.Equal(now.Value):
			to = &res.Changed
		}
		if to != nil {
			*to = append(*to, string(name))
		}
		if has {
			if _, _, err := a.index.Put(name, a.store.Kind()); err != nil {
				return res, err
			}
		} else if _, err := a.index.Delete(name); err != nil && !errors.Is(err, store.ErrNotFound) {
			return res, err
		}
	}
	for _, list := range [][]string{res.Added, res.Changed, res.Removed} {
		slices.Sort(list)
	}
	return res, nil
}

// apart reports whether both sides have a value that the other has never seen.
func apart(our, their store.Record) bool {
	a, here := our.Current()
	b, there := their.Current()
	return here && there && !has(our, b.Value) && !has(their, a.Value)
}

func has(r store.Record, value secret.Value) bool {
	return slices.ContainsFunc(r.Versions, func(v store.Version) bool { return v.Value.Equal(value) })
}

// recordsFile is what a backup holds, before it is encrypted: the records, each
// as store.Record.Seal writes it.
type recordsFile struct {
	Version int                        `json:"version"`
	Secrets map[string]json.RawMessage `json:"secrets"`
}

const recordsVersion = 1

func readRecords(path string, passphrase []byte) (map[secret.Name]store.Record, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() { // a pipe would keep every writer waiting
		return nil, fail(api.CodeBadInput, "", "%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	src, err := io.ReadAll(io.LimitReader(f, maxSync+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(src) > maxSync {
		return nil, fail(api.CodeBadInput, "", "%s has more than %d bytes", path, maxSync)
	}
	plain, err := vault.Unwrap(src, passphrase)
	if errors.Is(err, store.ErrLocked) {
		return nil, fail(api.CodeBadInput, "try again with the passphrase that it was written with", "the passphrase does not open %s", path)
	}
	if err != nil {
		return nil, fail(api.CodeBadInput, "use another copy of it", "%s is damaged, or no backup of nbhush: %v", path, err)
	}
	defer clear(plain)
	all, err := parseRecords(plain)
	if err != nil {
		return nil, fail(api.CodeBadInput, "", "%s is no backup of nbhush: %v", path, err)
	}
	return all, nil
}

// parseRecords is the inverse of appendRecords. Its errors repeat nothing of src.
func parseRecords(src []byte) (map[secret.Name]store.Record, error) {
	var f recordsFile
	if json.Unmarshal(src, &f) != nil {
		return nil, errors.New("it holds no JSON of a backup")
	}
	if f.Version != recordsVersion {
		return nil, fmt.Errorf("it has version %d, and this program knows %d", f.Version, recordsVersion)
	}
	all := make(map[secret.Name]store.Record, len(f.Secrets))
	for text, sealed := range f.Secrets {
		name, err := secret.ParseName(text)
		if err == nil {
			all[name], err = store.OpenRecord(secret.New(sealed))
		}
		if err == nil && slices.ContainsFunc(all[name].Versions, func(v store.Version) bool { return v.Value.Len() == 0 || v.Value.Len() > api.MaxValue }) {
			err = errors.New("a value is empty or too long")
		}
		if err != nil {
			wipeRecords(all)
			return nil, err
		}
	}
	return all, nil
}

// sealRecords returns the plain content of a backup.
func sealRecords(all map[secret.Name]store.Record) ([]byte, error) {
	f := recordsFile{recordsVersion, make(map[string]json.RawMessage, len(all))}
	for name, r := range all {
		sealed, err := r.Seal()
		if err != nil {
			return nil, err
		}
		defer sealed.Wipe()
		f.Secrets[string(name)] = sealed.Reveal()
	}
	return json.Marshal(f)
}

func writeRecords(path string, all map[secret.Name]store.Record, passphrase []byte) error {
	plain, err := sealRecords(all)
	if err != nil {
		return err
	}
	defer clear(plain)
	out, err := vault.Wrap(plain, passphrase)
	if err != nil {
		return err
	}
	if err := savefile.Write(path, out, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
