package policy

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

func TestDecide(t *testing.T) {
	hash, other := Hash([]byte("one")), Hash([]byte("two"))
	lists := &Config{Secrets: map[secret.Name]Secret{"A": {}}}
	const path = "/p/nbhush.toml"
	approved := &Approval{Path: path, Hash: hash}
	for _, c := range []struct {
		name     string
		request  Request
		config   *Config
		approval *Approval
		allow    bool
		reason   string
		hint     string
	}{
		{"owner", Request{Name: "A", Owner: true}, nil, nil, true, "own shell", ""},
		{"owner, whatever is listed", Request{Name: "B", Owner: true, ConfigPath: path, ConfigHash: other}, lists, approved, true, "own shell", ""},
		{"no file", Request{Name: "A"}, nil, nil, false, "no nbhush.toml", "A = {}"},
		{"no file, an old approval", Request{Name: "A"}, nil, approved, false, "no nbhush.toml", "nbhush allow"},
		{"no path", Request{Name: "A", ConfigHash: hash}, lists, &Approval{Hash: hash}, false, "no nbhush.toml", "nbhush allow"},
		{"not listed", Request{Name: "B", ConfigPath: path, ConfigHash: hash}, lists, approved, false, "does not list B", "B = {}"},
		{"nothing listed", Request{Name: "A", ConfigPath: path, ConfigHash: hash}, &Config{}, approved, false, "does not list A", "A = {}"},
		{"no name", Request{ConfigPath: path, ConfigHash: hash}, lists, approved, false, "does not list", ""},
		{"not approved", Request{Name: "A", ConfigPath: path, ConfigHash: hash}, lists, nil, false, "not approved", "nbhush allow"},
		{"another file approved", Request{Name: "A", ConfigPath: path, ConfigHash: hash}, lists, &Approval{Path: "/q/nbhush.toml", Hash: hash}, false, "not approved", "nbhush allow"},
		{"changed", Request{Name: "A", ConfigPath: path, ConfigHash: other}, lists, approved, false, "changed", "nbhush allow"},
		{"no hash", Request{Name: "A", ConfigPath: path}, lists, &Approval{Path: path}, false, "not approved", "nbhush allow"},
		{"approved", Request{Name: "A", ConfigPath: path, ConfigHash: hash}, lists, approved, true, "approved", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(c.request, c.config, c.approval)
			if d.Allow != c.allow || !strings.Contains(d.Reason, c.reason) || !strings.Contains(d.Hint, c.hint) {
				t.Errorf("%+v, want %v because of %q with hint %q", d, c.allow, c.reason, c.hint)
			}
			if d.Allow == (d.Hint != "") {
				t.Errorf("%+v: only a no has a hint", d)
			}
		})
	}
}

func FuzzDecide(f *testing.F) {
	hash := Hash(nil)
	f.Add("A", false, "/p", hash, "A B", true, true, "/p", hash)
	f.Add("A", false, "/p", hash, "A", true, true, "/p", "")
	f.Add("A", true, "", "", "", false, false, "", "")
	f.Add("", false, "", "", "", true, true, "", "")
	f.Fuzz(func(t *testing.T, name string, owner bool, path, hash, listed string, hasConfig, hasApproval bool, okPath, okHash string) {
		var c *Config
		lists := false
		if hasConfig {
			c = &Config{Secrets: map[secret.Name]Secret{}}
			for _, n := range strings.Fields(listed) {
				c.Secrets[secret.Name(n)] = Secret{}
				lists = lists || n == name
			}
		}
		var a *Approval
		if hasApproval {
			a = &Approval{Path: okPath, Hash: okHash}
		}
		d := Decide(Request{Name: secret.Name(name), Owner: owner, ConfigPath: path, ConfigHash: hash}, c, a)
		may := owner || lists && hasApproval && path != "" && path == okPath && len(hash) == 64 && hash == okHash
		if d.Allow != may || d.Reason == "" {
			t.Fatalf("%+v, want allow %v", d, may)
		}
	})
}

