package provider

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// answers is a provider whose next answers the test decides.
type answers struct {
	asked int
	value string
	lease Lease
	err   error
	ended []string
}

func (a *answers) Read(context.Context, Query) (Document, error) {
	a.asked++
	if a.err != nil {
		return Document{}, a.err
	}
	return Document{Value: secret.New([]byte(a.value)), Lease: a.lease}, nil
}

func (a *answers) Revoke(_ context.Context, _ Query, l Lease) error {
	a.ended = append(a.ended, l.ID)
	return a.err
}

func TestPoll(t *testing.T) {
	w, p := newWorld(t), &answers{value: random()}
	w.known["ours"] = known{p, 5 * time.Minute}
	s := source(t, "ours://x", nil)
	next, err := w.Poll(t.Context(), s)
	if err != nil || p.asked != 1 || time.Until(next) < 3*time.Minute || time.Until(next) > 4*time.Minute {
		t.Fatalf("asked %d times, next in %v, %v", p.asked, time.Until(next), err)
	}
	if again, err := w.Poll(t.Context(), s); err != nil || p.asked != 1 || !again.Equal(next) {
		t.Errorf("before its time: asked %d times, %v, %v", p.asked, again.Sub(next), err)
	}
	e := w.entries[keyOf(w.known["ours"], Query{Ref: s.Ref})]
	for name, c := range map[string]struct {
		ttl, poll, from, to time.Duration
	}{
		"by its ttl":      {0, 0, 200 * time.Second, 210 * time.Second},
		"more often":      {0, 10 * time.Second, 10 * time.Second, 11 * time.Second},
		"more seldom":     {0, time.Hour, time.Hour, 66 * time.Minute},
		"by the settings": {0, time.Minute, time.Minute, 66 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s.TTL, s.Poll = c.ttl, c.poll
			if at := e.due(w.known["ours"], s).Sub(e.read); at < c.from || at > c.to {
				t.Errorf("due after %v, want %v to %v", at, c.from, c.to)
			}
		})
	}
	// What fails is asked for later and later, and not before the server's own time.
	s.TTL, s.Poll = 0, 10*time.Second
	p.err = &Error{Kind: Throttled, What: "x", RetryAfter: 5 * time.Minute}
	var last time.Duration
	for i := range 12 {
		e.read, e.next, e.tried = time.Now().Add(-time.Hour), time.Time{}, time.Time{}
		next, err := w.Poll(t.Context(), s)
		wait := time.Until(next)
		if err == nil || p.asked != 2+i || wait < 4*time.Minute || wait < last-time.Second || wait > time.Hour {
			t.Errorf("after %d failures: next in %v, %v", i+1, wait, err)
		}
		last = wait
	}
	if last < 59*time.Minute {
		t.Errorf("after many failures: next in %v", last)
	}
}

// Some are asked by nobody but a person.
func TestPollNever(t *testing.T) {
	w := newWorld(t)
	w.stored["NAME"] = random()
	for ref, want := range map[string]bool{
		"op://vault/item/field": false, "bitwarden://x": false, "pass://x": false, "gpg://x": false, "sops://x#y": false, "keychain://x": false,
		"env://HOME": false, "store://NAME": true, "dotenv://.env#A": true,
	} {
		next, err := w.Poll(t.Context(), source(t, ref, nil))
		if err != nil || next.IsZero() == want {
			t.Errorf("%s: next %v, %v; polled should be %v", ref, next, err, want)
		}
	}
	s := source(t, "store://NAME", nil)
	s.Poll = Never
	if next, err := w.Poll(t.Context(), s); err != nil || !next.IsZero() {
		t.Errorf("poll = none: %v, %v", next, err)
	}
}

func TestRelease(t *testing.T) {
	w, p := newWorld(t), &answers{value: random(), lease: Lease{ID: "lease-1", For: time.Hour}}
	w.known["ours"] = known{p, 5 * time.Minute}
	got, err := w.Get(t.Context(), source(t, "ours://x", nil))
	if err != nil || !got.Leased {
		t.Fatalf("%+v, %v", got, err)
	}
	if back := w.Release(t.Context(), func(string) bool { return false }); len(back) != 0 || len(p.ended) != 0 {
		t.Errorf("%v given back", back)
	}
	back := w.Release(t.Context(), func(d string) bool { return d == got.Document })
	if len(back) != 1 || back[0].Err != nil || back[0].Source != "ours://x" || len(p.ended) != 1 || p.ended[0] != "lease-1" {
		t.Errorf("%+v, %v", back, p.ended)
	}
	// Whoever asks next gets another one.
	if _, err := w.Get(t.Context(), source(t, "ours://x", nil)); err != nil || p.asked != 2 {
		t.Errorf("asked %d times, %v", p.asked, err)
	}
	p.err = errors.New("words of a server")
	back = w.Release(t.Context(), func(string) bool { return true })
	if len(back) != 1 || back[0].Err == nil || back[0].Err.Error() != "ours: ours://x: it did not work" {
		t.Errorf("%+v", back)
	}
}
