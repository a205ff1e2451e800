package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// careRoutes are what keeps the store in order.
var careRoutes = map[string]handler{
	"GET /v1/secrets/{name}/history":  getHistory,
	"POST /v1/secrets/{name}/restore": postRestore,
	"POST /v1/secrets/{name}/forget":  postForget,
	"POST /v1/secrets/{name}/rotate":  postRotate,
	"POST /v1/vault/passphrase":       postPassphrase,
	"POST /v1/vault/rollback":         func(s *session, r *http.Request) (any, error) { return s.Rollback(r.Context()) },
	"POST /v1/sync":                   postSync,
	"POST /v1/store/move":             postMove,
	"POST /v1/found":                  postFound,
	"GET /v1/audit/head":              func(s *session, r *http.Request) (any, error) { return s.AuditHead(r.Context()) },
	"POST /v1/audit/accept":           func(s *session, r *http.Request) (any, error) { return s.AcceptAudit(r.Context()) },
}

func getHistory(s *session, r *http.Request) (any, error) {
	return s.History(r.Context(), secret.Name(r.PathValue("name")))
}

func postRestore(s *session, r *http.Request) (any, error) {
	var q api.RestoreRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.Restore(r.Context(), secret.Name(r.PathValue("name")), q.Since)
}

func postForget(s *session, r *http.Request) (any, error) {
	return s.Forget(r.Context(), secret.Name(r.PathValue("name")))
}

func postFound(s *session, r *http.Request) (any, error) {
	var q api.Found
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return struct{}{}, s.Found(r.Context(), q)
}

// Found notes that a secret was found where none should be. Everybody may say
// so, kernels too: a cell runs git.
func (s *session) Found(_ context.Context, q api.Found) error {
	w, err := s.asker()
	if err != nil {
		return err
	}
	if q.Sum != "" && !s.agent.found.first(q) {
		return nil
	}
	name, reason := s.agent.harmless(secret.Name(q.Name), "in "+q.Where)
	return s.agent.note(audit.Entry{Who: w.who(), Op: audit.OpFound, Name: name, Verdict: audit.Allowed, Reason: reason})
}

const (
	maxFound = 1000   // in one message
	maxSeen  = 10_000 // after so many, all are new again
)

// found remembers what was told already. Its zero value remembers nothing yet.
type found struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]struct{}
}

// first reports whether q is told for the first time.
func (f *found) first(q api.Found) bool {
	sum := sha256.Sum256([]byte(q.Name + "\x00" + q.Where + "\x00" + q.Sum))
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.seen[sum]; ok {
		return false
	}
	if f.seen == nil || len(f.seen) >= maxSeen {
		f.seen = map[[sha256.Size]byte]struct{}{}
	}
	f.seen[sum] = struct{}{}
	return true
}

func postPassphrase(s *session, r *http.Request) (any, error) {
	var q api.PassphraseRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	defer clear(q.Old)
	defer clear(q.New)
	return s.Passphrase(r.Context(), q.Old, q.New)
}

// put keeps value under name, and what was there as a former version. The caller
// holds a.write.
func (a *agent) put(name secret.Name, value secret.Value, expires time.Time) error {
	rec, err := a.record(name)
	if err != nil {
		return err
	}
	after := rec.Clone()
	after.Add(store.Version{Value: value.Clone(), Since: time.Now(), Expires: expires})
	return a.replace(name, rec, after)
}

// remove is the opposite of put. What was there can be restored.
func (a *agent) remove(name secret.Name) error {
	rec, err := a.record(name)
	if err != nil {
		return err
	}
	if _, ok := rec.Current(); !ok {
		rec.Wipe()
		return store.ErrNotFound
	}
	after := rec.Clone()
	after.Remove(time.Now())
	return a.replace(name, rec, after)
}

// record returns what is known of name, with the store's own value as the
// current one, whoever wrote it there.
func (a *agent) record(name secret.Name) (store.Record, error) {
	rec, err := a.past.Get(name)
	if err != nil {
		return rec, err
	}
	value, err := a.store.Get(name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		rec.Wipe()
		return rec, err
	}
	return a.agree(name, rec, value, err == nil), nil
}

// agree makes rec say what the store says. It takes value over.
func (a *agent) agree(name secret.Name, rec store.Record, value secret.Value, there bool) store.Record {
	v, ok := rec.Current()
	switch {
	case there && ok && v.Value.Equal(value):
		value.Wipe()
	case there:
		rec.Add(store.Version{Value: value, Since: a.updated(name)})
	case ok:
		rec.Remove(time.Now())
	}
	return rec
}

