package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// commands are the requests of HTTP, as a session and a client.Client have them.
type commands interface {
	Status(context.Context) (api.Status, error)
	List(context.Context) ([]api.Secret, error)
	Set(context.Context, secret.Name, secret.Value) (api.SetResult, error)
	Delete(context.Context, secret.Name) (api.Secret, error)
	Get(context.Context, []secret.Name, string) (map[secret.Name]secret.Value, error)
	GetAll(context.Context, string) (map[secret.Name]secret.Value, error)
	Allow(context.Context, string, string) (api.Allowed, error)
	Deny(context.Context, string) (api.Allowed, error)
	Allowed(context.Context) ([]api.Allowed, error)
	AddRule(context.Context, api.Rule) (api.Rule, error)
	Rules(context.Context) ([]api.Rule, error)
	Revoke(context.Context, api.RevokeRequest) ([]api.Rule, error)
	Lock(context.Context) (api.Status, error)
	Unlock(context.Context, []byte) (api.Status, error)
	Stop(context.Context) (api.Status, error)
	Explain(context.Context, api.ExplainRequest) (api.Explanation, error)
}

// frames are the requests of a stream.
type frames interface {
	match.Finder
	Search(context.Context, []byte) (match.Result, error)
	RegisterKernel(context.Context, api.Kernel) (api.Grant, error)
	Value(context.Context, secret.Name) (secret.Value, error)
	Names(context.Context) ([]secret.Name, error)
	Again(context.Context, secret.Name, int) error
	Consent(context.Context, secret.Name, api.Answer, int) (secret.Value, error)
	Refresh(context.Context, []api.Held) (api.Refreshed, error)
	Profile(context.Context) (api.Profile, error)
	Refused(context.Context, api.Refused) error
}

// stream gives client.Stream the name that a session has for Get.
type stream struct{ *client.Stream }

func (s stream) Value(ctx context.Context, name secret.Name) (secret.Value, error) {
	return s.Get(ctx, name)
}

// env is the agent as a case meets it.
type env struct {
	commands
	*world
	stream func() (s frames, end func())
}

// onBoth runs the case on the agent in memory, and on a client over its socket.
func onBoth(t *testing.T, run func(*testing.T, env)) {
	t.Run("memory", func(t *testing.T) {
		w := newWorld(t)
		run(t, env{w.session(os.Getpid()), w, func() (frames, func()) {
			s := w.session(os.Getpid())
			return s, s.end
		}})
	})
	t.Run("socket", func(t *testing.T) {
		w := newWorld(t)
		w.listen(t)
		c := &client.Client{NoStart: true}
		t.Cleanup(c.Close)
		run(t, env{c, w, func() (frames, func()) {
			s, err := c.Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return stream{s}, func() { _ = s.Close() }
		}})
	})
}

func TestSetGetDelete(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		long := make([]byte, api.MaxValue)
		_, _ = rand.Read(long)
		for _, c := range []struct {
			name  secret.Name
			value []byte
			code  api.Code
			warns bool
		}{
			{"PLAIN", []byte(rand.Text()), "", false},
			{"SHORT", []byte(rand.Text()[:3]), "", true},
			{"BYTES", []byte("\x00\xff\n" + rand.Text()), "", false},
			{"LONGEST", long, "", true}, // the matcher looks at its beginning only
			{"TOO_LONG", append(bytes.Clone(long), 'x'), api.CodeBadInput, false},
			{"EMPTY", nil, api.CodeBadInput, false},
			{"BAD-NAME", []byte(rand.Text()), api.CodeBadInput, false},
			{"NBHUSH_HOME", []byte(rand.Text()), api.CodeBadInput, false},
		} {
			res, err := e.Set(ctx, c.name, secret.New(bytes.Clone(c.value)))
			wantCode(t, "set "+string(c.name), err, c.code)
			if c.code != "" {
				continue
			}
			if res.Name != string(c.name) || res.Replaced || res.Store != e.agent.store.Kind() || (res.Warning != "") != c.warns {
				t.Errorf("set %s: %+v", c.name, res)
			}
			got, err := e.Get(ctx, []secret.Name{c.name, c.name}, "/")
			if err != nil || len(got) != 1 || !got[c.name].Equal(secret.New(c.value)) {
				t.Errorf("get %s: %v, %v", c.name, got, err)
			}
		}
		again, err := e.Set(ctx, "PLAIN", secret.New([]byte(rand.Text())))
		if err != nil || !again.Replaced {
			t.Errorf("set again: %+v, %v", again, err)
		}
		list, err := e.List(ctx)
		var names []string
		for _, s := range list {
			names = append(names, s.Name)
		}
		if err != nil || cmp.Diff(names, []string{"BYTES", "LONGEST", "PLAIN", "SHORT"}) != "" {
			t.Errorf("list %v, %v", names, err)
		}
		if was, err := e.Delete(ctx, "PLAIN"); err != nil || was.Name != "PLAIN" {
			t.Errorf("delete: %+v, %v", was, err)
		}
		_, err = e.Delete(ctx, "PLAIN")
		wantCode(t, "delete again", err, api.CodeNotFound)
		_, err = e.Get(ctx, []secret.Name{"BYTES", "PLAIN", "NEVER"}, "/")
		wantCode(t, "get what is gone", err, api.CodeNotFound)
		if err == nil || !strings.Contains(err.Error(), "PLAIN, NEVER") {
			t.Errorf("the error does not name what is missing: %v", err)
		}
		_, err = e.Get(ctx, []secret.Name{"BAD-NAME"}, "/")
		wantCode(t, "get of a bad name", err, api.CodeBadInput)
	})
}

