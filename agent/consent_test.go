package agent

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
)

// hookOf registers a kernel with a notebook in the project of e.
func (e env) hookOf(t *testing.T, notebook string) (frames, func()) {
	t.Helper()
	s, end := e.stream()
	g, err := s.RegisterKernel(t.Context(), api.Kernel{API: api.Version, Dir: e.project, Notebook: notebook})
	if err != nil {
		t.Fatal(err)
	}
	want := notebook
	if filepath.Dir(notebook) != e.project {
		want = ""
	}
	if g.Notebook != want {
		t.Errorf("the notebook is %q, want %q", g.Notebook, want)
	}
	return s, func() {
		end()
		for deadline := time.Now().Add(time.Minute); e.kernels.any() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

// noted returns what the audit log says about name, "op verdict" each.
func (w *world) noted(t *testing.T, name string) (lines []string) {
	t.Helper()
	src, err := os.ReadFile(w.home.Audit())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(src)) {
		var e audit.Entry
		if json.Unmarshal([]byte(line), &e) == nil && string(e.Name) == name {
			lines = append(lines, string(e.Op)+" "+string(e.Verdict))
		}
	}
	return lines
}

func TestConsent(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		value := e.set(t, "UNLISTED")
		notebook := filepath.Join(e.project, "a.ipynb")
		s, end := e.hookOf(t, notebook)
		_, err := s.Value(ctx, "UNLISTED")
		var asked *api.Error
		if !errors.As(err, &asked) || asked.Code != api.CodeConsent || asked.Name != "UNLISTED" || !strings.Contains(asked.Mend, "nbhush allow --name UNLISTED --notebook "+notebook) {
			t.Fatalf("%+v", err)
		}
		for answer, want := range map[api.Answer]string{
			api.AnswerNo: "you said no", "": "you said no", "yes, always": "you said no",
			api.AnswerLate: "nobody answered", api.AnswerNobody: "does not list UNLISTED",
		} {
			_, err := s.Consent(ctx, "UNLISTED", answer, 0)
			wantCode(t, string(answer), err, api.CodeDenied)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", answer, err, want)
			}
			_, err = s.Value(ctx, "UNLISTED")
			wantCode(t, "after "+string(answer), err, api.CodeConsent)
		}
		granted := func(answer api.Answer, after api.Code) {
			t.Helper()
			v, err := s.Consent(ctx, "UNLISTED", answer, 0)
			if err != nil || string(v.Reveal()) != value {
				t.Errorf("%s: %v", answer, err)
			}
			_, err = s.Value(ctx, "UNLISTED")
			wantCode(t, "after "+string(answer), err, after)
		}
		granted(api.AnswerOnce, api.CodeConsent)
		granted(api.AnswerKernel, "")
		names, err := s.Names(ctx)
		if diff := cmp.Diff([]secret.Name{"LISTED", "LISTED_TOO", "UNLISTED"}, names); diff != "" || err != nil {
			t.Errorf("%s, %v", diff, err)
		}
		end()

		// A kernel's grant ends with it, a notebook's stays with the notebook.
		s, end = e.hookOf(t, notebook)
		_, err = s.Value(ctx, "UNLISTED")
		wantCode(t, "the next kernel", err, api.CodeConsent)
		granted(api.AnswerNotebook, "")
		end()
		s, end = e.hookOf(t, notebook)
		v, err := s.Value(ctx, "UNLISTED")
		if err != nil || string(v.Reveal()) != value {
			t.Errorf("the notebook again: %v", err)
		}
		end()
		for _, other := range []string{filepath.Join(e.project, "b.ipynb"), "", filepath.Join(t.TempDir(), "a.ipynb"), "a.ipynb"} {
			s, end = e.hookOf(t, other)
			_, err = s.Value(ctx, "UNLISTED")
			wantCode(t, "another notebook "+other, err, api.CodeConsent)
			_, err = s.Consent(ctx, "UNLISTED", api.AnswerNotebook, 0)
			if other == filepath.Join(e.project, "b.ipynb") {
				wantCode(t, "always for another notebook", err, "")
			} else {
				wantCode(t, "always for no notebook", err, api.CodeBadInput)
			}
			end()
		}
		got := strings.Join(e.noted(t, "UNLISTED"), ", ")
		for _, want := range []string{"get deny, consent deny", "consent allow, get allow"} {
			if !strings.Contains(got, want) {
				t.Errorf("the audit log has %s, want %s", got, want)
			}
		}
	})
}

