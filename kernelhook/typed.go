package kernelhook

import (
	"context"
	"slices"
	"sync"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
)

// typedName stands in the place of what a user typed. It is no name that a
// secret can have, so nothing is ever put back for it.
const typedName = "password-prompt"

// maxTyped is the number of typed values that are known; the oldest goes.
const maxTyped = 256

// typed are the values that the user typed into password prompts of the kernel,
// those that were the value of a secret when the kernel got it, and secrets that
// its own environment has without nbhush. They are in no store and known to this kernel alone: another one that could
// say what is a secret could also ask what the notebooks of others hold. The
// zero value holds none. It is safe for concurrent use.
type typed struct {
	mu     sync.RWMutex
	values []match.Known
	env    []match.Known // secrets of the kernel's own environment
	set    *match.Set    // of all; nil if there are none
}

// add makes a copy of value known under name, "" if it has none, until close.
func (t *typed) add(name string, value secret.Value) {
	if name == "" {
		name = typedName
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.ContainsFunc(t.values, func(k match.Known) bool { return k.Value.Equal(value) }) || match.Weakness(value) != "" {
		return
	}
	if len(t.values) == maxTyped {
		t.values[0].Value.Wipe()
		t.values = slices.Delete(t.values, 0, 1)
	}
	t.values = append(t.values, match.Known{Name: secret.Name(name), Value: value.Clone()})
	t.build()
}

// environment makes the secrets of the kernel's own environment known, until
// close. They are t's from here on.
func (t *typed) environment(known []match.Known) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.env = known; len(known) > 0 {
		t.build()
	}
}

// build makes the set; mu is held.
func (t *typed) build() {
	if t.set != nil {
		t.set.Wipe()
	}
	t.set = match.New(slices.Concat(t.env, t.values))
}

// find adds what was typed to what was found in text.
func (t *typed) find(ctx context.Context, text []byte, found match.Result) (match.Result, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.set == nil {
		return found, nil
	}
	mine, err := t.set.Find(ctx, text)
	if err != nil {
		return match.Result{}, err
	}
	return merge(found, mine, len(text)), nil
}

// close forgets everything.
func (t *typed) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.values {
		k.Value.Wipe()
	}
	for _, k := range t.env {
		k.Value.Wipe()
	}
	if t.set != nil {
		t.set.Wipe()
	}
	t.values, t.env, t.set = nil, nil, nil
}

// merge returns what two finders found in one text of length bytes as one
// Result. Of two spans that overlap one is left, as long as both, with the name
// of a; the tail begins at no place inside of a span.
func merge(a, b match.Result, length int) match.Result {
	if len(b.Spans) == 0 && b.Tail <= a.Tail {
		return a
	}
	type span struct {
		match.Span
		second bool
	}
	var all []span
	for _, s := range a.Spans {
		all = append(all, span{s, false})
	}
	for _, s := range b.Spans {
		all = append(all, span{s, true})
	}
	slices.SortStableFunc(all, func(x, y span) int { return x.Start - y.Start })
	var out match.Result
	second := false // the name of the last span is of b
	for _, s := range all {
		n := len(out.Spans)
		if n == 0 || s.Start >= out.Spans[n-1].End {
			out.Spans = append(out.Spans, s.Span)
			second = s.second
			continue
		}
		last := &out.Spans[n-1]
		last.End = max(last.End, s.End)
		if second && !s.second {
			last.Name, second = s.Name, false
		}
	}
	out.Tail = max(a.Tail, b.Tail)
	for _, s := range slices.Backward(out.Spans) {
		if begin := length - out.Tail; s.End > begin && s.Start < begin {
			out.Tail = length - s.Start
		}
	}
	return out
}