func TestFindKnowsWhatWasSet(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		s, end := e.stream()
		defer end()
		for i := range 5 {
			value := rand.Text()
			if _, err := e.Set(ctx, "CANARY", secret.New([]byte(value))); err != nil {
				t.Fatal(err)
			}
			text := strings.Repeat("x", i*100) + value + "\n"
			r, err := s.Find(ctx, []byte(text))
			want := []match.Span{{Start: i * 100, End: i*100 + len(value), Name: "CANARY"}}
			if err != nil || cmp.Diff(r.Spans, want) != "" {
				t.Errorf("after set %d: %v, %v; want %v", i, r.Spans, err, want)
			}
		}
		value := e.set(t, "CANARY")
		if _, err := e.Delete(ctx, "CANARY"); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Find(ctx, []byte(value)); err != nil || len(r.Spans) != 1 {
			t.Errorf("after delete a former value is not known: %v, %v", r.Spans, err)
		}
		if _, err := e.session().Forget(ctx, "CANARY"); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Find(ctx, []byte(value)); err != nil || len(r.Spans) != 0 {
			t.Errorf("after forget: %v, %v", r.Spans, err)
		}
	})
}

// Search finds looks beside known values; Find, which a hook asks on every
// output, does not.
func TestSearch(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		value := e.set(t, "CANARY")
		s, end := e.stream()
		defer end()
		text := []byte("a look and " + value)
		known := match.Span{Start: 11, End: len(text), Name: "CANARY"}
		if r, err := s.Find(ctx, text); err != nil || cmp.Diff(r.Spans, []match.Span{known}) != "" {
			t.Errorf("find: %v, %v", r.Spans, err)
		}
		if r, err := s.Search(ctx, text); err != nil || cmp.Diff(r.Spans, []match.Span{{Start: 2, End: 6, Name: "LOOK-1234"}, known}) != "" {
			t.Errorf("search: %v, %v", r.Spans, err)
		}
		if _, err := e.Lock(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := s.Search(ctx, text)
		wantCode(t, "search while locked", err, api.CodeLocked)
	})
}

func TestLock(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		value := e.set(t, "LISTED")
		s, end := e.stream()
		defer end()
		st, err := e.Lock(ctx)
		if err != nil || !st.Locked || st.Known != 0 || st.Secrets != 1 || st.Detail == "" {
			t.Errorf("lock: %+v, %v", st, err)
		}
		_, err = e.Get(ctx, []secret.Name{"LISTED"}, "/")
		wantCode(t, "get", err, api.CodeLocked)
		_, err = s.Value(ctx, "LISTED")
		wantCode(t, "get by stream", err, api.CodeLocked)
		_, err = s.Find(ctx, []byte(value))
		wantCode(t, "find", err, api.CodeLocked)
		var he interface{ Hint() string }
		if !errors.As(err, &he) || he.Hint() != "nbhush agent unlock" {
			t.Errorf("hint of %v", err)
		}
		_, err = e.Set(ctx, "NEW", secret.New([]byte(rand.Text())))
		wantCode(t, "set", err, api.CodeLocked)
		_, err = e.Delete(ctx, "LISTED")
		wantCode(t, "delete", err, api.CodeLocked)
		if list, err := e.List(ctx); err != nil || len(list) != 1 {
			t.Errorf("list: %v, %v", list, err)
		}
		st, err = e.Unlock(ctx, nil)
		if err != nil || st.Locked || st.Known != 1 || st.Detail != "" {
			t.Errorf("unlock: %+v, %v", st, err)
		}
		if r, err := s.Find(ctx, []byte(value)); err != nil || len(r.Spans) != 1 {
			t.Errorf("find after unlock: %v, %v", r, err)
		}
	})
}

