package policy

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

func TestSecretspec(t *testing.T) {
	v := rand.Text()
	for _, c := range []struct {
		name, src string
		want      []secret.Name
		says      string
	}{
		{"default profile", "[project]\nname = \"x\"\nrevision = \"1.0\"\n[profiles.default]\nB = { description = \"b\", required = true }\nA = { default = \"" + v + "\" }\n[profiles.production]\nC = {}\n", []secret.Name{"A", "B"}, ""},
		{"no default profile", "[profiles.a]\nA = {}\n[profiles.b]\nB = {}\n", []secret.Name{"A", "B"}, ""},
		{"unknown keys", "[project]\nnew = 1\n[profiles.default]\nA = { new = 2 }\n[providers]\nx = \"y\"\n", []secret.Name{"A"}, ""},
		{"nothing", "", nil, ""},
		{"extends", "[project]\nextends = [\"../" + v + "\"]\n", nil, "extends"},
		{"bad name", "[profiles.default]\n\"" + v + " x\" = {}\n", nil, "only letters"},
		{"no TOML", "[profiles\n" + v, nil, "not a secretspec.toml"},
	} {
		got, err := ParseFile("/p/"+SecretspecName, []byte(c.src))
		if (err != nil) != (c.says != "") || !slices.Equal(got.NamesIn(""), c.want) {
			t.Errorf("%s: %v, %v", c.name, got.NamesIn(""), err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), v)) {
			t.Errorf("%s: %q", c.name, strings.ReplaceAll(err.Error(), v, "VALUE"))
		}
	}
	c, err := ParseFile(SecretspecName, []byte("[profiles.default]\nA = {}\n[profiles.production]\nA = {}\nB = {}\n[profiles.test]\ndefaults = { providers = [] }\n"))
	if err != nil || !slices.Equal(c.NamesIn("production"), []secret.Name{"A", "B"}) || !slices.Equal(c.NamesIn("test"), []secret.Name{"A"}) ||
		!c.asks("production") || c.asks("test") {
		t.Errorf("profiles: %+v, %v", c, err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	spec, own := filepath.Join(dir, SecretspecName), filepath.Join(dir, FileName)
	for i, path := range []string{spec, own} {
		if err := os.WriteFile(path, []byte("[profiles.default]\nA = {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Find(dir); err != nil || got != path {
			t.Errorf("%s, %v; want %s", got, err, path)
		}
		if got, err := FindOwn(dir); err != nil || (got != "") != (i == 1) {
			t.Errorf("of our own: %s, %v", got, err)
		}
	}
}

func FuzzSecretspec(f *testing.F) {
	for _, s := range []string{"", "[profiles.default]\nA = {}\n", "[project]\nextends=['x']", "profiles = 1", "[profiles.x.y]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := ParseFile(SecretspecName, src)
		if (c == nil) != (err != nil) {
			t.Fatalf("%v, %v", c, err)
		}
		for _, name := range c.Names() {
			if _, err := secret.ParseName(string(name)); err != nil || !c.Secrets[name].From.IsZero() {
				t.Fatal(name, err)
			}
		}
	})
}
