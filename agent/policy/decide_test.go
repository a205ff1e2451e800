package policy

import (
	"strings"
	"testing"

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
		{"no hash", Request{Name: "A", ConfigPath: path}, lists, &Approval{Path: path}, false, "changed", "nbhush allow"},
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