func TestAllow(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		dir := e.writeProject(t, "LISTED")
		path := filepath.Join(dir, policy.FileName)
		value := e.set(t, "LISTED")

		_, err := e.GetAll(ctx, dir)
		wantCode(t, "get all before", err, api.CodeDenied)
		_, err = e.Allow(ctx, path, strings.Repeat("0", 64))
		wantCode(t, "allow other content", err, api.CodeBadInput)
		for _, bad := range []string{policy.FileName, filepath.Join(dir, "other.toml"), filepath.Join(dir, "none", policy.FileName)} {
			if _, err := e.Allow(ctx, bad, strings.Repeat("0", 64)); err == nil {
				t.Errorf("%s was allowed", bad)
			}
		}
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		got, err := e.Allow(ctx, filepath.Join(link, policy.FileName), policy.Hash(src))
		if err != nil || got.Path != path || cmp.Diff(got.Names, []string{"LISTED"}) != "" {
			t.Errorf("allow: %+v, %v", got, err)
		}
		values, err := e.GetAll(ctx, filepath.Join(dir, "."))
		if err != nil || len(values) != 1 || string(values["LISTED"].Reveal()) != value {
			t.Errorf("get all: %v, %v", values, err)
		}
		list, err := e.Allowed(ctx)
		if err != nil || len(list) != 2 {
			t.Errorf("allowed: %v, %v", list, err)
		}

		writeConfig(t, dir, "LISTED", "ONE_MORE")
		_, err = e.GetAll(ctx, dir)
		wantCode(t, "get all after a change", err, api.CodeDenied)
		e.approve(t, dir)
		_, err = e.GetAll(ctx, dir)
		wantCode(t, "get all with one missing", err, api.CodeNotFound)

		if was, err := e.Deny(ctx, path); err != nil || was.Path != path {
			t.Errorf("deny: %+v, %v", was, err)
		}
		_, err = e.Deny(ctx, path)
		wantCode(t, "deny again", err, api.CodeNotFound)
		_, err = e.GetAll(ctx, dir)
		wantCode(t, "get all after deny", err, api.CodeDenied)
		_, err = e.GetAll(ctx, t.TempDir())
		wantCode(t, "get all where nothing is", err, api.CodeNotFound)
		_, err = e.GetAll(ctx, "relative")
		wantCode(t, "get all of a relative directory", err, api.CodeBadInput)
	})
}

