package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

const (
	freshFor   = 2 * time.Second // a value is served from memory without a look at the store
	reloadEach = time.Minute     // while somebody asks, all values are read again
	retryEach  = 5 * time.Second // after the store could not be read; a keyring may ask the user each time
	maxRetired = 1000            // values that were replaced or removed while kernels ran
	maxServed  = 5000            // values of providers
)

// values holds what the store holds, and the known-value set made of it, from
// open to lock. It is safe for concurrent use. Values that it returns are
// clones, which the caller wipes.
type values struct {
	store store.Store
	names func() ([]secret.Name, error)
	log   *slog.Logger
	now   func() time.Time
	used  func() bool                                  // whether a kernel may hold a value that leaves the store now
	past  func() (map[secret.Name]store.Record, error) // nil: no former values
	// changed is called when a value that was served may no longer be.
	changed func()
	file    *servedFile // what kernels have of providers, for the next agent; nil: nowhere

	saving  sync.Mutex // held while file is written
	mu      sync.Mutex
	locked  bool
	held    map[secret.Name]held
	records map[secret.Name]store.Record // former values: known, never served
	retired []held                       // no longer in the store, but a kernel may still print them
	served  map[string]held              // by providers, by the source
	keeps   uint64                       // times that a kernel got something of served
	kept    uint64                       // what keeps was when file was written
	set     *knownSet

	// Every change of held raises want; the builder makes sets until have has
	// caught up. Find waits until have is what want was when it was asked.
	want, have uint64
	building   bool
	built      chan struct{} // closed and replaced after each set or failure

	complete bool                     // held is all that the store holds
	reload   bool                     // the builder is to read the store again
	touched  map[secret.Name]struct{} // written during a reload: the reload's view is older
	writes   uint64                   // set and remove, so that get notices one beside it
	epoch    uint64                   // lock and unlock, so that the builder notices one
	err      error                    // of the last reload
	loaded   time.Time                // when it was tried
}

type held struct {
	name  secret.Name
	value secret.Value
	read  time.Time
	kept  bool // a kernel had it from a provider
}

// knownSet is a set with the number of its readers and one for being current;
// the last one to leave wipes it.
type knownSet struct {
	*match.Set
	users int // guarded by values.mu
}

func newValues(s store.Store, names func() ([]secret.Name, error), used func() bool, log *slog.Logger) *values {
	return &values{
		store: s, names: names, used: used, log: log, now: time.Now,
		held: map[secret.Name]held{}, served: map[string]held{}, built: make(chan struct{}), changed: func() {},
	}
}

var errLocked = fail(api.CodeLocked, hintUnlock, "agent is locked")

// open begins to read the store, in the background.
func (v *values) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.locked = false
	v.err = nil // it may be why somebody unlocks
	v.epoch++
	v.want++
	v.readAgain()
}

// lock wipes everything and answers nobody until open.
func (v *values) lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.locked, v.complete, v.reload = true, false, false
	v.epoch++
	v.changed()
	v.err = nil
	for name, h := range v.held {
		h.value.Wipe()
		delete(v.held, name)
	}
	v.wipeRetired()
	for _, r := range v.records {
		r.Wipe()
	}
	v.records = nil
	for source, h := range v.served {
		h.value.Wipe()
		delete(v.served, source)
	}
	v.leave(v.set)
	v.set = nil
	v.wake()
}

// Find is match.Finder. It waits for a set that holds everything that was
// known when it was called.
func (v *values) Find(ctx context.Context, text []byte) (match.Result, error) {
	return v.find(ctx, text, false)
}

// FindSoFar is Find, but does not wait for values that came since the last set was made.
func (v *values) FindSoFar(ctx context.Context, text []byte) (match.Result, error) {
	return v.find(ctx, text, true)
}

func (v *values) find(ctx context.Context, text []byte, soFar bool) (match.Result, error) {
	s, err := v.enter(ctx, soFar)
	if err != nil {
		return match.Result{}, err
	}
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.leave(s)
	}()
	return s.Find(ctx, text)
}