// Nothing but the hook of a kernel that runs in no other one says what the user answered.
func TestConsentForged(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.set(t, "UNLISTED")
	owner := w.session(10)
	_, err := owner.Consent(ctx, "UNLISTED", api.AnswerKernel, 0)
	wantCode(t, "the owner", err, api.CodeDenied)

	hook := w.session(20)
	if _, err := hook.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	below := w.session(21, 20)
	_, err = below.Consent(ctx, "UNLISTED", api.AnswerKernel, 0)
	wantCode(t, "a process below the kernel", err, api.CodeDenied)
	_, err = below.Value(ctx, "UNLISTED")
	wantCode(t, "what it gets", err, api.CodeDenied)
	_, err = below.Refresh(ctx, nil)
	wantCode(t, "what changed, from below", err, api.CodeDenied)

	inner := w.session(22, 20)
	if _, err := inner.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	_, err = inner.Value(ctx, "UNLISTED")
	wantCode(t, "a kernel inside a kernel", err, api.CodeDenied)
	_, err = inner.Consent(ctx, "UNLISTED", api.AnswerKernel, 0)
	wantCode(t, "its answer", err, api.CodeDenied)

	// The client that answered is a process below a kernel, this one for another kernel.
	here := &session{agent: w.agent, line: ancestors(t)}
	if _, err := here.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	for _, client := range []int{os.Getpid(), 1 << 30} {
		_, err = hook.Consent(ctx, "UNLISTED", api.AnswerKernel, client)
		wantCode(t, "a client below a kernel, or gone", err, api.CodeDenied)
	}
	here.end()
	_, err = hook.Consent(ctx, "UNLISTED", api.AnswerOnce, os.Getpid())
	wantCode(t, "a client that is no kernel's", err, "")

	old := w.session(30)
	if _, err := old.RegisterKernel(ctx, api.Kernel{API: 2, Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	_, err = old.Value(ctx, "UNLISTED")
	wantCode(t, "a hook that knows no consent", err, api.CodeDenied)
	if rules, err := owner.Rules(ctx); len(rules) != 0 || err != nil {
		t.Errorf("%v, %v", rules, err)
	}
}

// A grant for a kernel survives the agent, and not the kernel.
func TestConsentRestart(t *testing.T) {
	for _, alive := range []bool{true, false} {
		w := newWorld(t)
		w.set(t, "UNLISTED")
		s := w.session(1 << 30) // a process that is gone
		if alive {
			s = &session{agent: w.agent, line: ancestors(t)}
		}
		if _, err := s.RegisterKernel(t.Context(), api.Kernel{API: api.Version, Dir: w.project}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Consent(t.Context(), "UNLISTED", api.AnswerKernel, 0); err != nil {
			t.Fatal(err)
		}
		w.kernels.freeze()
		s.end() // as the agent's end ends streams
		w.grants.sweep(&kernels{live: ghostFile{filepath.Join(w.home.Run, "kernels.json"), w.log}.load()}, w.log)
		rules, err := w.grants.current()
		if err != nil || (len(rules) == 1) != alive {
			t.Errorf("alive %v: %v, %v", alive, rules, err)
		}
	}
}

func TestRules(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		e.set(t, "LISTED")
		e.set(t, "UNLISTED")
		notebook := filepath.Join(e.project, "a.ipynb")
		until := time.Now().Add(time.Hour).Truncate(time.Second)
		for _, bad := range []api.Rule{
			{Name: "UNLISTED"},
			{Name: "a b", Deny: true},
			{Name: "UNLISTED", Notebook: "a.ipynb"},
			{Name: "UNLISTED", Notebook: notebook, Kernel: 7},
			{Name: "UNLISTED", Notebook: notebook, Until: time.Now().Add(-time.Hour)},
		} {
			_, err := e.AddRule(ctx, bad)
			wantCode(t, bad.Name, err, api.CodeBadInput)
		}
		for _, r := range []api.Rule{{Name: "UNLISTED", Notebook: notebook, Until: until}, {Name: "LISTED", Deny: true}} {
			if _, err := e.AddRule(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		rules, err := e.Rules(ctx)
		if err != nil || len(rules) != 2 || !rules[0].Deny || !rules[1].Until.Equal(until) || rules[1].Notebook != notebook {
			t.Errorf("%+v, %v", rules, err)
		}
		owner := e.session(1 << 29) // this process was a kernel's
		got := func() (listed, unlisted api.Code) {
			s, end := e.hookOf(t, notebook)
			defer end()
			_, err1 := s.Value(ctx, "LISTED")
			_, err2 := s.Value(ctx, "UNLISTED")
			return codeOf(err1), codeOf(err2)
		}
		if a, b := got(); a != api.CodeDenied || b != "" {
			t.Errorf("denied: %q, granted: %q", a, b)
		}
		was, err := owner.Revoke(ctx, api.RevokeRequest{Name: "UNLISTED"})
		if err != nil || len(was) != 1 {
			t.Errorf("%v, %v", was, err)
		}
		if _, err := owner.Revoke(ctx, api.RevokeRequest{Name: "LISTED"}); codeOf(err) != api.CodeNotFound {
			t.Errorf("a denial is no grant: %v", err)
		}
		if _, err := owner.Revoke(ctx, api.RevokeRequest{Name: "LISTED", Deny: true}); err != nil {
			t.Error(err)
		}
		if a, b := got(); a != "" || b != api.CodeConsent {
			t.Errorf("no longer denied: %q, no longer granted: %q", a, b)
		}
	})
}

func codeOf(err error) api.Code {
	if err == nil {
		return ""
	}
	return apiError(err).Code
}

func TestRefresh(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		values := map[string]string{}
		for _, name := range []secret.Name{"LISTED", "LISTED_TOO", "UNLISTED"} {
			values[string(name)] = e.set(t, name)
		}
		s, end := e.hookOf(t, filepath.Join(e.project, "a.ipynb"))
		if _, err := s.Consent(ctx, "UNLISTED", api.AnswerKernel, 0); err != nil {
			t.Fatal(err)
		}
		// step compares what has changed for a kernel that holds values.
		step := func(what string, fresh []string, gone []string) {
			t.Helper()
			var held []api.Held
			for _, name := range []string{"LISTED", "LISTED_TOO", "UNLISTED"} {
				if value, ok := values[name]; ok {
					sum := sha256.Sum256([]byte(value))
					held = append(held, api.Held{Name: name, Sum: sum[:]})
				}
			}
			r, err := s.Refresh(ctx, held)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			var got []string
			for name, v := range r.New {
				got = append(got, name)
				values[name] = string(v)
			}
			if diff := cmp.Diff(fresh, got); diff != "" {
				t.Errorf("%s: new %s", what, diff)
			}
			if diff := cmp.Diff(gone, r.Gone); diff != "" {
				t.Errorf("%s: gone %s", what, diff)
			}
			for _, name := range r.Gone {
				delete(values, name)
			}
		}
		step("nothing changed", nil, nil)
		// The kernel is this process's: changes come from another one.
		owner := e.session(1 << 29)
		want := e.set(t, "LISTED")
		step("a new value", []string{"LISTED"}, nil)
		if values["LISTED"] != want {
			t.Error("it is another value")
		}
		writeConfig(t, e.project, "LISTED", "ONE_MORE") // not approved yet
		e.set(t, "LISTED_TOO")
		step("nbhush.toml was edited", nil, nil)
		writeConfig(t, e.project, "LISTED", "LISTED_TOO")
		step("and is as it was", []string{"LISTED_TOO"}, nil)
		if _, err := owner.Revoke(ctx, api.RevokeRequest{Name: "UNLISTED"}); err != nil {
			t.Fatal(err)
		}
		step("revoked", nil, []string{"UNLISTED"})
		if _, err := owner.Delete(ctx, "LISTED_TOO"); err != nil {
			t.Fatal(err)
		}
		step("removed", nil, []string{"LISTED_TOO"})
		values["UNLISTED"] = "a guess"
		if v, err := s.Consent(ctx, "UNLISTED", api.AnswerOnce, 0); err != nil {
			t.Fatal(err)
		} else {
			values["UNLISTED"] = string(v.Reveal())
		}
		e.set(t, "UNLISTED")
		step("given once", nil, nil)
		if _, err := owner.Deny(ctx, filepath.Join(e.project, "nbhush.toml")); err != nil {
			t.Fatal(err)
		}
		step("denied", nil, []string{"LISTED"})
		if _, err := owner.AddRule(ctx, api.Rule{Name: "UNLISTED", Deny: true}); err != nil {
			t.Fatal(err)
		}
		step("denied what was given once", nil, []string{"UNLISTED"})
		if _, err := owner.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := s.Refresh(ctx, nil)
		wantCode(t, "locked", err, api.CodeLocked)
		end()
		got := strings.Join(e.noted(t, "LISTED"), ", ")
		if !strings.Contains(got, "rotate allow") || !strings.HasSuffix(got, "revoke allow") {
			t.Errorf("the audit log has %s", got)
		}
	})
}

// The epoch changes when the time of a grant is over.
func TestGrantOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grants.json")
	synctest.Test(t, func(t *testing.T) {
		var over atomic.Int32
		g := grants{list: policy.NewGrants(file), file: file, over: func() { over.Add(1) }, now: time.Now}
		for _, hours := range []time.Duration{3, 1} {
			until := time.Now().Add(hours * time.Hour)
			if _, err := g.add(policy.Grant{Name: "A", Notebook: filepath.Join(t.TempDir(), "a.ipynb"), Until: until}); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []int32{1, 1, 2} {
			time.Sleep(time.Hour + time.Second)
			synctest.Wait()
			if over := over.Load(); over != want {
				t.Errorf("told %d times, want %d", over, want)
			}
		}
		g.close()
	})
}

// A clock that is set, forward or back, counts within a minute: a date is a date.
func TestGrantOverBySetClock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grants.json")
	synctest.Test(t, func(t *testing.T) {
		var over atomic.Int32
		var set atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(set.Load())) }
		g := grants{list: policy.NewGrants(file), file: file, over: func() { over.Add(1) }, now: now}
		if _, err := g.add(policy.Grant{Name: "A", Notebook: filepath.Join(t.TempDir(), "a.ipynb"), Until: now().Add(24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			set, passes time.Duration
			want        int32
		}{
			{0, time.Hour, 0},
			{-48 * time.Hour, 25 * time.Hour, 0}, // the date is not there yet, although as much time has passed
			{0, lookEvery + time.Second, 1},
			{48 * time.Hour, time.Hour, 1}, // it is told once
		} {
			set.Store(int64(c.set))
			time.Sleep(c.passes)
			synctest.Wait()
			if over := over.Load(); over != c.want {
				t.Errorf("set by %v, after %v: told %d times, want %d", c.set, c.passes, over, c.want)
			}
		}
		g.close()
	})
}