func TestKernel(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		listed := e.set(t, "LISTED")
		e.set(t, "UNLISTED")
		s, end := e.stream()
		g, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: e.project})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Values) != 1 || string(g.Values["LISTED"]) != listed || g.Config != filepath.Join(e.project, policy.FileName) {
			t.Errorf("grant of %d values, config %s", len(g.Values), g.Config)
		}
		if g.Notice == nil || g.Notice.Code != api.CodeNotFound || g.Notice.Mend != "nbhush set LISTED_TOO" {
			t.Errorf("notice %+v, want one of LISTED_TOO", g.Notice)
		}
		_, err = s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: "/"})
		wantCode(t, "a second kernel", err, api.CodeBadInput)

		// This process is a hook now: whatever it asks on any connection is its kernel's.
		for what, try := range map[string]func() error{
			"list":    func() error { _, err := e.List(ctx); return err },
			"set":     func() error { _, err := e.Set(ctx, "LISTED", secret.New([]byte(rand.Text()))); return err },
			"delete":  func() error { _, err := e.Delete(ctx, "LISTED"); return err },
			"allow":   func() error { _, err := e.Allow(ctx, "/"+policy.FileName, ""); return err },
			"deny":    func() error { _, err := e.Deny(ctx, filepath.Join(e.project, policy.FileName)); return err },
			"allowed": func() error { _, err := e.Allowed(ctx); return err },
			"lock":    func() error { _, err := e.Lock(ctx); return err },
			"unlock":  func() error { _, err := e.Unlock(ctx, nil); return err },
			"stop":    func() error { _, err := e.Stop(ctx); return err },
			"get":     func() error { _, err := e.Get(ctx, []secret.Name{"LISTED", "UNLISTED"}, "/"); return err },
			"rules":   func() error { _, err := e.Rules(ctx); return err },
			"rule":    func() error { _, err := e.AddRule(ctx, api.Rule{Name: "UNLISTED", Notebook: "/a.ipynb"}); return err },
			"revoke":  func() error { _, err := e.Revoke(ctx, api.RevokeRequest{Name: "UNLISTED", Deny: true}); return err },
			"explain": func() error { _, err := e.Explain(ctx, api.ExplainRequest{Name: "UNLISTED", Dir: "/"}); return err },
			"value":   func() error { _, err := s.Value(ctx, "NOT_STORED"); return err },
		} {
			wantCode(t, what, try(), api.CodeDenied)
		}
		v, err := s.Value(ctx, "LISTED")
		if err != nil || string(v.Reveal()) != listed {
			t.Errorf("value: %v", err)
		}
		values, err := e.Get(ctx, []secret.Name{"LISTED"}, "/nowhere")
		if err != nil || string(values["LISTED"].Reveal()) != listed {
			t.Errorf("get: %v", err)
		}
		names, err := s.Names(ctx)
		if err != nil || cmp.Diff(names, []secret.Name{"LISTED", "LISTED_TOO"}) != "" {
			t.Errorf("names: %v, %v", names, err)
		}
		if st, err := e.Status(ctx); err != nil || st.Kernels != 1 {
			t.Errorf("status: %+v, %v", st, err)
		}
		// The value changes while the kernel may print the old one.
		e.set(t, "LISTED")
		if r, err := s.Find(ctx, []byte(listed)); err != nil || len(r.Spans) != 1 {
			t.Errorf("the replaced value: %v, %v", r.Spans, err)
		}
		end()
	})
}

// Whatever a value depends on changes the epoch before the change is confirmed.
func TestEpoch(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	w.set(t, "LISTED")
	c := &client.Client{NoStart: true}
	t.Cleanup(c.Close)
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	ctx, path := t.Context(), filepath.Join(w.project, policy.FileName)
	for _, step := range []struct {
		what    string
		do      func() error
		changes bool
	}{
		{"get", func() error { _, err := s.Get(ctx, "LISTED"); return err }, false},
		{"find", func() error { _, err := s.Find(ctx, []byte("text")); return err }, false},
		{"the same value", func() error {
			v, err := s.Get(ctx, "LISTED")
			if err == nil {
				_, err = c.Set(ctx, "LISTED", v)
			}
			return err
		}, false},
		{"set", func() error { _, err := c.Set(ctx, "LISTED", secret.New([]byte(rand.Text()))); return err }, true},
		{"a value changed by another program", func() error {
			if err := w.store.Set("LISTED", secret.New([]byte(rand.Text()))); err != nil {
				return err
			}
			w.values.mu.Lock()
			w.values.readAgain()
			w.values.mu.Unlock()
			w.settle()
			return nil
		}, true},
		{"deny", func() error { _, err := c.Deny(ctx, path); return err }, true},
		{"allow", func() error { w.approve(t, w.project); return nil }, true},
		{"lock", func() error { _, err := c.Lock(ctx); return err }, true},
		{"unlock", func() error { _, err := c.Unlock(ctx, nil); return err }, true}, // kernels that could not ask for what changed do so now
		{"rm", func() error { _, err := c.Delete(ctx, "LISTED"); return err }, true},
	} {
		before, known := s.Epoch()
		if !known {
			t.Fatalf("%s: the epoch is not known", step.what)
		}
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if after, known := s.Epoch(); !known || (after != before) != step.changes {
			t.Errorf("%s: changed the epoch: %v", step.what, after != before)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, known := s.Epoch(); known {
		t.Error("a closed stream knows the epoch")
	}
}

// What a hook served again is in the audit log; only a hook may say such a thing.
func TestAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		value := e.set(t, "LISTED")
		s, end := e.stream()
		defer end()
		wantCode(t, "before it is a hook", s.Again(t.Context(), "LISTED", 3), api.CodeDenied)
		if _, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: e.project}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "again", s.Again(t.Context(), "LISTED", 4711), "")
		wantCode(t, "once", s.Again(t.Context(), "LISTED", 1), "")
		wantCode(t, "a value for a name", s.Again(t.Context(), secret.Name(value), 3), "")
		src, err := os.ReadFile(e.home.Audit())
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range []string{`"reason":"4711 times more`, `"reason":"once more`} {
			if n := bytes.Count(src, []byte(reason)); n != 1 {
				t.Errorf("%d lines with %s", n, reason)
			}
		}
		if bytes.Contains(src, []byte(value)) {
			t.Error("the log holds the value")
		}
	})
}

