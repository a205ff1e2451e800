package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/store"
)

// The end of the audit log is remembered that long after an entry, or sooner after so many
// of them; in a burst of entries not without a rest, as each time the whole vault is written.
const (
	headEach  = 64
	headAfter = time.Second
	headRest  = 50 * time.Millisecond
)

// heads remembers where the audit log ends, encrypted beside the former values,
// so that a tail that was cut off is found. A head that the log does not agree
// with stays, as evidence, until the owner accepts the log as it is.
type heads struct {
	past *store.Past
	log  *audit.Log // nil in tests without a file
	path string

	entries atomic.Int64  // since the end was remembered
	full    chan struct{} // there are headEach of them; holds one
	waiting atomic.Bool   // saveSoon does
	ended   sync.Once
	ending  chan struct{}
	busy    sync.WaitGroup
	mu      sync.Mutex
	checked bool // the log agreed with what was remembered when this agent began
	told    bool // that the log was cut while this agent runs
}

// count is told of every entry, and remembers the end from time to time. While this
// agent runs, it knows each line that it wrote: one that was taken away since is told at
// once, and where the log ended before is what is remembered.
func (h *heads) count(a *agent) {
	if h.log == nil {
		return
	}
	if err := h.log.Cut(); err != nil && h.tell() {
		a.log.Error("the audit log was changed", "err", err)
		a.alerts.damaged(err)
		h.busy.Go(func() { h.save(a) })
	}
	if h.entries.Add(1) >= headEach {
		select {
		case h.full <- struct{}{}:
		default:
		}
	}
	if h.waiting.CompareAndSwap(false, true) {
		h.busy.Go(func() { h.saveSoon(a) })
	}
}

// saveSoon saves once for all entries that come until then.
func (h *heads) saveSoon(a *agent) {
	select {
	case <-time.After(headAfter):
	case <-h.ending:
	case <-h.full:
		select {
		case <-time.After(headRest):
		case <-h.ending:
		}
	}
	h.waiting.Store(false)
	h.entries.Store(0)
	h.save(a)
}

// close waits for what is being saved.
func (h *heads) close() {
	h.ended.Do(func() { close(h.ending) })
	h.busy.Wait()
}

// tell reports whether nobody was told yet.
func (h *heads) tell() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.told = true }()
	return !h.told
}

// save remembers the end of the log. An agent that is locked, or has nothing to
// keep, does not.
func (h *heads) save(a *agent) {
	if h.log == nil || a.values.isLocked() {
		return
	}
	if entries, err := a.index.List(); err != nil || len(entries) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.saveLocked(); err != nil {
		a.log.Warn("remember the end of the audit log", "err", err)
		var damaged *audit.DamagedError
		if errors.As(err, &damaged) {
			a.alerts.damaged(err)
		}
	}
}

// check compares the log with what was remembered before this agent began. h.mu is held.
func (h *heads) check() error {
	if h.checked {
		return nil
	}
	was, err := h.load()
	if err != nil {
		return err
	}
	if _, err := audit.VerifyTo(h.path, was); err != nil {
		return err
	}
	h.checked = true
	return nil
}

func (h *heads) saveLocked() error {
	if err := h.check(); err != nil {
		return err
	}
	now, err := h.log.Head()
	if err != nil {
		return err
	}
	return h.keep(now)
}

func (h *heads) keep(now audit.Head) error {
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return h.past.SetHidden(store.HiddenHead, b)
}

// load returns what is remembered, zero for nothing.
func (h *heads) load() (was audit.Head, err error) {
	b, err := h.past.Hidden(store.HiddenHead)
	if errors.Is(err, store.ErrNotFound) {
		return was, nil
	}
	if err != nil {
		return was, err
	}
	if json.Unmarshal(b, &was) != nil {
		return was, errors.New("what is remembered of the audit log is damaged")
	}
	return was, nil
}

// now returns where the log has to end: as this agent wrote it, or, where the log does not
// agree with it, what was remembered before, which a lock closes.
func (h *heads) now(locked bool) (audit.Head, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.log != nil && h.checked:
		return h.log.Head()
	case locked:
		return audit.Head{}, errLocked
	}
	was, err := h.load()
	if err != nil || h.log == nil || h.check() != nil {
		return was, err
	}
	return h.log.Head()
}

// AuditHead returns where the audit log has to end.
func (s *session) AuditHead(context.Context) (api.AuditHead, error) {
	if _, err := s.owner(audit.OpGet, ""); err != nil {
		return api.AuditHead{}, err
	}
	was, err := s.agent.heads.now(s.agent.values.isLocked())
	if err != nil {
		return api.AuditHead{}, storeError(err)
	}
	return api.AuditHead(was), nil
}

// AcceptAudit remembers the end of the log as it is now, whatever was
// remembered before, and notes that.
func (s *session) AcceptAudit(context.Context) (api.AuditHead, error) {
	w, err := s.owner(audit.OpSet, "")
	if err != nil {
		return api.AuditHead{}, err
	}
	h := s.agent.heads
	if s.agent.values.isLocked() {
		return api.AuditHead{}, errLocked
	}
	if h.log == nil {
		return api.AuditHead{}, fail(api.CodeInternal, "", "there is no audit log")
	}
	was, err := h.load()
	reason := fmt.Sprintf("the audit log accepted as it is; remembered was entry %d of %s", was.Seq, was.Time.Format(time.RFC3339))
	if err != nil {
		reason = "the audit log accepted as it is; what was remembered cannot be read"
	}
	if err := s.agent.note(audit.Entry{Who: w.who(), Op: audit.OpSet, Verdict: audit.Allowed, Reason: reason}); err != nil {
		return api.AuditHead{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log.Accept()
	now, err := h.log.Head()
	if err != nil {
		return api.AuditHead{}, err
	}
	h.checked, h.told = true, false
	return api.AuditHead(now), h.keep(now)
}
