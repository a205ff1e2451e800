package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// servedFile holds what running kernels have of providers. It is encrypted with
// the key of the store and lies beside the socket, where files do not outlive
// the machine as kernels do not.
type servedFile struct {
	store.Store
	path string
}

// servedName is the one name in the file of served values.
const servedName secret.Name = "SERVED"

// servedValue is a value of a provider that a running kernel has, as the file
// holds it. Without a Source it is a former one.
type servedValue struct {
	Source string      `json:"source,omitempty"`
	Name   secret.Name `json:"name"`
	Value  []byte      `json:"value"`
}

// serve makes value, which a provider gave for name, a known one for as long as
// this process is not locked: what was served may stand in any notebook. One
// that a kernel gets is kept for the next agent, too. It keeps a copy.
func (v *values) serve(source string, name secret.Name, value secret.Value, kernel bool) error {
	v.mu.Lock()
	if v.locked {
		v.mu.Unlock()
		return errLocked
	}
	old, ok := v.served[source]
	switch {
	case ok && old.value.Equal(value) && (old.kept || !kernel):
		keeps, behind := v.keeps, v.kept < v.keeps
		v.mu.Unlock()
		if kernel && behind { // another kernel's is being written, and this one has it no earlier
			v.keepServed(keeps)
		}
		return nil
	case !ok && len(v.served) >= maxServed:
		v.mu.Unlock()
		return fail(api.CodeStore, "nbhush agent stop", "%d values of providers are known, and no more can be", maxServed)
	}
	if same := ok && old.value.Equal(value); same {
		old.value.Wipe()
	} else {
		if ok {
			v.changed()
			v.retire(old)
		}
		v.want++
		v.build()
	}
	v.served[source] = held{name, value.Clone(), v.now(), kernel || old.kept}
	if kernel {
		v.keeps++
	}
	keeps := v.keeps
	v.mu.Unlock()
	if kernel {
		v.keepServed(keeps)
	}
	return nil
}

// servedNow returns a copy of what source gave last, if it is known.
func (v *values) servedNow(source string) (secret.Value, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, ok := v.served[source]
	return h.value.Clone(), ok
}

func (v *values) knows(source string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.served[source]
	return ok
}

// keepServed writes what kernels have of providers, until what was served when
// keeps had this number is in the file. It may write for several at once.
func (v *values) keepServed(keeps uint64) {
	if v.file == nil {
		return
	}
	v.saving.Lock()
	defer v.saving.Unlock()
	v.mu.Lock()
	if v.locked || v.kept >= keeps {
		v.mu.Unlock()
		return
	}
	now := v.keeps
	all := []servedValue{}
	for source, h := range v.served {
		if h.kept {
			all = append(all, servedValue{source, h.name, h.value.Clone().Reveal()})
		}
	}
	for _, h := range v.retired {
		if h.kept {
			all = append(all, servedValue{"", h.name, h.value.Clone().Reveal()})
		}
	}
	v.mu.Unlock()
	if err := writeServed(v.file, all); err != nil {
		// A kernel starts all the same; the next agent asks the provider before it knows.
		v.log.Warn("keep what providers gave to kernels", "err", err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept = now
}

func writeServed(to *servedFile, all []servedValue) error {
	b, err := json.Marshal(all)
	for _, s := range all {
		clear(s.Value)
	}
	if err != nil {
		return err
	}
	sealed := secret.New(b)
	defer sealed.Wipe()
	return to.Set(servedName, sealed)
}

// readServed returns what the agent before kept for running kernels; none where
// no kernel runs.
func (v *values) readServed() []servedValue {
	if v.file == nil || !v.used() {
		return nil
	}
	b, err := v.file.Get(servedName)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			v.log.Warn("read what providers gave to kernels", "err", err)
		}
		return nil
	}
	defer b.Wipe()
	var all []servedValue
	if err := json.Unmarshal(b.Reveal(), &all); err != nil {
		v.log.Warn("read what providers gave to kernels", "err", "it is not what an agent wrote")
		return nil
	}
	return all
}

// knowServed adds what was read, where nothing newer is known. v.mu is held.
func (v *values) knowServed(all []servedValue) {
	for _, s := range all {
		h := held{s.Name, secret.New(s.Value), time.Time{}, true}
		_, newer := v.served[s.Source]
		switch {
		case s.Source != "" && !newer && len(v.served) < maxServed:
			v.served[s.Source] = h
		case s.Source != "" && newer && v.served[s.Source].value.Equal(h.value):
			h.value.Wipe()
			continue
		default: // the kernel may still have this one
			v.retire(h)
		}
		v.want++
	}
}

// dropServed removes the file: no kernel is left.
func (v *values) dropServed() {
	if v.file == nil {
		return
	}
	v.saving.Lock()
	defer v.saving.Unlock()
	if v.used() {
		return // one came meanwhile
	}
	for _, path := range []string{v.file.path + ".1", v.file.path} { // the other way round looks like a loss
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			v.log.Warn("remove what providers gave to kernels", "err", err)
		}
	}
}