// enter waits for a complete set, or with soFar for any; the caller must leave it.
func (v *values) enter(ctx context.Context, soFar bool) (*knownSet, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := v.now().Sub(v.loaded)
	switch {
	case v.locked:
	case v.set == nil && v.err != nil && age > retryEach:
		v.err = nil // wait for this attempt
		v.readAgain()
	case age > reloadEach:
		v.readAgain()
	}
	for want := v.want; ; {
		switch {
		case v.locked:
			return nil, errLocked
		case v.set != nil && (soFar || v.have >= want):
			v.set.users++
			return v.set, nil
		case v.set == nil && v.err != nil:
			return nil, v.unreadable()
		}
		built := v.built
		v.mu.Unlock()
		select {
		case <-built:
		case <-ctx.Done():
		}
		v.mu.Lock()
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("wait for the known values: %w", err)
		}
	}
}

// unreadable says why there is no set: to whoever asks, that is a lock.
func (v *values) unreadable() *api.Error {
	e := storeError(v.err)
	return &api.Error{Code: api.CodeLocked, Message: "the secrets cannot be read: " + e.Message, Mend: e.Mend}
}

func (v *values) leave(s *knownSet) {
	if s == nil {
		return
	}
	if s.users--; s.users == 0 {
		s.Wipe()
	}
}

// state is what Status says. It waits, until ctx ends, for a build that runs.
func (v *values) state(ctx context.Context) (locked bool, known int, detail string) {
	if s, err := v.enter(ctx, false); err == nil {
		v.mu.Lock()
		v.leave(s)
		v.mu.Unlock()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.locked:
		return true, 0, "locked by nbhush agent lock"
	case v.set == nil && v.err != nil:
		return true, 0, v.unreadable().Message
	case v.set == nil:
		return false, 0, "the secrets are being read"
	case v.err != nil:
		detail = "the secrets could not be read again: " + v.err.Error()
	}
	return false, v.set.Len(), detail
}

// get returns the value called name, read from the store at most freshFor ago.
func (v *values) get(name secret.Name) (secret.Value, error) {
	v.mu.Lock()
	if v.locked {
		v.mu.Unlock()
		return secret.Value{}, errLocked
	}
	if h, ok := v.held[name]; ok && v.now().Sub(h.read) < freshFor {
		defer v.mu.Unlock()
		return h.value.Clone(), nil
	}
	writes, epoch := v.writes, v.epoch
	v.mu.Unlock()

	value, err := v.store.Get(name)

	v.mu.Lock()
	defer v.mu.Unlock()
	if v.locked {
		value.Wipe()
		return secret.Value{}, errLocked
	}
	unchanged := writes == v.writes && epoch == v.epoch
	if errors.Is(err, store.ErrNotFound) {
		if unchanged {
			v.drop(name)
		}
		return secret.Value{}, notFound(name)
	}
	if err != nil {
		return secret.Value{}, storeError(fmt.Errorf("get %s: %w", name, err))
	}
	if unchanged {
		v.keep(name, value.Clone())
	}
	return value, nil
}

// put notes that the store now holds value, which belongs to v from here on.
func (v *values) put(name secret.Name, value secret.Value) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writes++
	if v.locked {
		value.Wipe()
		return
	}
	v.keep(name, value)
}

// remove notes that the store holds no value called name any more.
func (v *values) remove(name secret.Name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writes++
	v.touch(name)
	v.drop(name)
}

// touch tells a reload that runs that its view of name is older.
func (v *values) touch(name secret.Name) {
	if v.touched != nil {
		v.touched[name] = struct{}{}
	}
}

// keep and drop change held, with mu held.
func (v *values) keep(name secret.Name, value secret.Value) {
	v.touch(name)
	old, ok := v.held[name]
	v.held[name] = held{name: name, value: value, read: v.now()}
	if ok && old.value.Equal(value) {
		old.value.Wipe()
		return
	}
	if ok {
		v.changed()
		v.retire(old)
	}
	v.want++
	v.build()
}

func (v *values) drop(name secret.Name) {
	if old, ok := v.held[name]; ok {
		delete(v.held, name)
		v.changed()
		v.retire(old)
		v.want++
		v.build()
	}
}

// retire keeps what a kernel may still print.
func (v *values) retire(h held) {
	if !v.used() {
		h.value.Wipe()
		return
	}
	v.retired = append(v.retired, h)
	if len(v.retired) > maxRetired {
		v.retired[0].value.Wipe()
		v.retired = v.retired[1:]
	}
}

// forget ends what is kept for running kernels: there are none.
func (v *values) forget() {
	v.dropServed()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.retired) > 0 {
		v.wipeRetired()
		v.want++
		v.build()
	}
}

