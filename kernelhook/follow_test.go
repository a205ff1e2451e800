package kernelhook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// A kernel of another language is told to follow what changes, and nothing else.
func TestFollower(t *testing.T) {
	dir := t.TempDir()
	former, later := rand.Text(), rand.Text()
	values := map[string]testValue{
		"NEW": {Value: former, Granted: true, Allowed: true}, "GONE": {Value: former, Granted: true, Allowed: true},
		"SAME": {Value: former, Granted: true, Allowed: true}, "MINE": {Value: former, Granted: true, Allowed: true},
	}
	var epoch uint64
	change := func() {
		t.Helper()
		epoch++
		b, err := json.Marshal(values)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "values.json"), b, 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "epoch"), binary.LittleEndian.AppendUint64(nil, epoch), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change()
	l := newLink(func(context.Context) (Agent, error) { return dialTestAgent(dir) }, api.Kernel{API: api.Version, Dir: dir, Argv0: "R"})
	defer func() { _ = l.Close() }()
	grant, err := l.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := NewFollower(l, "", grant.Values)
	f.seen, _ = l.startEpoch()
	told := func(language string, want ...string) {
		t.Helper()
		var got []string
		for _, code := range f.before(t.Context(), l.epoch, language) {
			for _, name := range []string{"NEW", "GONE", "SAME", "MINE"} {
				if strings.Contains(code, "follow "+name+" ") {
					got = append(got, name)
				}
			}
			if strings.Contains(code, former) || strings.Contains(code, later) {
				t.Error("the code holds a value")
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: told to follow %q, want %q", language, got, want)
		}
	}
	follow := func(name, now, want string) {
		t.Helper()
		v, same, err := f.Follow(t.Context(), name, secret.New([]byte(now)))
		if err != nil {
			t.Error(err)
		}
		got := string(v.Reveal())
		if same {
			got = "same"
		}
		if got != want {
			t.Errorf("%s: got another one than wanted, same: %v", name, same)
		}
	}
	told("bash")
	follow("NEW", former, "same") // nobody told it to ask

	values["NEW"], values["MINE"] = testValue{Value: later, Allowed: true}, testValue{Value: later, Allowed: true}
	delete(values, "GONE")
	change()
	told("python")
	told("bash", "GONE", "MINE", "NEW")
	told("bash")
	follow("NEW", former, later)
	follow("NEW", later, "same")
	follow("GONE", former, "")
	follow("MINE", "the user's own", "same")
	if res, err := l.Find(t.Context(), []byte(former)); err != nil || len(res.Spans) != 1 {
		t.Errorf("the former value is not known: %v, %v", res, err)
	}

	// What is the user's own, or gone, is not looked at any more; the rest goes on.
	delete(values, "NEW")
	delete(values, "MINE")
	change()
	told("bash", "NEW")
	follow("NEW", later, "")

	// An agent that could not be asked is left alone for a while.
	delete(values, "SAME")
	change()
	f.failed = time.Now()
	told("bash")
	f.failed = time.Time{}
	told("bash", "SAME")
}

// Where each cell is a process of its own, each begins with what the kernel was started with, and asks.
func TestFollowerOfEachCell(t *testing.T) {
	former, later := rand.Text(), rand.Text()
	a := &changing{values: map[string]string{"TOKEN": former}, known: map[string]string{}}
	f := NewFollower(a, "", map[string][]byte{"TOKEN": []byte(former)})
	begin := func(now, want string) {
		t.Helper()
		v, same, err := f.Follow(t.Context(), "TOKEN", secret.New([]byte(now)))
		if err != nil {
			t.Error(err)
		}
		if got := string(v.Reveal()); same && want != "same" || !same && got != want {
			t.Errorf("got another value than wanted, same: %v", same)
		}
	}
	told := func(want int) {
		t.Helper()
		code, err := f.Changes(t.Context(), "go")
		if err != nil || len(code) != want || strings.Contains(strings.Join(code, ""), former) {
			t.Errorf("told %d, want %d (%v)", len(code), want, err)
		}
	}
	told(0)
	begin(former, "same")
	for _, value := range []string{later, former, later} {
		a.values["TOKEN"] = value
		told(1)
		told(0)
		for range 2 {
			begin(former, value)
		}
		begin("the user's own", "same")
	}
	if a.known["TOKEN"] != former {
		t.Error("the former value is not known")
	}
	delete(a.values, "TOKEN")
	told(1)
	told(0)
	begin(former, "")
	begin(former, "")
	a.err = errors.New("away")
	if _, err := f.Changes(t.Context(), "go"); err != nil {
		t.Error("asked about nothing")
	}
}

// What is put into the environment of a running kernel is followed from then on; what it asked for otherwise is not.
func TestFollowerHolds(t *testing.T) {
	former, later := rand.Text(), rand.Text()
	a := &changing{values: map[string]string{"TOKEN": former, "OTHER": former}, known: map[string]string{}}
	f := NewFollower(a, "", nil)
	if v, err := f.Hold(t.Context(), "TOKEN"); err != nil || string(v.Reveal()) != former {
		t.Errorf("hold: %v", err)
	}
	changes := func(want ...string) {
		t.Helper()
		code, err := f.Changes(t.Context(), "bash")
		if err != nil || len(code) != len(want) || len(want) > 0 && !strings.Contains(code[0], "follow "+want[0]+" ") {
			t.Errorf("%d changes, want %q (%v)", len(code), want, err)
		}
	}
	changes()
	a.values["TOKEN"], a.values["OTHER"] = later, later
	changes("TOKEN")
	changes("TOKEN") // again, as long as nobody asked: a cell that failed took the code away
	if v, same, err := f.Follow(t.Context(), "TOKEN", secret.New([]byte(former))); same || err != nil || string(v.Reveal()) != later {
		t.Errorf("follow: same %v, %v", same, err)
	}
	changes()
	a.err = errors.New("away")
	if _, err := f.Changes(t.Context(), "bash"); err == nil {
		t.Error("an agent that is away said something")
	}
	if _, err := f.Hold(t.Context(), "OTHER"); err == nil {
		t.Error("an agent that is away gave a value")
	}
}

// changing is an agent.
type changing struct {
	values, known map[string]string
	err           error
}

func (a *changing) Get(_ context.Context, name string) (secret.Value, error) {
	return secret.New([]byte(a.values[name])), a.err
}

func (a *changing) Know(name string, value secret.Value) { a.known[name] = string(value.Reveal()) }

func (a *changing) Refresh(_ context.Context, held []api.Held) (r api.Refreshed, err error) {
	r.New = map[string][]byte{}
	for _, h := range held {
		switch v, ok := a.values[h.Name]; {
		case !ok:
			r.Gone = append(r.Gone, h.Name)
		case sha256.Sum256([]byte(v)) != [sha256.Size]byte(h.Sum):
			r.New[h.Name] = []byte(v)
		}
	}
	return r, a.err
}
