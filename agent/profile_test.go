package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
)

// lastNoted is the last entry of the audit log.
func (w *world) lastNoted(t testing.TB) (last audit.Entry) {
	t.Helper()
	if err := audit.Read(w.home.Audit(), func(e audit.Entry) error { last = e; return nil }); err != nil {
		t.Fatal(err)
	}
	return last
}

// profiled makes an approved project with profiles, and the secrets that it names.
func (w *world) profiled(t testing.TB, more string) (dir string, values map[string]string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.edit(t, dir, `[secrets]
DB = {}
LISTED = {}
[profiles]
default = "dev"
[profiles.dev.secrets]
DB = "store://DEV_DB"
[profiles.prod.secrets]
DB = "store://PROD_DB"
`+more)
	w.approve(t, dir)
	values = map[string]string{}
	for _, name := range []secret.Name{"DB", "DEV_DB", "PROD_DB", "LISTED", "UNLISTED"} {
		values[string(name)] = w.set(t, name)
	}
	return dir, values
}

func (w *world) edit(t testing.TB, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, policy.FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t testing.TB, what string, v secret.Value, err error, want string) {
	t.Helper()
	if err != nil || string(v.Reveal()) != want {
		t.Errorf("%s: another value, %v", what, err)
	}
}

func TestProfileOfASession(t *testing.T) {
	onBoth(t, func(t *testing.T, e env) {
		ctx := t.Context()
		dir, values := e.profiled(t, "")
		s, end := e.stream()
		g, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir, Profile: "prod"})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Values) != 0 || g.Profile != "prod" || g.Notice == nil || g.Notice.Code != api.CodeConsent || !strings.Contains(g.Notice.Message, "without DB, LISTED: your yes is needed in the profile prod") {
			t.Errorf("%d values, profile %q, notice %+v", len(g.Values), g.Profile, g.Notice)
		}
		if noted := e.noted(t, "DB"); len(noted) != 1 { // that it was set
			t.Errorf("what nobody asked for was noted: %v", noted)
		}
		on, err := s.Profile(ctx)
		if diff := cmp.Diff(api.Profile{Profile: "prod", By: "by NBHUSH_PROFILE", Known: []string{"dev", "prod"}}, on); diff != "" || err != nil {
			t.Error(diff, err)
		}
		asked := func(name secret.Name, session bool) {
			t.Helper()
			_, err := s.Value(ctx, name)
			var asks *api.Error
			if !errors.As(err, &asks) || asks.Code != api.CodeConsent || asks.Name != string(name) || asks.Profile != "prod" || asks.Session != session {
				t.Errorf("%s: %+v", name, err)
			}
		}
		asked("DB", true)
		asked("UNLISTED", false)

		// Another profile is asked for by name, and one that asks needs the same yes.
		v, err := s.Value(ctx, "dev/DB")
		wantValue(t, "of dev", v, err, values["DEV_DB"])
		_, err = s.Value(ctx, "pord/DB")
		wantCode(t, "an unknown profile", err, api.CodeDenied)
		if err == nil || !strings.Contains(err.Error(), `no profile "pord": it has dev, prod`) {
			t.Error(err)
		}
		v, err = s.Consent(ctx, "DB", api.AnswerOnce, 0)
		wantValue(t, "once", v, err, values["PROD_DB"])
		asked("DB", true)
		v, err = s.Consent(ctx, "DB", api.AnswerKernel, 0)
		wantValue(t, "for the session", v, err, values["PROD_DB"])
		v, err = s.Value(ctx, "LISTED")
		wantValue(t, "another name of the profile", v, err, values["LISTED"])
		asked("UNLISTED", false)
		names, err := s.Names(ctx)
		if diff := cmp.Diff([]secret.Name{"DB", "LISTED"}, names); diff != "" || err != nil {
			t.Error(diff, err)
		}

		// What is held follows its own profile.
		sum := func(name string) []byte { s := sha256.Sum256([]byte(values[name])); return s[:] }
		r, err := s.Refresh(ctx, []api.Held{{Name: "DB", Sum: sum("PROD_DB")}, {Name: "dev/DB", Sum: sum("DEV_DB")}, {Name: "dev/LISTED", Sum: sum("DB")}})
		if err != nil || len(r.Gone) != 0 || len(r.New) != 1 || string(r.New["dev/LISTED"]) != values["LISTED"] {
			t.Errorf("%d new, gone %v, %v", len(r.New), r.Gone, err)
		}
		end()
	})
}

