package policy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"main", "main", true},
		{"main", "mains", false},
		{"release/*", "release/1", true},
		{"release/*", "release", false},
		{"release/*", "release/1/2", false},
		{"**", "", true},
		{"**", "a/b", true},
		{"release/**", "release", true},
		{"release/**", "release/1/2", true},
		{"**/scratch/**", "scratch/a.ipynb", true},
		{"**/scratch/**", "a/b/scratch/c/d.ipynb", true},
		{"**/scratch/**", "a/scratches/d", false},
		{"**/*.ipynb", "a.ipynb", true},
		{"**/*.ipynb", "a/b.py", false},
		{"/p/**/x", "/p/x", true},
		{"/p/**/x", "p/x", false},
		{"a/**/b/**/c", "a/b/b/x/c", true},
		{"a/**/b/**/c", "a/x/c", false},
		{"PROD_?", "PROD_1", true},
		{"[A-C]*", "B", true},
		{"[^A]*", "A", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
	} {
		if got := matches(tt.pattern, tt.text); got != tt.want || !validPattern(tt.pattern) {
			t.Errorf("%q, %q: %v", tt.pattern, tt.text, got)
		}
	}
	for _, bad := range []string{"", "[", "a/[", `a\`, strings.Repeat("a", maxPattern+1)} {
		if validPattern(bad) {
			t.Errorf("%.20q is valid", bad)
		}
	}
}

// FuzzMatches compares with the plain definition: ** is any number of parts.
func FuzzMatches(f *testing.F) {
	f.Add("a/**/b*", "a/x/y/bc")
	f.Add("**/**", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !validPattern(pattern) || len(text) > 50 || strings.Count(pattern, "**") > 4 {
			return
		}
		if got, want := matches(pattern, text), plain(strings.Split(pattern, "/"), strings.Split(text, "/")); got != want {
			t.Fatalf("%q, %q: %v", pattern, text, got)
		}
	})
}

func plain(pattern, text []string) bool {
	if len(pattern) == 0 {
		return len(text) == 0
	}
	if pattern[0] == "**" {
		return plain(pattern[1:], text) || len(text) > 0 && plain(pattern, text[1:])
	}
	if len(text) == 0 {
		return false
	}
	ok, _ := filepath.Match(pattern[0], text[0])
	return ok && plain(pattern[1:], text[1:])
}

const ruled = `[secrets]
DB = {}
PROD_KEY = {}
PLAIN = {}
[profiles.prod]
[profiles.dev]
[[rules]]
allow = "PROD_KEY"
notebook = "reports/**"
[[rules]]
deny = ["PROD_*"]
[[rules]]
ask = ["DB", "NOT_LISTED"]
kernel = ["ir", "julia*"]
[[rules]]
deny = "PLAIN"
profile = "dev"
[[rules]]
allow = ["UNLISTED"]
`

// TestDecideRules is the table of what rules and profiles do.
func TestDecideRules(t *testing.T) {
	const path = "/p/nbhush.toml"
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	c, err := Parse([]byte(ruled))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Rules {
		c.Rules[i].Path = path
	}
	own, err := parseOwn("/home/u/config.toml", "/home/u", []byte(`
[[rules]]
allow = "MINE"
project = "/p"
notebook = "/p/a.ipynb"
[[rules]]
deny = ["MINE", "NEVER", "DB", "small_*"]
project = ["~/**", "/q"]
[[rules]]
ask = "PLAIN"
kernel = "deno"
[[rules]]
allow = "DB"
project = "/p"
profile = "prod"
`))
	if err != nil {
		t.Fatal(err)
	}
	hash := Hash([]byte("one"))
	approved := &Approval{Path: path, Hash: hash, Guards: true, Names: []secret.Name{"DB", "PROD_KEY", "PLAIN"}}
	base := Request{ConfigPath: path, ConfigHash: hash, Dir: "/p", Notebook: "/p/a.ipynb", Kernel: "7-1", Spec: "python3", Language: "python", Now: now, Rules: own}
	with := func(change func(*Request)) Request {
		r := base
		change(&r)
		return r
	}
	in := func(profile string) Request { return with(func(r *Request) { r.Profile = profile }) }
	edited := func(r Request) Request { r.ConfigHash = Hash([]byte("two")); return r }
	here := Grant{Name: "DB", Notebook: "/p/a.ipynb"}
	inProd := Grant{Name: "DB", Notebook: "/p/a.ipynb", Profile: "prod"}
	session := Grant{Kernel: "7-1", Profile: "prod"}
	for _, tt := range []struct {
		name   string
		r      Request
		wish   secret.Name
		grants []Grant
		want   string // allow, ask or no; keep
		reason string
	}{
		{"a rule allows what is listed", with(func(r *Request) { r.Notebook = "/p/reports/q/a.ipynb" }), "PROD_KEY", nil, "allow keep", "listed"},
		{"the next one denies", base, "PROD_KEY", nil, "no", "the rule in /p/nbhush.toml:10 denies PROD_KEY"},
		{"an allow needs a known notebook", with(func(r *Request) { r.Notebook = "" }), "PROD_KEY", nil, "no", ":10 denies"},
		{"a deny beats a grant", base, "PROD_KEY", []Grant{{Name: "PROD_KEY", Kernel: "7-1"}}, "no", ":10 denies"},
		{"a rule gives nothing that is not listed", base, "UNLISTED", nil, "ask", "does not list UNLISTED"},
		{"no rule for this kernel", base, "DB", nil, "allow keep", "listed"},
		{"asked by kernelspec", with(func(r *Request) { r.Spec, r.Language = "ir", "R" }), "DB", nil, "ask", ":12 has you asked for DB"},
		{"asked by language", with(func(r *Request) { r.Spec, r.Language = "x", "julia" }), "DB", nil, "ask", ":12 has you asked"},
		{"asked where the kernel is not known", with(func(r *Request) { r.Spec, r.Language = "", "" }), "DB", nil, "ask", ":12 has you asked"},
		{"asked and granted", with(func(r *Request) { r.Spec = "ir" }), "DB", []Grant{here}, "allow keep", "for this notebook"},
		{"asked, and not listed", with(func(r *Request) { r.Spec = "ir" }), "NOT_LISTED", nil, "ask", "does not list"},
		{"nobody asks the shell", with(func(r *Request) { r.Shell, r.Spec, r.Notebook, r.Profile = true, "", "", "prod" }), "DB", nil, "allow keep", "listed"},
		{"a rule denies the shell", with(func(r *Request) { r.Shell, r.Spec, r.Notebook = true, "", "" }), "PROD_KEY", nil, "no", ":10 denies"},
		{"denied in a profile", in("dev"), "PLAIN", nil, "no", ":15 denies"},
		{"another profile asks", in("prod"), "PLAIN", nil, "ask", "in the profile prod you are asked in each session"},
		{"granted for the session", in("prod"), "PLAIN", []Grant{session}, "allow keep", "for this kernel in the profile prod"},
		{"granted for another session", in("prod"), "PLAIN", []Grant{{Kernel: "7-2", Profile: "prod"}}, "ask", "each session"},
		{"a session's grant is no denial's end", in("prod"), "PROD_KEY", []Grant{session}, "no", ":10 denies"},
		{"a session's grant is for what is listed", in("prod"), "UNLISTED", []Grant{session}, "ask", "does not list"},
		{"a session's grant does not answer a rule", with(func(r *Request) { r.Profile, r.Spec, r.Rules = "prod", "ir", nil }), "DB", []Grant{session}, "ask", ":12 has you asked"},
		{"granted by name and profile", with(func(r *Request) { r.Profile, r.Rules = "prod", nil }), "DB", []Grant{inProd}, "allow keep", "for this notebook in the profile prod"},
		{"granted without a profile", with(func(r *Request) { r.Profile, r.Rules = "prod", nil }), "DB", []Grant{here}, "ask", "each session"},
		{"granted in another profile", with(func(r *Request) { r.Spec = "ir" }), "DB", []Grant{inProd}, "ask", ":12 has you asked"},
		{"answered in the profile", with(func(r *Request) { r.Profile, r.Rules = "prod", nil }), "DB", []Grant{{Name: "DB", Profile: "prod", Answer: true}}, "allow keep", "once in the profile prod"},
		{"denied in the profile", with(func(r *Request) { r.Profile, r.Rules = "prod", nil }), "DB", []Grant{inProd, {Name: "DB", Profile: "prod", Deny: true}}, "no", "you denied DB to all kernels in the profile prod"},
		{"denied in another profile", base, "DB", []Grant{{Name: "DB", Profile: "prod", Deny: true}}, "allow keep", "listed"},
		{"unknown profile", in("pord"), "DB", nil, "no", `has no profile "pord": it has prod, dev`},
		{"unknown profile and a grant", in("pord"), "DB", []Grant{{Name: "DB", Profile: "pord", Kernel: "7-1"}}, "no", "has no profile"},
		{"the user's own rule allows", base, "MINE", nil, "allow keep", "your rule in /home/u/config.toml:2 allows it"},
		{"not in another notebook", with(func(r *Request) { r.Notebook = "/p/b.ipynb" }), "MINE", nil, "ask", "does not list"},
		{"nor where it is not known", with(func(r *Request) { r.Notebook = "" }), "MINE", nil, "ask", "does not list"},
		{"the user's own rule denies", with(func(r *Request) { r.Dir = "/home/u/x/y" }), "NEVER", []Grant{{Name: "NEVER", Kernel: "7-1"}}, "no", "config.toml:6 denies NEVER"},
		{"also what is listed", with(func(r *Request) { r.Dir = "/q" }), "DB", nil, "no", "config.toml:6 denies DB"},
		{"a denial in small letters", with(func(r *Request) { r.Dir = "/q" }), "SMALL_KEY", nil, "no", "config.toml:6 denies SMALL_KEY"},
		{"an allow in capitals", base, "mine", nil, "ask", "does not list"},
		{"the user's own rule asks", with(func(r *Request) { r.Spec = "deno" }), "PLAIN", nil, "ask", "config.toml:9 has you asked"},
		{"the user's own rule names the profile", in("prod"), "DB", nil, "allow keep", "listed"},
		{"the owner", Request{Name: "NEVER", Owner: true, Dir: "/q", Rules: own}, "NEVER", nil, "allow keep", "own shell"},

		// An edit of the file must not get a kernel around what it said.
		{"edited", edited(base), "PLAIN", nil, "no keep", "changed since"},
		{"edited, and a grant", edited(base), "PROD_KEY", []Grant{{Name: "PROD_KEY", Notebook: "/p/a.ipynb"}}, "no keep", "changed since"},
		{"edited, and an answer", edited(base), "OTHER", []Grant{{Name: "OTHER", Answer: true}}, "no", "does not list"},
		{"edited, and the user's rule", edited(base), "MINE", nil, "no", "does not list"},
		{"edited, in a profile", edited(in("prod")), "DB", []Grant{inProd}, "no keep", "changed since"},
		{"edited, and denied", edited(base), "DB", []Grant{{Name: "DB", Deny: true}}, "no", "denied DB"},
		{"never approved, in a profile", with(func(r *Request) { r.ConfigPath, r.Profile = "/q/nbhush.toml", "prod" }), "PLAIN", []Grant{{Name: "PLAIN", Kernel: "7-1"}}, "no", "not approved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.r
			r.Name = tt.wish
			d, got := decided(r, c, approved, tt.grants)
			if got != tt.want || !strings.Contains(d.Reason, tt.reason) {
				t.Errorf("%s, %+v, want %s because of %q", got, d, tt.want, tt.reason)
			}
			if !d.Allow && d.Hint == "" {
				t.Error("a no without a hint")
			}
		})
	}

	// A kernel that removes the file gets no further than by an edit.
	r := base
	r.Name, r.ConfigHash, r.Rules = "PROD_KEY", "", nil
	d := Decide(r, nil, approved, Grant{Name: "PROD_KEY", Notebook: r.Notebook})
	if d.Allow || d.Ask || d.Hint == "" {
		t.Errorf("the file is gone: %+v", d)
	}
}

func TestOwnRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if rules, err := OwnRules(path, "/h"); rules != nil || err != nil {
		t.Errorf("no settings: %v, %v", rules, err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("store = \"vault\"\n[alerts]\ndesktop = true\n[[rules]]\ndeny = \"A\"\nproject = \"~/x/**\"\n")
	rules, err := OwnRules(path, "/h")
	if err != nil || len(rules) != 1 || rules[0].String() != path+":4" || !slices.Equal(rules[0].Project, []string{"/h/x/**"}) {
		t.Errorf("%+v, %v", rules, err)
	}
	for text, want := range map[string]string{
		"[[rules]]\nallow = \"A\"\n":    "line 1: allow needs project",
		"\n[[rules]]\ndenies = \"A\"\n": `line 2: a rule has no such key "denies"`,
		"rules = 7\n":                   "line 1: not valid TOML",
		"[rules]\n":                     "line 1: rules are [[rules]]",
	} {
		write(text)
		if rules, err := OwnRules(path, "/h"); err == nil || rules != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, rules, err, want)
		}
	}
}

// A pattern means the folder that a link in it leads to: that is how projects are known.
func TestOwnRulesThroughLinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "real", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(dir, "config.toml")
	for _, c := range []struct{ condition, dir, notebook string }{
		{`project = "~/link/**"`, "real/deep", ""},
		{`project = "~/link"`, "real", ""},
		{`notebook = "~/link/deep/*.ipynb"`, "real", "real/deep/a.ipynb"},
		{`notebook = "~/link/deep/a.ipynb"`, "real", "real/deep/a.ipynb"},
	} {
		if err := os.WriteFile(path, []byte("[[rules]]\ndeny = \"A\"\n"+c.condition+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		rules, err := OwnRules(path, dir)
		if err != nil {
			t.Fatal(err)
		}
		q := Request{Name: "A", Dir: filepath.Join(dir, c.dir), Rules: rules}
		if c.notebook != "" {
			q.Notebook = filepath.Join(dir, c.notebook)
		}
		if d := Decide(q, nil, nil); d.Rule == nil {
			t.Errorf("%s does not count: %+v", c.condition, d)
		}
		q.Dir, q.Notebook = filepath.Join(dir, "other"), filepath.Join(dir, "other", "a.ipynb")
		if d := Decide(q, nil, nil); d.Rule != nil {
			t.Errorf("%s counts elsewhere", c.condition)
		}
	}
}

// FuzzRules holds Decide to what rules and profiles promise, whatever stands in them.
func FuzzRules(f *testing.F) {
	f.Add([]byte("aA1 dB2 kA3"), uint16(7), uint8(1))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 100, 50, 25, 12}, uint16(0xffff), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, bits uint16, edit uint8) {
		if len(in) > 300 {
			return
		}
		next := func() int {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return int(b)
		}
		pick := func(from ...string) []string {
			if i := next() % (len(from) + 1); i < len(from) {
				return []string{from[i]}
			}
			return nil
		}
		rule := func() Rule {
			r := Rule{
				Verdict: []Verdict{Allow, Ask, Deny}[next()%3], Names: pick("A", "B", "*"),
				Notebook: pick("a.ipynb", "**"), Kernel: pick("ir", "py*"), Profile: pick("dev", "prod"),
			}
			if r.Names == nil {
				r.Names = []string{"?"}
			}
			return r
		}
		c := &Config{Secrets: map[secret.Name]Secret{}, Profiles: map[string]Profile{"dev": {}, "prod": {Asks: bits&1 != 0}}}
		if bits&2 != 0 {
			c.Secrets["A"] = Secret{}
		}
		if bits&4 != 0 {
			c.Profiles["prod"] = Profile{Asks: true, Secrets: map[secret.Name]Secret{"B": {}}}
		}
		var mine []Rule
		for range next() % 4 {
			c.Rules = append(c.Rules, rule())
		}
		for range next() % 3 {
			r := rule()
			if r.Project = pick("/p", "/q"); r.Project == nil {
				r.Project = []string{"**"}
			}
			mine = append(mine, r)
		}
		var grants []Grant
		for i := range next() % 4 {
			g := Grant{Name: []secret.Name{"A", "B", ""}[next()%3], Profile: []string{"", "dev", "prod"}[next()%3], Deny: next()%4 == 0, Once: next()%4 == 0}
			if g.Kernel = "k"; i%2 == 0 {
				g.Kernel, g.Notebook = "", "/p/a.ipynb"
			}
			grants = append(grants, g)
		}
		a := &Approval{Path: "/p/nbhush.toml", Hash: Hash(nil), Names: c.Names(), Guards: c.Guards()}
		r := Request{
			Name: []secret.Name{"A", "B"}[next()%2], ConfigPath: a.Path, ConfigHash: a.Hash, Dir: "/p", Kernel: "k", Rules: mine,
			Profile: []string{"", "dev", "prod", "none"}[next()%4], Now: time.Unix(0, 0),
		}
		if bits&8 != 0 {
			r.Notebook = "/p/a.ipynb"
		}
		if bits&16 != 0 {
			r.Spec, r.Language = "python3", "python"
		}
		if bits&32 != 0 {
			r.ConfigHash = Hash([]byte("edited"))
		}
		d := Decide(r, c, a, grants...)
		level := func(d Decision) int {
			switch {
			case d.Allow:
				return 2
			case d.Ask:
				return 1
			}
			return 0
		}
		if d.Reason == "" || d.Allow && d.Ask || level(d) > 0 && d.Rule != nil && d.Rule.Verdict == Deny {
			t.Fatalf("%+v", d)
		}
		must := func(what string, ok bool, other Decision) {
			if !ok {
				t.Fatalf("%s: %+v, and before %+v, of %+v", what, other, d, r)
			}
		}

		// A denial beats everything, from the user by name or by rule.
		no := Decide(r, c, a, append(slices.Clone(grants), Grant{Name: r.Name, Deny: true})...)
		must("denied by name", level(no) == 0, no)
		q := r
		q.Rules = append([]Rule{{Verdict: Deny, Names: []string{"*"}}}, mine...)
		no = Decide(q, c, a, grants...)
		must("denied by the user's rule", level(no) == 0, no)

		// An nbhush.toml that is not approved as it is gives nothing: what is allowed then
		// is the user's own word, and not where the file had rules.
		if r.ConfigHash != a.Hash && d.Allow {
			must("not approved", !a.Guards, d)
		}

		// A project's rules only take away.
		plain := *c
		plain.Rules = nil
		more := Decide(r, &plain, a, grants...)
		must("without the project's rules", level(more) >= level(d), more)

		// One rule that is stricter, or comes before all others, gives no more.
		strict := *c
		strict.Rules = slices.Clone(c.Rules)
		if len(strict.Rules) > 0 {
			i := int(edit) % len(strict.Rules)
			strict.Rules[i].Verdict = map[Verdict]Verdict{Allow: Ask, Ask: Deny, Deny: Deny}[strict.Rules[i].Verdict]
		} else {
			strict.Rules = []Rule{{Verdict: Ask, Names: []string{"*"}}}
		}
		less := Decide(r, &strict, a, grants...)
		must("a stricter rule", level(less) <= level(d), less)

		// A grant takes nothing away, and a denial gives nothing.
		g := Grant{Name: r.Name, Profile: []string{"", "dev", "prod"}[edit%3], Kernel: "k"}
		more = Decide(r, c, a, append(slices.Clone(grants), g)...)
		must("one more grant", level(more) >= level(d), more)

		// Who does not say his notebook or kernelspec gains nothing by it, unless a rule
		// speaks about what he would say.
		hidden := r
		hidden.Notebook, hidden.Spec, hidden.Language = "", "", ""
		silent := Decide(hidden, c, a, grants...)
		conditional := slices.ContainsFunc(slices.Concat(c.Rules, mine), func(r Rule) bool {
			return r.Verdict == Allow && (r.Notebook != nil || r.Kernel != nil)
		})
		if !conditional && !slices.ContainsFunc(grants, func(g Grant) bool { return g.Deny && g.Notebook != "" }) {
			must("saying nothing", level(silent) <= level(d), silent)
		}
		if Keep(r, c, a, grants...) != d.Allow && d.Allow {
			t.Fatal("what is allowed is not kept")
		}
	})
}