// updated is when the index says that name was written.
func (a *agent) updated(name secret.Name) time.Time {
	entries, _ := a.index.List() // a wrong time is better than no history
	for _, e := range entries {
		if e.Name == name {
			return e.Updated
		}
	}
	return time.Now()
}

// replace makes the store and the history say what after says, where they said
// before. The history goes first: after a crash between the two it holds a value
// that was never confirmed, and nothing that was is lost. Both records are taken
// over. The caller holds a.write.
func (a *agent) replace(name secret.Name, before, after store.Record) error {
	defer before.Wipe()
	if err := a.past.Put(name, after); err != nil {
		after.Wipe()
		return err
	}
	v, ok := after.Current()
	was, had := before.Current()
	var err error
	switch {
	case ok && had && v.Value.Equal(was.Value): // another date
	case ok:
		err = a.store.Set(name, v.Value)
	case had:
		err = a.store.Delete(name)
	}
	if err != nil {
		after.Wipe()
		if undo := a.past.Put(name, before); undo != nil {
			a.log.Warn("take a history back", "err", undo)
		}
		return err
	}
	if ok {
		a.values.put(name, v.Value.Clone())
	} else {
		a.values.remove(name)
	}
	a.values.know(name, after)
	return nil
}

// History returns the versions of name, newest first. Number 0 is the current
// one; where the secret was removed there is none.
func (s *session) History(_ context.Context, name secret.Name) ([]api.VersionInfo, error) {
	if _, err := s.owner(audit.OpGet, name); err != nil {
		return nil, err
	}
	rec, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer rec.Wipe()
	number := 1
	if _, ok := rec.Current(); ok {
		number = 0
	}
	list := []api.VersionInfo{}
	for i, v := range rec.Versions {
		list = append(list, api.VersionInfo{Number: number + i, Since: v.Since, Expires: v.Expires})
	}
	if len(list) == 0 {
		return nil, s.agent.missing(name)
	}
	return list, nil
}

// open returns the record of name while the agent is not locked.
func (s *session) open(name secret.Name) (store.Record, error) {
	if _, err := secret.ParseName(string(name)); err != nil {
		return store.Record{}, err
	}
	if s.agent.values.isLocked() {
		return store.Record{}, errLocked
	}
	rec, err := s.agent.record(name)
	if err != nil {
		return rec, storeError(err)
	}
	return rec, nil
}

// Restore makes the version that counted from since on the current one, or the
// newest former one where since is zero.
func (s *session) Restore(_ context.Context, name secret.Name, since time.Time) (api.SetResult, error) {
	w, err := s.owner(audit.OpSet, name)
	if err != nil {
		return api.SetResult{}, err
	}
	a := s.agent
	a.write.Lock()
	defer a.write.Unlock()
	rec, err := s.open(name)
	if err != nil {
		return api.SetResult{}, err
	}
	defer rec.Wipe()
	var old store.Version
	for _, v := range rec.Former() {
		if since.IsZero() || v.Since.Equal(since) {
			old = v
			break
		}
	}
	if old.Value.Len() == 0 {
		return api.SetResult{}, fail(api.CodeNotFound, "nbhush history "+string(name), "%s has no such former value", name)
	}
	value := old.Value.Clone()
	defer value.Wipe()
	entry := audit.Entry{Who: w.who(), Op: audit.OpSet, Name: name, Verdict: audit.Allowed, Reason: "restored"}
	if err := a.put(name, value, old.Expires); err != nil {
		entry.Verdict, entry.Reason = audit.Failed, err.Error()
		return api.SetResult{}, errors.Join(storeError(fmt.Errorf("restore %s: %w", name, err)), a.note(entry))
	}
	e, replaced, err := a.index.Put(name, a.store.Kind())
	if err := errors.Join(a.note(entry), err); err != nil {
		return api.SetResult{}, fmt.Errorf("%s is restored, but: %w", name, err)
	}
	return api.SetResult{Secret: api.Secret{
		Name: string(name), Store: e.Kind, Created: e.Created, Updated: e.Updated,
		Warning: warning(value), Expires: a.values.expires(name),
	}, Replaced: replaced}, nil
}

// Forget wipes the former values of name. From then on they are no longer known.
func (s *session) Forget(_ context.Context, name secret.Name) (api.Secret, error) {
	w, err := s.owner(audit.OpRemove, name)
	if err != nil {
		return api.Secret{}, err
	}
	a := s.agent
	a.write.Lock()
	defer a.write.Unlock()
	rec, err := s.open(name)
	if err != nil {
		return api.Secret{}, err
	}
	if len(rec.Former()) == 0 {
		rec.Wipe()
		return api.Secret{}, fail(api.CodeNotFound, "", "%s has no former values", name)
	}
	after := rec.Clone()
	after.Forget()
	entry := audit.Entry{Who: w.who(), Op: audit.OpRemove, Name: name, Verdict: audit.Allowed, Reason: "its former values"}
	if err := a.replace(name, rec, after); err != nil {
		entry.Verdict, entry.Reason = audit.Failed, err.Error()
		return api.Secret{}, errors.Join(storeError(fmt.Errorf("forget: %w", err)), a.note(entry))
	}
	return api.Secret{Name: string(name), Store: a.store.Kind()}, a.note(entry)
}