func TestReplacedValueIsForgottenAfterTheLastKernel(t *testing.T) {
	w := newWorld(t)
	old := w.set(t, "LISTED")
	hook := w.session(10)
	if _, err := hook.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	w.set(t, "LISTED")
	if _, err := w.session().Forget(t.Context(), "LISTED"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		r, err := w.session().Find(t.Context(), []byte(old))
		if err != nil || len(r.Spans) != want {
			t.Errorf("%v, %v; want %d spans", r.Spans, err, want)
		}
		hook.end()
	}
}

// The tree of every case: 30 is the hook of a kernel in the project, 40 below
// it, 50 below 40; 60 is nobody's.
func TestWhoIsAKernel(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.set(t, "LISTED")
	w.set(t, "OTHER")
	other := w.writeProject(t, "LISTED", "OTHER")
	w.approve(t, other)

	before := w.session(50, 40, 30) // connected before the hook registered
	hook := w.session(30)
	if _, err := hook.RegisterKernel(ctx, api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	below := w.session(50, 40, 30)
	outside := w.session(60)
	for _, c := range []struct {
		who  string
		s    *session
		name secret.Name
		want api.Code
	}{
		{"the hook", hook, "LISTED", ""},
		{"the hook", hook, "OTHER", api.CodeDenied},
		{"a grandchild", below, "LISTED", ""},
		{"a grandchild", below, "OTHER", api.CodeDenied},
		{"one that connected before", before, "OTHER", api.CodeDenied},
		{"a stranger to the kernel", outside, "OTHER", ""},
	} {
		_, err := c.s.Value(ctx, c.name)
		wantCode(t, c.who+", "+string(c.name), err, c.want)
	}

	// A kernel inside the kernel asks for a wider project, and gets what both may have.
	inner := w.session(40, 30)
	g, err := inner.RegisterKernel(ctx, api.Kernel{Dir: other})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Values) != 1 || g.Values["LISTED"] == nil || g.Notice == nil || g.Notice.Code != api.CodeDenied {
		t.Errorf("inner grant: %d values, notice %v", len(g.Values), g.Notice)
	}
	_, err = w.session(50, 40, 30).Value(ctx, "OTHER")
	wantCode(t, "below the inner kernel", err, api.CodeDenied)

	// When the kernel ends, its old connections are nobody's, not the owner's.
	inner.end()
	hook.end()
	_, err = below.Value(ctx, "OTHER")
	wantCode(t, "after the end, an old connection", err, api.CodeDenied)
	_, err = below.List(ctx)
	wantCode(t, "after the end, an old connection's list", err, api.CodeDenied)
	if st, err := w.session().Status(ctx); err != nil || st.Kernels != 0 {
		t.Errorf("status: %+v, %v", st, err)
	}
}