// A session keeps its profile when the branch changes, and with the next agent.
func TestProfileIsChosenOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	dir, values := w.profiled(t, "[profiles.prod]\nconsent = \"none\"\nbranch = \"main\"\n")
	head := filepath.Join(dir, ".git", "HEAD")
	if err := os.Mkdir(filepath.Dir(head), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(branch string) {
		t.Helper()
		if err := os.WriteFile(head, []byte("ref: refs/heads/"+branch+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("main")
	s := w.session(20)
	g, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir})
	if err != nil || g.Profile != "prod" || string(g.Values["DB"]) != values["PROD_DB"] {
		t.Errorf("profile %q, %v, %v", g.Profile, g.Notice, err)
	}
	write("other")
	v, err := s.Value(ctx, "DB")
	wantValue(t, "after a checkout", v, err, values["PROD_DB"])
	next := w.session(30)
	if g, err := next.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir}); err != nil || g.Profile != "dev" {
		t.Errorf("the next kernel: profile %q, %v", g.Profile, err)
	}
	told := w.session(40)
	if g, err := told.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir, Profile: "prod"}); err != nil || g.Profile != "prod" {
		t.Errorf("one that says what it had: profile %q, %v", g.Profile, err)
	}
	unknown := w.session(50)
	if g, err := unknown.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir, Profile: "none"}); err != nil || len(g.Values) != 0 || g.Notice == nil || g.Notice.Code != api.CodeDenied {
		t.Errorf("an unknown one: %d values, %v, %v", len(g.Values), g.Notice, err)
	}
}

// A kernel inside a kernel gets no profile that the outer one would be asked for.
func TestNestedProfile(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	dir, values := w.profiled(t, "")
	outer, inner := w.session(20), w.session(22, 20)
	if _, err := outer.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	v, err := outer.Value(ctx, "DB")
	wantValue(t, "outer", v, err, values["DEV_DB"])
	if g, err := inner.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir, Profile: "prod"}); err != nil || len(g.Values) != 0 {
		t.Errorf("inner: %d values, %v", len(g.Values), err)
	}
	for _, name := range []secret.Name{"DB", "prod/DB", "LISTED"} {
		_, err := inner.Value(ctx, name)
		wantCode(t, "inner "+string(name), err, api.CodeDenied)
	}
	_, err = inner.Consent(ctx, "DB", api.AnswerKernel, 0)
	wantCode(t, "inner says yes", err, api.CodeDenied)
	below := w.session(25, 22, 20)
	_, _, err = below.getAll(ctx, dir, policy.Wanted{Flag: "prod"})
	wantCode(t, "nbhush run --profile prod in its cell", err, api.CodeDenied)
	_, _, err = w.session(21, 20).getAll(ctx, dir, policy.Wanted{Env: "prod"})
	wantCode(t, "nbhush run in a cell with NBHUSH_PROFILE", err, api.CodeDenied)
	if e := w.lastNoted(t); e.Verdict != audit.Denied || !strings.HasSuffix(e.Reason, "profile prod") {
		t.Errorf("noted: %+v", e)
	}
}

// One grant for one get serves one of many that ask at once.
func TestGrantForOneGet(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	value := w.set(t, "UNLISTED")
	notebook := filepath.Join(w.project, "a.ipynb")
	hook := w.session(20)
	if _, err := hook.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: w.project, Notebook: notebook}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.session().AddRule(ctx, api.Rule{Name: "UNLISTED", Notebook: notebook, Once: true}); err != nil {
		t.Fatal(err)
	}
	// A store that fails uses nothing up.
	w.values.lock()
	_, err := hook.Value(ctx, "UNLISTED")
	wantCode(t, "locked", err, api.CodeLocked)
	w.values.open()
	if rules, err := w.session().Rules(ctx); len(rules) != 1 || err != nil {
		t.Fatalf("after a failure: %v, %v", rules, err)
	}

	var asking sync.WaitGroup
	got := make(chan string, 20)
	for i := range cap(got) {
		asking.Go(func() {
			if v, err := w.session(100+i, 20).Value(ctx, "UNLISTED"); err == nil {
				got <- string(v.Reveal())
			}
		})
	}
	asking.Wait()
	if close(got); len(got) != 1 || <-got != value {
		t.Errorf("%d were served by a grant for one", len(got))
	}
	if rules, err := w.session().Rules(ctx); len(rules) != 0 || err != nil {
		t.Errorf("left: %v, %v", rules, err)
	}
	// The kernel keeps what it got, and gets no new value by it.
	sum := sha256.Sum256([]byte(value))
	if r, err := hook.Refresh(ctx, []api.Held{{Name: "UNLISTED", Sum: sum[:]}}); err != nil || len(r.Gone)+len(r.New) != 0 {
		t.Errorf("%+v, %v", r.Gone, err)
	}
	w.set(t, "UNLISTED")
	if r, err := hook.Refresh(ctx, []api.Held{{Name: "UNLISTED", Sum: sum[:]}}); err != nil || len(r.Gone)+len(r.New) != 0 {
		t.Errorf("%+v, %d new, %v", r.Gone, len(r.New), err)
	}
	for _, bad := range []api.Rule{
		{Name: "A", Notebook: notebook, Once: true, Deny: true},
		{Profile: "prod", Notebook: notebook, Once: true},
		{Profile: "prod"},
		{Profile: "prod", Deny: true},
		{Name: "A", Profile: "a b", Notebook: notebook},
	} {
		if _, err := w.session().AddRule(ctx, bad); err == nil {
			t.Errorf("%+v was kept", bad)
		}
	}
}

