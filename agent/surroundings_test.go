package agent

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// What lies around a kernel's folder is known to its hook, to nobody else, and
// to nobody while the agent is locked; it is never served.
func TestSurroundings(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.around.home, w.around.now = t.TempDir(), func() time.Time { return now }
	netrc, dotenv := rand.Text(), rand.Text()
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(w.around.home, ".netrc"), "machine h login l password "+netrc)
	names := func(s *session, text string) (found []string) {
		t.Helper()
		r, err := s.Find(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, sp := range r.Spans {
			found = append(found, sp.Name)
		}
		return found
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: found %q, want %q", what, got, want)
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: found %q, want %q", what, got, want)
			}
		}
	}
	hook := &session{agent: w.agent, line: ancestors(t)}
	text := netrc + " " + dotenv + " "
	want("before it is a hook", names(hook, text))
	if _, err := hook.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	want("a hook", names(hook, text), "netrc-h")
	write(filepath.Join(w.project, ".env"), "A_TOKEN="+dotenv)
	now = now.Add(lookEach)
	want("a file that came later", names(hook, text), "netrc-h", "dotenv-A_TOKEN")
	if err := w.store.Set("STORED", secret.New([]byte(dotenv))); err != nil {
		t.Fatal(err)
	}
	w.values.put("STORED", secret.New([]byte(dotenv)))
	want("one that is stored too", names(hook, text), "netrc-h", "STORED")
	want("another session", names(&session{agent: w.agent, line: ancestors(t)}, text), "STORED")
	_, err := hook.Value(t.Context(), "A_TOKEN")
	wantCode(t, "asked for", err, api.CodeDenied)

	w.values.lock()
	w.around.forget()
	_, err = hook.Find(t.Context(), []byte(text))
	wantCode(t, "locked", err, api.CodeLocked)
	if len(w.around.dirs) != 0 {
		t.Error("a locked agent still knows what lies around")
	}
	w.values.open()
	want("unlocked", names(hook, text), "netrc-h", "STORED")
	hook.end()
	if len(w.around.dirs) != 0 {
		t.Error("an agent without kernels still knows what lies around")
	}
}