// A kernel that runs already is served by a process beside it: it is granted
// nothing at once, and both are that kernel from then on.
func TestAttachedKernel(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.set(t, "LISTED")
	w.set(t, "UNLISTED")
	running := ancestors(t) // this process is the kernel
	inside := &session{agent: w.agent, line: running}
	_, err := inside.Value(ctx, "UNLISTED")
	wantCode(t, "before", err, "")

	info := api.Kernel{Dir: w.project, Argv0: "python", Attached: true, PID: running[0].PID}
	beside := w.session(30)
	g, err := beside.RegisterKernel(ctx, info)
	if err != nil || len(g.Values) > 0 {
		t.Fatalf("%d values, %v", len(g.Values), err)
	}
	below := &session{agent: w.agent, line: append(w.session(1 << 29).line[:1:1], running...)}
	for who, s := range map[string]*session{"the process beside": beside, "the kernel": inside, "below it": below} {
		_, err := s.Value(ctx, "LISTED")
		wantCode(t, who+", LISTED", err, "")
		_, err = s.Value(ctx, "UNLISTED")
		wantCode(t, who+", UNLISTED", err, api.CodeDenied)
	}
	log, err := os.ReadFile(w.home.Audit())
	if err != nil || strings.Count(string(log), g.ID) != 7 || !strings.Contains(string(log), `"attached to python in `) {
		t.Errorf("the audit log lacks who asked: %s, %v", log, err)
	}

	// Somebody else's kernel is not attached to; the same server may come back.
	_, err = w.session(40).RegisterKernel(ctx, info)
	wantCode(t, "a second one", err, api.CodeDenied)
	again := w.session(30)
	_, err = again.RegisterKernel(ctx, info)
	wantCode(t, "the same again", err, "")
	again.end()
	_, err = w.session(50).RegisterKernel(ctx, api.Kernel{Dir: w.project, Attached: true, PID: 1 << 29})
	wantCode(t, "a process that is gone", err, api.CodeBadInput)
	ordinary := w.session(60)
	_, err = ordinary.RegisterKernel(ctx, api.Kernel{Dir: w.project, PID: running[0].PID})
	wantCode(t, "a pid without being attached", err, "")
	ordinary.end()

	// Another agent, after a crash of the first, knows them.
	next := newAgent(parts{
		store: w.store, index: w.index, approvals: w.approvals, audit: w.journal, log: w.log, ghosts: w.kernels.file.path,
	})
	defer next.close()
	for _, k := range next.kernels.live {
		t.Errorf("a kernel is remembered whose server is gone: %+v", k.info)
	}
	beside.end()
	_, err = (&session{agent: w.agent, line: running}).Value(ctx, "UNLISTED")
	wantCode(t, "after the end", err, "")
}

func TestUnapprovedKernelGetsANotice(t *testing.T) {
	w := newWorld(t)
	w.set(t, "LISTED")
	empty := t.TempDir()
	unapproved := w.writeProject(t, "LISTED")
	broken := w.writeProject(t)
	if err := os.WriteFile(filepath.Join(broken, policy.FileName), []byte("[secrets\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name, dir string
		want      api.Code
	}{
		{"nothing is asked for", empty, ""},
		{"unapproved", unapproved, api.CodeDenied},
		{"broken", broken, api.CodeBadInput},
		{"gone", filepath.Join(empty, "gone"), api.CodeBadInput},
	} {
		s := w.session(100 + i)
		g, err := s.RegisterKernel(t.Context(), api.Kernel{Dir: c.dir})
		if err != nil || len(g.Values) != 0 {
			t.Errorf("%s: %d values, %v", c.name, len(g.Values), err)
		}
		if c.want == "" && g.Notice != nil || c.want != "" && (g.Notice == nil || g.Notice.Code != c.want || g.Notice.Message == "") {
			t.Errorf("%s: notice %+v, want code %q", c.name, g.Notice, c.want)
		}
		_, err = s.Value(t.Context(), "LISTED")
		if err == nil {
			t.Errorf("%s: a value was served", c.name)
		}
		s.end()
	}
	s := w.session(9)
	_, err := s.RegisterKernel(t.Context(), api.Kernel{API: api.Version + 1, Dir: empty})
	wantCode(t, "a newer hook", err, api.CodeVersion)
	_, err = s.RegisterKernel(t.Context(), api.Kernel{Dir: "relative"})
	wantCode(t, "a relative directory", err, api.CodeBadInput)
}

func TestGhostsAreKernels(t *testing.T) {
	w := newWorld(t)
	w.set(t, "UNLISTED")
	self := &session{agent: w.agent, line: ancestors(t)}
	if _, err := self.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	gone := w.session(1 << 29) // a hook that no process is
	if _, err := gone.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}

	// Another agent, after a crash of the first.
	next := newAgent(parts{
		store: w.store, index: w.index, approvals: w.approvals, audit: w.journal, log: w.log, ghosts: w.kernels.file.path,
	})
	next.values.open()
	defer next.close()
	again := &session{agent: next, line: ancestors(t)}
	_, err := again.Value(t.Context(), "UNLISTED")
	wantCode(t, "before the hook came back", err, api.CodeDenied)
	if n := len(next.kernels.live); n != 1 {
		t.Errorf("%d kernels are remembered, want 1", n)
	}
	if _, err := again.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	if n := len(next.kernels.live); n != 1 || next.kernels.live[0].outer != nil {
		t.Errorf("%d kernels after the hook came back, want itself alone", n)
	}
	again.end()
	if _, err := (&session{agent: next, line: ancestors(t)}).Value(t.Context(), "UNLISTED"); err != nil {
		t.Errorf("after the hook ended: %v", err)
	}
}