// A file with rules that is removed below an approved one leaves no way to the
// latter, and one that is put before it none to what was granted.
func TestRemovedRules(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.set(t, "LISTED")
	deep := filepath.Join(w.project, "deep")
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	w.edit(t, deep, "[secrets]\n[[rules]]\ndeny = \"LISTED\"\n")
	w.approve(t, deep)
	s := w.session(20)
	if _, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: deep}); err != nil {
		t.Fatal(err)
	}
	denied := func(what, why string) {
		t.Helper()
		_, err := s.Value(ctx, "LISTED")
		wantCode(t, what, err, api.CodeDenied)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied("by the rule", "nbhush.toml:2 denies LISTED")
	if err := os.Remove(filepath.Join(deep, policy.FileName)); err != nil {
		t.Fatal(err)
	}
	denied("without the file", "is gone")
	if _, err := w.session().Deny(ctx, filepath.Join(deep, policy.FileName)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Value(ctx, "LISTED")
	wantCode(t, "after the user forgot it", err, "")

	w.edit(t, w.project, "[secrets]\n[[rules]]\ndeny = \"LISTED\"\n")
	w.approve(t, w.project)
	notebook := filepath.Join(deep, "a.ipynb")
	if _, err := w.session().AddRule(ctx, api.Rule{Name: "LISTED", Notebook: notebook}); err != nil {
		t.Fatal(err)
	}
	s = w.session(30)
	if _, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: deep, Notebook: notebook}); err != nil {
		t.Fatal(err)
	}
	denied("by the rule above", "nbhush.toml:2 denies LISTED")
	w.edit(t, deep, "[secrets]\nLISTED = {}\n")
	denied("with a file before it", "deep/nbhush.toml is not approved")
	w.approve(t, deep)
	_, err = s.Value(ctx, "LISTED")
	wantCode(t, "after the user approved that", err, "")
}

// An approved secretspec.toml beside the file with rules is no way past them either.
func TestRemovedRulesBesideSpec(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.set(t, "LISTED")
	spec := filepath.Join(w.project, policy.SecretspecName)
	src := []byte("[project]\nname = \"p\"\nrevision = \"1.0\"\n[profiles.default]\nLISTED = { required = true }\n")
	if err := os.WriteFile(spec, src, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.session().Allow(ctx, spec, policy.Hash(src)); err != nil {
		t.Fatal(err)
	}
	w.edit(t, w.project, "[secrets]\nLISTED = {}\n[[rules]]\ndeny = \"LISTED\"\n")
	w.approve(t, w.project)
	s := w.session(20)
	if _, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: w.project}); err != nil {
		t.Fatal(err)
	}
	for _, why := range []string{"nbhush.toml:3 denies LISTED", "is gone"} {
		_, err := s.Value(ctx, "LISTED")
		wantCode(t, why, err, api.CodeDenied)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v, want %s", err, why)
		}
		_ = os.Remove(filepath.Join(w.project, policy.FileName))
	}
	if _, err := w.session().Deny(ctx, filepath.Join(w.project, policy.FileName)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Value(ctx, "LISTED")
	wantCode(t, "after the user forgot the rules", err, "")
}

