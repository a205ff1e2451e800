package kernelhook

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
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
	f := newFollower(l, grant, "")
	told := func(language string, want ...string) {
		t.Helper()
		var got []string
		for _, code := range f.before(t.Context(), language) {
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
		v, same := f.Follow(name, secret.New([]byte(now)))
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
	told("julia")
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