func TestStoreThatFails(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code api.Code
	}{
		{"locked", store.ErrLocked, api.CodeLocked},
		{"broken", errors.New("the bus is gone"), api.CodeStore},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			value := w.set(t, "LISTED")
			clock := time.Now()
			s := w.session()
			if _, err := s.Lock(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.values.now = func() time.Time { return clock }
			w.store.onGet.Store(failing(c.err))
			_, err := s.Unlock(t.Context(), nil)
			wantCode(t, "unlock", err, api.CodeLocked)
			_, err = s.Find(t.Context(), []byte(value))
			wantCode(t, "find", err, api.CodeLocked)
			_, err = s.Value(t.Context(), "LISTED")
			wantCode(t, "get", err, c.code)
			st, err := s.Status(t.Context())
			if err != nil || !st.Locked || !strings.Contains(st.Detail, c.err.Error()) {
				t.Errorf("status: %+v, %v", st, err)
			}
			// The user opened the keyring by other means: nothing need be said to the agent.
			w.store.onGet.Store(nil)
			clock = clock.Add(2 * retryEach)
			if r, err := s.Find(t.Context(), []byte(value)); err != nil || len(r.Spans) != 1 {
				t.Errorf("find after the store came back: %v, %v", r.Spans, err)
			}
		})
	}
}

func TestChangesBesideTheAgent(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	s := w.session()
	w.set(t, "LISTED")
	clock := time.Now()
	w.values.mu.Lock()
	w.values.now = func() time.Time { return clock }
	w.values.mu.Unlock()
	outside := func(name secret.Name) string {
		t.Helper()
		text := rand.Text()
		if err := w.store.Set(name, secret.New([]byte(text))); err != nil {
			t.Fatal(err)
		}
		return text
	}

	changed := outside("LISTED")
	clock = clock.Add(freshFor)
	v, err := s.Value(ctx, "LISTED")
	if err != nil || string(v.Reveal()) != changed {
		t.Errorf("a value changed by another program is not served: %v", err)
	}
	if r, err := s.Find(ctx, []byte(changed)); err != nil || len(r.Spans) != 1 {
		t.Errorf("a value that was served is not known: %v, %v", r.Spans, err)
	}

	added := outside("ADDED")
	clock = clock.Add(reloadEach + 1)
	if _, err := s.Find(ctx, nil); err != nil { // begins to read again, and does not wait
		t.Fatal(err)
	}
	w.settle()
	if r, err := s.Find(ctx, []byte(added)); err != nil || len(r.Spans) != 1 {
		t.Errorf("a value added by another program is not known: %v, %v", r.Spans, err)
	}
	if err := w.store.Delete("ADDED"); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(freshFor)
	_, err = s.Value(ctx, "ADDED")
	wantCode(t, "a value removed by another program", err, api.CodeNotFound)
}

// settle waits until the builder has ended.
func (w *world) settle() {
	for {
		w.values.mu.Lock()
		building, built := w.values.building, w.values.built
		w.values.mu.Unlock()
		if !building {
			return
		}
		<-built
	}
}

func TestFindWaitsForTheWholeSet(t *testing.T) {
	w := newWorld(t)
	value := w.set(t, "LISTED")
	s := w.session()
	if _, err := s.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	hold, reached := make(chan struct{}), make(chan struct{}, 100)
	stop := func() error { reached <- struct{}{}; <-hold; return nil }
	w.store.onGet.Store(&stop)
	w.values.open()
	<-reached // the store is being read
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if r, err := s.Find(ctx, []byte(value)); err == nil {
		t.Errorf("Find answered from an incomplete set: %v", r)
	}
	close(hold)
	if r, err := s.Find(t.Context(), []byte(value)); err != nil || len(r.Spans) != 1 {
		t.Errorf("%v, %v", r.Spans, err)
	}
}