func (v *values) wipeRetired() {
	for _, h := range v.retired {
		h.value.Wipe()
	}
	v.retired = nil
}

// warning says what is wrong with the value called name as far as matching goes.
func (v *values) warning(name secret.Name) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h, ok := v.held[name]; ok {
		return warning(h.value)
	}
	return ""
}

func warning(value secret.Value) string {
	if weak := match.Weakness(value); weak != "" {
		return "outputs may show it: its value is " + weak
	}
	return ""
}

func (v *values) isLocked() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.locked
}

// readAgain and build start the builder unless it runs; mu is held.
func (v *values) readAgain() {
	v.reload = true
	v.loaded = v.now()
	v.build()
}

func (v *values) build() {
	if v.building || v.locked {
		return
	}
	v.building = true
	go secret.Do(v.builder)
}

// wake tells everybody who waits to look again.
func (v *values) wake() {
	close(v.built)
	v.built = make(chan struct{})
}

// builder works until nothing is left to do, and ends.
func (v *values) builder() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for !v.locked && (v.reload || v.have != v.want) {
		if v.reload || !v.complete {
			v.readStore()
			if v.err != nil && !v.complete {
				break // whoever asks next tries again
			}
		} else {
			v.makeSet()
		}
		v.wake()
	}
	v.building = false
	v.wake()
	go debug.FreeOSMemory() // the old set, and what making the new one took
}

// readStore makes held what the store holds. It gives mu up while it reads.
func (v *values) readStore() {
	v.reload = false
	v.touched = map[secret.Name]struct{}{}
	epoch, complete := v.epoch, v.complete
	v.mu.Unlock()
	fresh, err := v.readAll()
	records, past := v.readPast()
	var served []servedValue
	if !complete {
		served = v.readServed()
	}
	v.mu.Lock()
	touched := v.touched
	v.touched = nil
	if err == nil && past != nil {
		wipeAll(fresh)
		fresh, err = nil, past
	}
	if epoch != v.epoch {
		wipeAll(fresh)
		wipeRecords(records)
		for _, s := range served {
			clear(s.Value)
		}
		return
	}
	v.keepRecords(records, touched)
	v.knowServed(served)
	if v.err = err; err != nil {
		v.log.Warn("read the secrets", "err", err)
		return
	}
	v.complete = true
	for name := range v.held {
		_, there := fresh[name]
		if _, newer := touched[name]; !there && !newer {
			v.drop(name)
		}
	}
	for name, value := range fresh {
		if _, newer := touched[name]; newer {
			value.Wipe()
		} else {
			v.keep(name, value)
		}
	}
}

// readAll returns everything in the store or an error, never a part: a value
// that is not known would pass unseen.
func (v *values) readAll() (map[secret.Name]secret.Value, error) {
	names, err := v.names()
	if err != nil {
		return nil, err
	}
	if s, ok := v.store.(interface {
		All() (map[secret.Name]secret.Value, error)
	}); ok {
		return s.All() // one look at a file instead of one for each name
	}
	all := make(map[secret.Name]secret.Value, len(names))
	for _, name := range names {
		value, err := v.store.Get(name)
		if errors.Is(err, store.ErrNotFound) {
			continue // removed since
		}
		if err != nil {
			wipeAll(all)
			return nil, fmt.Errorf("get %s: %w", name, err)
		}
		all[name] = value
	}
	return all, nil
}

func wipeAll(all map[secret.Name]secret.Value) {
	for _, value := range all {
		value.Wipe()
	}
}

// makeSet puts a new set in the place of the old one. It gives mu up while it works.
func (v *values) makeSet() {
	want, epoch := v.want, v.epoch
	known := make([]match.Known, 0, len(v.held)+len(v.retired))
	add := func(h held) { known = append(known, match.Known{Name: h.name, Value: h.value.Clone()}) }
	for _, h := range v.held {
		add(h)
	}
	for _, h := range v.retired {
		add(h)
	}
	for name, r := range v.records {
		for _, old := range r.Former() {
			add(held{name: name, value: old.Value})
		}
	}
	for _, h := range v.served {
		add(h)
	}
	v.mu.Unlock()
	s := &knownSet{Set: match.New(known), users: 1}
	for _, k := range known {
		k.Value.Wipe()
	}
	v.mu.Lock()
	if epoch != v.epoch {
		s.Wipe()
		return
	}
	v.leave(v.set)
	v.set, v.have = s, want
}