// TestLeastPrivilege is the list of who must not get a value, each denied and in
// the audit log. Another user of the machine is in TestAnotherUserIsRefused, a web
// page in TestWebPagesAreRefused, a wrong or old token in package inject.
func TestLeastPrivilege(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.set(t, "LISTED")
	w.set(t, "SECRET")
	mine, other := filepath.Join(w.project, "a.ipynb"), w.writeProject(t, "LISTED")
	if _, err := w.session().AddRule(ctx, api.Rule{Name: "SECRET", Notebook: mine}); err != nil {
		t.Fatal(err)
	}
	register := func(pid int, dir, notebook string, above ...int) *session {
		t.Helper()
		s := w.session(append([]int{pid}, above...)...)
		if _, err := s.RegisterKernel(ctx, api.Kernel{API: api.Version, Dir: dir, Notebook: notebook, Spec: "trusted"}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	right := register(20, w.project, mine)
	if _, err := right.Value(ctx, "SECRET"); err != nil {
		t.Fatal(err)
	}
	dead := register(30, w.project, mine)
	child := w.session(31, 30)
	if _, err := child.Value(ctx, "SECRET"); err != nil {
		t.Fatal(err)
	}
	dead.end()

	for _, c := range []struct {
		who    string
		s      *session
		name   secret.Name
		reason string
	}{
		{"another project, which is not approved", register(40, other, ""), "LISTED", "not approved"},
		{"another project, with the notebook's name", register(41, other, filepath.Join(other, "a.ipynb")), "SECRET", "needs consent"},
		{"another notebook", register(42, w.project, filepath.Join(w.project, "b.ipynb")), "SECRET", "needs consent"},
		{"a forged JPY_SESSION_NAME", register(43, other, mine), "SECRET", "needs consent"},
		{"a forged one with dots", register(44, other, filepath.Join(other, "..", filepath.Base(w.project), "a.ipynb")), "SECRET", "needs consent"},
		{"a kernel inside another project's, in this project", register(45, w.project, mine, 40), "SECRET", ""},
		{"a process of a kernel that has ended", child, "SECRET", "the kernel of this process has ended"},
		{"a hook that has ended", dead, "SECRET", "the kernel of this process has ended"},
	} {
		t.Run(c.who, func(t *testing.T) {
			if len(c.s.line) > 0 && c.s == dead {
				c.s.was = right.own // as it was before its end
			}
			_, err := c.s.Value(ctx, c.name)
			if err == nil {
				t.Fatal("it was served")
			}
			e := w.lastNoted(t)
			if e.Verdict != audit.Denied || e.Op != audit.OpGet || !strings.Contains(e.Reason, c.reason) || e.Who.PID != c.s.line[0].PID {
				t.Errorf("noted: %+v", e)
			}
		})
	}

	// What a hook refused at its endpoint is noted for its kernel; nobody else notes anything.
	if err := right.Refused(ctx, api.Refused{PID: os.Getpid(), Why: "the token is not this kernel's"}); err != nil {
		t.Fatal(err)
	}
	e := w.lastNoted(t)
	if e.Verdict != audit.Denied || e.Who.PID != os.Getpid() || e.Who.Kernel != right.own.id || !strings.Contains(e.Reason, "the token is not this kernel's") {
		t.Errorf("noted: %+v", e)
	}
	if err := right.Refused(ctx, api.Refused{Why: "a message was sent again", Message: true}); err != nil {
		t.Fatal(err)
	}
	if e = w.lastNoted(t); e.Op != audit.OpKernel || e.Verdict != audit.Denied || e.Who.Kernel != right.own.id || e.Reason != "refused by the hook: a message was sent again" {
		t.Errorf("noted: %+v", e)
	}
	wantCode(t, "the owner", w.session().Refused(ctx, api.Refused{Why: "x"}), api.CodeDenied)
	wantCode(t, "below a kernel", w.session(21, 20).Refused(ctx, api.Refused{Why: "x"}), api.CodeDenied)
}

// A provider is asked again in the name of the profile in which a kernel has its value.
func TestPollInAProfile(t *testing.T) {
	w := newWorld(t)
	dir, _ := w.profiled(t, "[profiles.far.secrets]\nDB = \"openbao://kv/x#y\"\n[providers.openbao]\naddress = \"https://127.0.0.1:1\"\ntoken = \"store://LISTED\"\n")
	p, err := w.projects.of(dir)
	if err != nil {
		t.Fatal(err)
	}
	far := rule{project: p, profile: "far"}
	a := asker{line: ancestors(t), kernel: w.kernels.add(ancestors(t), nil, api.Kernel{Dir: dir})}
	for profile, asks := range map[string]bool{"far": true, "dev": false, "": false} {
		f := &followed{kernels: map[*kernel]struct{}{a.kernel: {}}, has: map[string]sourceOf{far.sourceKey("DB"): {dir: dir, profile: profile, name: "DB"}}}
		if w.poll(f, a); f.failed != asks {
			t.Errorf("%q: asked %v, want %v", profile, f.failed, asks)
		}
	}
}
