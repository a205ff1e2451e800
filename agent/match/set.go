package match

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"sync"

	"github.com/nbhush/nbhush/agent/secret"
)

// ErrWiped is what Find says of a Set after Wipe.
var ErrWiped = errors.New("the known values were wiped")

// Known is a value and the name that stands in its place.
type Known struct {
	Name  secret.Name
	Value secret.Value
}

// Set is a Finder of known values. It is immutable until Wipe and safe for
// concurrent use.
type Set struct {
	mu    sync.RWMutex // Find reads, Wipe writes
	wiped bool
	names []string
	forms [][]byte
}

// New returns a Set of known. It keeps copies of the values in forms of its
// own and neither changes nor keeps the values themselves. Values for which
// Weakness has a reason are left out.
func New(known []Known) *Set {
	s := &Set{}
	for _, k := range known {
		if Weakness(k.Value) != "" {
			continue
		}
		s.names = append(s.names, string(k.Name))
		s.forms = append(s.forms, bytes.Clone(k.Value.Reveal()))
	}
	return s
}

// Len returns the number of values that s finds.
func (s *Set) Len() int { return len(s.names) }

// Find implements Finder. It fails with ErrWiped after Wipe.
func (s *Set) Find(ctx context.Context, text []byte) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.wiped {
		return Result{}, ErrWiped
	}
	var all []Span
	longest := 0
	for i, f := range s.forms {
		longest = max(longest, len(f))
		for at := 0; ; {
			k := bytes.Index(text[at:], f)
			if k < 0 {
				break
			}
			all = append(all, Span{at + k, at + k + len(f), s.names[i]})
			at += k + 1
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Start < all[j].Start })
	var r Result
	for _, h := range all {
		if n := len(r.Spans); n > 0 && h.Start < r.Spans[n-1].End {
			r.Spans[n-1].End = max(r.Spans[n-1].End, h.End)
			continue
		}
		r.Spans = append(r.Spans, h)
	}
	r.Tail = min(len(text), max(0, longest-1))
	for i := len(r.Spans) - 1; i >= 0 && r.Spans[i].End > len(text)-r.Tail; i-- {
		r.Tail = max(r.Tail, len(text)-r.Spans[i].Start)
	}
	return r, nil
}

// Wipe overwrites every copy of a value that s holds. It waits for running
// calls of Find; later ones fail.
func (s *Set) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.forms {
		clear(f)
	}
	s.forms, s.wiped = nil, true
}