func TestDecideGrants(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	const path, notebook = "/p/nbhush.toml", "/p/a b.ipynb"
	hash := Hash([]byte("one"))
	lists := &Config{Secrets: map[secret.Name]Secret{"LISTED": {}}}
	approved := &Approval{Path: path, Hash: hash, Names: []secret.Name{"LISTED", "WAS_LISTED"}}
	in := Request{ConfigPath: path, ConfigHash: hash, Notebook: notebook, Kernel: "7-1", Now: now}
	edited := in
	edited.ConfigHash = Hash([]byte("two"))
	noNotebook := in
	noNotebook.Notebook = ""
	for _, c := range []struct {
		name    string
		request Request
		wish    secret.Name
		grants  []Grant
		want    string // allow, ask or no, and whether a kernel that has it keeps it
		reason  string
		hint    string
	}{
		{"nothing said", in, "A", nil, "ask", "does not list A", "nbhush allow --name A --notebook '/p/a b.ipynb'"},
		{"nothing said, no notebook", noNotebook, "A", nil, "ask", "does not list A", "A = {}"},
		{"listed", in, "LISTED", nil, "allow keep", "listed in an approved", ""},
		{"listed, edited since", edited, "LISTED", nil, "ask keep", "changed since", "--name LISTED"},
		{"no longer listed, edited since", edited, "WAS_LISTED", nil, "ask keep", "does not list", "--name WAS_LISTED"},
		{"no longer listed", in, "WAS_LISTED", nil, "ask", "does not list", "--name WAS_LISTED"},
		{"once", in, "A", []Grant{{Name: "A", Answer: true}}, "allow keep", "once", ""},
		{"this kernel", in, "A", []Grant{{Name: "A", Kernel: "7-1"}}, "allow keep", "this kernel", ""},
		{"another kernel", in, "A", []Grant{{Name: "A", Kernel: "7-2"}}, "ask", "does not list", "--name A"},
		{"this notebook", in, "A", []Grant{{Name: "A", Notebook: notebook}}, "allow keep", "this notebook", ""},
		{"another notebook", in, "A", []Grant{{Name: "A", Notebook: "/p/b.ipynb"}}, "ask", "does not list", "--name A"},
		{"another name", in, "A", []Grant{{Name: "B", Notebook: notebook}}, "ask", "does not list", "--name A"},
		{"no notebook, no kernel", Request{Now: now}, "A", []Grant{{Name: "A"}}, "ask", "no nbhush.toml", "A = {}"},
		{"until later", in, "A", []Grant{{Name: "A", Notebook: notebook, Until: now.Add(1)}}, "allow keep", "until 2026-11-21", ""},
		{"until now", in, "A", []Grant{{Name: "A", Notebook: notebook, Until: now}}, "ask", "does not list", "--name A"},
		{"denied", in, "A", []Grant{{Name: "A", Deny: true}}, "no", "denied A to all", "nbhush deny --undo --name A"},
		{"denied here", in, "A", []Grant{{Name: "A", Deny: true, Notebook: notebook}}, "no", "to this notebook", "--undo --name A --notebook '/p/a b.ipynb'"},
		{"denied elsewhere", in, "A", []Grant{{Name: "A", Deny: true, Notebook: "/p/b.ipynb"}}, "ask", "does not list", "--name A"},
		{"denied and granted", in, "A", []Grant{{Name: "A", Notebook: notebook}, {Name: "A", Deny: true}}, "no", "denied", "--undo"},
		{"denied and listed", in, "LISTED", []Grant{{Name: "LISTED", Deny: true}}, "no", "denied", "--undo"},
		{"denied and listed, edited since", edited, "LISTED", []Grant{{Name: "LISTED", Deny: true}}, "no", "denied", "--undo"},
		{"denied until now", in, "A", []Grant{{Name: "A", Deny: true, Until: now}}, "ask", "does not list", "--name A"},
		{"no name", in, "", nil, "no", "does not list", "nbhush allow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.request
			r.Name = c.wish
			d, got := decided(r, lists, approved, c.grants)
			if got != c.want || !strings.Contains(d.Reason, c.reason) || !strings.Contains(d.Hint, c.hint) {
				t.Errorf("%s, %+v, want %s because of %q with hint %q", got, d, c.want, c.reason, c.hint)
			}
		})
	}
}

// FuzzGrants: no grant but a matching one says yes, and a matching denial always says no.
func FuzzGrants(f *testing.F) {
	f.Add("A", "/p/n.ipynb", "7-1", false, int64(5), "A|/p/n.ipynb||0|0 A||||d")
	f.Add("A", "", "7-1", true, int64(5), "A||7-1|0| A||7-1|9|d")
	f.Add("", "", "", false, int64(0), "||||")
	f.Fuzz(func(t *testing.T, name, notebook, kernel string, lists bool, now int64, rules string) {
		r := Request{Name: secret.Name(name), Notebook: notebook, Kernel: kernel, ConfigPath: "/p", ConfigHash: Hash(nil), Now: time.Unix(now, 0)}
		c := &Config{Secrets: map[secret.Name]Secret{}}
		a := &Approval{Path: "/p", Hash: Hash(nil)}
		if lists {
			c.Secrets[r.Name] = Secret{}
		}
		var grants []Grant
		granted, denied := false, false
		for _, rule := range strings.Fields(rules) {
			p := strings.Split(rule+"||||", "|")
			g := Grant{Name: secret.Name(p[0]), Notebook: p[1], Kernel: p[2], Deny: strings.HasPrefix(p[4], "d")}
			live := true
			if until, err := strconv.ParseInt(p[3], 10, 32); err == nil && until != 0 {
				g.Until = time.Unix(until, 0)
				live = now < until
			}
			grants = append(grants, g)
			if p[0] != name || !live {
				continue
			}
			if g.Deny {
				denied = denied || p[1] == "" || p[1] == notebook
			} else if p[2] != "" {
				granted = granted || p[2] == kernel
			} else {
				granted = granted || p[1] != "" && p[1] == notebook
			}
		}
		d := Decide(r, c, a, grants...)
		if want := !denied && (lists || granted); d.Allow != want || d.Reason == "" {
			t.Fatalf("%+v, want allow %v", d, want)
		}
		if denied && (d.Ask || Keep(r, c, a, grants...)) {
			t.Fatalf("%+v: what was denied is asked for or kept", d)
		}
		if d.Allow && !Keep(r, c, a, grants...) {
			t.Fatal("what is allowed is not kept")
		}
	})
}

// decided returns what Decide and Keep say, in words.
func decided(r Request, c *Config, a *Approval, grants []Grant) (d Decision, in string) {
	d = Decide(r, c, a, grants...)
	switch {
	case d.Allow && d.Ask:
		in = "both"
	case d.Allow:
		in = "allow"
	case d.Ask:
		in = "ask"
	default:
		in = "no"
	}
	if Keep(r, c, a, grants...) {
		in += " keep"
	}
	return d, in
}