// Passphrase changes what wraps the key of the vault.
func (s *session) Passphrase(ctx context.Context, old, new []byte) (api.Status, error) {
	w, err := s.owner(audit.OpSet, "")
	if err != nil {
		return api.Status{}, err
	}
	v, ok := s.agent.store.(interface{ Passphrase(old, new []byte) error })
	if !ok {
		return api.Status{}, fail(api.CodeBadInput, "lock the keyring itself", "the secrets are in the %s, which has a lock of its own", s.agent.store.Kind())
	}
	entry := audit.Entry{Who: w.who(), Op: audit.OpSet, Verdict: audit.Allowed, Reason: "the passphrase of the vault"}
	if err := v.Passphrase(old, new); err != nil {
		entry.Verdict = audit.Failed
		return api.Status{}, errors.Join(storeError(fmt.Errorf("change the passphrase: %w", err)), s.agent.note(entry))
	}
	if err := s.agent.note(entry); err != nil {
		return api.Status{}, err
	}
	return s.Status(ctx)
}

// Rollback puts damaged files back to their previous generation.
func (s *session) Rollback(context.Context) (api.Rollback, error) {
	res := api.Rollback{Files: []string{}}
	w, err := s.owner(audit.OpSet, "")
	if err != nil {
		return res, err
	}
	a := s.agent
	a.write.Lock()
	defer a.write.Unlock()
	for what, st := range map[string]any{"the vault": a.store, "the history": a.past.Store()} {
		r, ok := st.(interface{ Rollback() (bool, error) })
		if !ok {
			continue
		}
		mended, err := r.Rollback()
		if err != nil {
			return res, storeError(fmt.Errorf("roll %s back: %w", what, err))
		}
		if mended {
			res.Files = append(res.Files, what)
		}
	}
	a.values.open()
	entry := audit.Entry{Who: w.who(), Op: audit.OpSet, Verdict: audit.Allowed, Reason: fmt.Sprintf("rolled back: %q", res.Files)}
	return res, a.note(entry)
}

// know notes what the history of name is. It takes a copy.
func (v *values) know(name secret.Name, r store.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.locked {
		r.Wipe()
		return
	}
	v.touch(name)
	if v.records == nil {
		v.records = map[secret.Name]store.Record{}
	}
	v.records[name].Wipe()
	v.records[name] = r
	v.want++
	v.build()
}

// readPast returns every record.
func (v *values) readPast() (map[secret.Name]store.Record, error) {
	if v.past == nil {
		return nil, nil
	}
	return v.past()
}

// keepRecords replaces what was read before by what was read now, less what was
// written meanwhile. v.mu is held.
func (v *values) keepRecords(fresh map[secret.Name]store.Record, touched map[secret.Name]struct{}) {
	if fresh == nil {
		return
	}
	for name := range touched {
		fresh[name].Wipe()
		delete(fresh, name)
		if r, ok := v.records[name]; ok {
			fresh[name] = r
			delete(v.records, name)
		}
	}
	changed := !maps.EqualFunc(v.records, fresh, sameRecord)
	wipeRecords(v.records)
	v.records = fresh
	if changed {
		v.want++
	}
}

func sameRecord(a, b store.Record) bool {
	if len(a.Versions) != len(b.Versions) || !a.Removed.Equal(b.Removed) {
		return false
	}
	for i, v := range a.Versions {
		w := b.Versions[i]
		if !v.Since.Equal(w.Since) || !v.Expires.Equal(w.Expires) || !v.Value.Equal(w.Value) {
			return false
		}
	}
	return true
}

func wipeRecords(all map[secret.Name]store.Record) {
	for _, r := range all {
		r.Wipe()
	}
}

// expires returns when the value called name does, zero for never.
func (v *values) expires(name secret.Name) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	if version, ok := v.records[name].Current(); ok {
		return version.Expires
	}
	return time.Time{}
}

// pastOf returns where the former values of the secrets in the vault or the
// keyring s are: in a file with the same key.
func pastOf(s store.Store, path string) *store.Past {
	if v, ok := s.(*vault.Vault); ok {
		return store.NewPast(v.Beside(path))
	}
	return store.NewPast(vault.OpenWithKeyIn(store.NewKeyring(), path))
}