func TestWhatCannotBeNotedIsNotServed(t *testing.T) {
	w := newWorld(t)
	w.set(t, "LISTED")
	w.audit = brokenLog{}
	_, err := w.session().Value(t.Context(), "LISTED")
	wantCode(t, "get", err, api.CodeInternal)
	hook := w.session(7)
	g, err := hook.RegisterKernel(t.Context(), api.Kernel{Dir: w.project})
	if err == nil || len(g.Values) != 0 {
		t.Errorf("a kernel got %d values, %v", len(g.Values), err)
	}
}

func TestAuditHoldsNoValue(t *testing.T) {
	w := newWorld(t)
	value := w.set(t, "LISTED")
	if _, err := w.session().Value(t.Context(), "LISTED"); err != nil {
		t.Fatal(err)
	}
	hook := w.session(7)
	if _, err := hook.RegisterKernel(t.Context(), api.Kernel{Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	_, err := hook.Value(t.Context(), "UNLISTED")
	wantCode(t, "get", err, api.CodeDenied)
	_, err = hook.Value(t.Context(), secret.Name(value)) // pasted where the name belongs
	wantCode(t, "get", err, api.CodeDenied)
	_, err = w.session().Value(t.Context(), secret.Name(value))
	wantCode(t, "get", err, api.CodeNotFound)
	src, err := os.ReadFile(w.home.Audit())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"set"`, `"get"`, `"kernel"`, `"deny"`, `"LISTED"`, `"UNLISTED"`} {
		if !bytes.Contains(src, []byte(want)) {
			t.Errorf("no %s in the audit log", want)
		}
	}
	if bytes.Contains(src, []byte(value)) {
		t.Error("the audit log holds a value")
	}
}

// bulk is a store that gives everything at one look.
type bulk struct {
	store.Store
	looks int
}

func (b *bulk) All() (map[secret.Name]secret.Value, error) {
	b.looks++
	all := map[secret.Name]secret.Value{}
	names, err := b.Names()
	for _, name := range names {
		if all[name], err = b.Store.Get(name); err != nil {
			break
		}
	}
	return all, err
}

func (b *bulk) Get(secret.Name) (secret.Value, error) {
	return secret.Value{}, errors.New("one by one")
}

func TestStoreThatGivesAllAtOnce(t *testing.T) {
	w := newWorld(t)
	text := rand.Text()
	b := &bulk{Store: store.NewMemory()}
	if err := b.Set("LISTED", secret.New([]byte(text))); err != nil {
		t.Fatal(err)
	}
	v := newValues(b, b.Names, func() bool { return false }, w.log)
	v.open()
	defer v.lock()
	r, err := v.Find(t.Context(), []byte(text))
	if err != nil || len(r.Spans) != 1 || b.looks != 1 {
		t.Errorf("%v, %v after %d looks", r.Spans, err, b.looks)
	}
}

// A value that was typed where its name belongs is written down nowhere, and no error repeats it.
func TestValueForItsName(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	value := "AKIA" + rand.Text()
	if _, err := w.session().Set(ctx, "LISTED", secret.New([]byte(value))); err != nil {
		t.Fatal(err)
	}
	w.settle()
	name := secret.Name(value)
	_, set := w.session().Set(ctx, name, secret.New([]byte(rand.Text())))
	_, rule := w.session().AddRule(ctx, api.Rule{Name: value, Deny: true})
	_, _, get := w.session().get(ctx, []secret.Name{name}, w.project, policy.Wanted{})
	wantCode(t, "set", set, api.CodeBadInput)
	wantCode(t, "deny", rule, api.CodeBadInput)
	wantCode(t, "get", get, api.CodeNotFound)
	_, remove := w.session().Delete(ctx, name)
	wantCode(t, "remove", remove, api.CodeNotFound)
	in := w.session(20)
	if _, err := in.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	_, kernel := in.Delete(ctx, name)
	wantCode(t, "in a kernel", kernel, api.CodeDenied)
	for what, err := range map[string]error{"set": set, "deny": rule, "get": get, "remove": remove, "in a kernel": kernel} {
		if err != nil && strings.Contains(fmt.Sprintf("%+v", err), value) {
			t.Errorf("%s: the error holds the value", what)
		}
	}
	if err := filepath.WalkDir(w.home.State, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(value)) {
			t.Errorf("%s holds the value", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
