package policy

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      []secret.Name
	}{
		{"empty", "", nil},
		{"comments", "# nothing\n", nil},
		{"names", "[secrets]\nB_2 = {}\nA = {} # first\n", []secret.Name{"A", "B_2"}},
		{"tables", "[secrets.A]\n[secrets.B]\n", []secret.Name{"A", "B"}},
		{"dotted", "secrets.A = {}\n", []secret.Name{"A"}},
		{"inline", "secrets = { A = {}, B = {} }\n", []secret.Name{"A", "B"}},
		{"quoted", "[secrets]\n\"A\" = {}\n", []secret.Name{"A"}},
		{"CRLF", "[secrets]\r\nA = {}\r\n", []secret.Name{"A"}},
		{"strip", "[secrets]\nA = {}\n[strip]\nA = 1\n", []secret.Name{"A"}},
		{"BOM", "\xef\xbb\xbf[secrets]\nA = {}\n", []secret.Name{"A"}},
		{"no newline", "[secrets]\nA = {}", []secret.Name{"A"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.src))
			if err != nil || !slices.Equal(got.Names(), c.want) {
				t.Errorf("names %v, %v, want %v", got.Names(), err, c.want)
			}
		})
	}
}

// A message names the line and never what stands in it, which may be a value
// in the wrong place.
func TestParseErrors(t *testing.T) {
	v := strings.ToLower(rand.Text())
	for _, c := range []struct {
		src  string
		line int
		says string
	}{
		{"[secrets]\nA = '" + v + "'\n", 2, "never a value"},
		{"[secrets]\n\nA = [\"" + v + "\"]\n", 3, "never a value"},
		{"secrets = \"" + v + "\"\n", 1, ""},
		{"[secrets]\nA = {}\nB = {value = \"" + v + "\"}\n", 3, `unknown key "value"`},
		{"[secrets]\nA = {from = \"" + v + "\"}\n", 2, "never a value"},
		{"[secrets]\nA = {from = 7}\n", 2, "is a string"},
		{"[secrets]\nA = {}\nB = 'https://hooks.example.com/" + v + "'\n", 3, "no provider"},
		{"[secrets]\nB = 'postgres://u:" + v + "@host/db'\n", 2, "a value"},
		{"[secrets]\nB = {from = 'openbao://a', ttl = '" + v + "'}\n", 2, "is a time"},
		{"[secrets]\nA = {}\n[providers.openbao]\ntoken = '" + v + "'\n", 4, "store://NAME"},
		{"[providers.openbao]\naddress = 7\n", 2, "table of strings"},
		{"[providers.'a b']\naddress = 'x'\n", 1, "name of a provider"},
		{"[secrets.A]\n[secrets.B]\n" + v + " = 1\n", 3, "unknown key"},
		{"[secrets]\nA = {}\n\nsk-" + v + " = {}\n", 4, "only letters"},
		{"[secrets]\nA = {}\n[secrets.\"" + v + " x\"]\n", 3, "only letters"},
		{"[secrets]\nNBHUSH_HOME = {}\n", 2, "NBHUSH_"},
		{"[secrets]\nA = {}\nA = {}\n", 3, "second time"},
		{"x = \"" + v + "\"\n", 1, `unknown key "x"`},
		{"[profiles]\ndefault = \"" + v + "\"\n", 2, "names no profile"},
		{"[profiles]\ndev = \"" + v + "\"\n", 2, "a profile is a table"},
		{"profiles = \"" + v + "\"\n", 1, "a profile is a table"},
		{"[profiles.dev]\n\nsecret = \"" + v + "\"\n", 3, `unknown key "secret"`},
		{"[profiles.dev]\nconsent = \"" + v + "\"\n", 2, `"session" or "none"`},
		{"[profiles.dev]\nbranch = [7]\n", 2, "list of patterns"},
		{"[profiles.dev]\nbranch = '[" + v + "'\n", 2, "list of patterns"},
		{"[profiles.'a b']\n", 1, "a profile is a table"},
		{"[profiles.dev.secrets]\nA = {}\nB = '" + v + "'\n", 3, "never a value"},
		{"[profiles.dev]\nsecrets = {A = {from = '" + v + "'}}\n", 2, "never a value"},
		{"[profiles.dev]\nsecrets = '" + v + "'\n", 2, "never a value"},
		{"rules = \"" + v + "\"\n", 1, "[[rules]]"},
		{"[rules]\ndeny = 'A'\n", 1, "[[rules]]"},
		{"[[rules]]\ndeny = 'A'\n[[rules]]\n" + v + " = 'A'\n", 3, "no such key"},
		{"[[rules]]\ndeny = 'A'\nask = 'B'\n", 1, "one of allow, ask and deny"},
		{"[[rules]]\nprofile = 'dev'\n", 1, "needs allow, ask or deny"},
		{"rules = [{deny = 'A'},\n {deny = 7}]\n", 2, "list of patterns"},
		{"[[rules]]\nallow = 'A'\nproject = '/p'\n", 1, `no such key "project"`},
		{"[secret]\nA = {}\n", 1, `unknown key "secret"`},
		{"\n\n" + v + "\n", 3, "not valid TOML"},
		{"[secrets]\nA = " + v + " \n", 2, ""},
		{"[secrets]\nA = \"" + v + "\n", 2, "not valid TOML"},
		{"[secrets]\nA = {", 2, "not valid TOML"},
		{"[[secrets]]\nA = {}\n", 1, ""},
		{strings.Repeat("#", maxConfig+1), 0, "more than"},
	} {
		_, err := Parse([]byte(c.src))
		var at *ParseError
		if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(at.Reason, c.says) {
			t.Errorf("%.40q: %v, want line %d and %q", strings.ReplaceAll(c.src, v, "VALUE"), err, c.line, c.says)
			continue
		}
		if c.line > 0 && !strings.HasPrefix(err.Error(), fmt.Sprintf("nbhush.toml: line %d: ", c.line)) {
			t.Errorf("message %q", err)
		}
		if strings.Contains(err.Error()+at.Hint(), v) {
			t.Errorf("%.40q: the message repeats it", strings.ReplaceAll(c.src, v, "VALUE"))
		}
	}
}

func TestParseFrom(t *testing.T) {
	c, err := Parse([]byte(`[secrets]
A = "openbao://kv/db#password"
B = { from = "op://vault/item/field", ttl = "1h", stale = "10m" }
C = { from = "ours://x" }
[secrets.D]
from = "ref+vault://kv/db#/password"

[providers.ours]
address = "https://example.com"
token = "store://OURS"
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[secret.Name]string{"A": "openbao://kv/db#password", "B": "op://vault/item/field", "C": "ours://x", "D": "ref+vault://kv/db#/password"} {
		if got := c.Secrets[name].From.String(); got != want {
			t.Errorf("%s is from %q, want %q", name, got, want)
		}
	}
	if b := c.Secrets["B"]; b.TTL != time.Hour || b.Stale != 10*time.Minute {
		t.Errorf("B: %+v", b)
	}
	if c.Providers["ours"]["address"] != "https://example.com" || c.Providers["ours"]["token"] != "store://OURS" {
		t.Errorf("providers: %v", c.Providers)
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range []string{"", "[secrets]\nA = {}\n", "[secrets.A]\n", "secrets = {A = {}}", "[secrets]\nA = 'x'", "[secrets]\n\"a b\" = {}", "x = 1", "\xef\xbb\xbf"} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse(src)
		if err != nil {
			var at *ParseError
			if !errors.As(err, &at) || c != nil {
				t.Fatalf("%T with config %v", err, c)
			}
			if at.Line < 0 || at.Line > strings.Count(string(src), "\n")+1 {
				t.Fatalf("line %d is not in the file", at.Line)
			}
			return
		}
		var again strings.Builder
		again.WriteString("[secrets]\n")
		for _, name := range c.Names() {
			if _, err := secret.ParseName(string(name)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&again, "%s = {}\n", name)
		}
		back, err := Parse([]byte(again.String()))
		if err != nil || !slices.Equal(back.Names(), c.Names()) {
			t.Fatalf("names %v became %v, %v", c.Names(), back.Names(), err)
		}
	})
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	src := []byte("[secrets]\nA = {}\n")
	if err := os.WriteFile(path, src, 0o644); err != nil {
		t.Fatal(err)
	}
	c, hash, err := Load(path)
	if err != nil || hash != Hash(src) || len(hash) != hashLen || !slices.Equal(c.Names(), []secret.Name{"A"}) {
		t.Errorf("%v, %q, %v", c.Names(), hash, err)
	}
	if _, _, err := Load(filepath.Dir(path)); err == nil {
		t.Error("a folder was read")
	}
	if err := os.WriteFile(path, make([]byte, 2*maxConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(path); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("2 MiB: %v", err)
	}
	if err := os.WriteFile(path, []byte("x = 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(path); err == nil || !strings.Contains(err.Error(), path+": line 1: ") {
		t.Errorf("the message is %v, without the path", err)
	}
}

func TestFind(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(root, "a", "b", "c")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	want := func(dir, want string) {
		t.Helper()
		got, err := Find(dir)
		if err != nil || got != want {
			t.Errorf("from %s: %q, %v, want %q", dir, got, err, want)
		}
	}
	write := func(dir string) string {
		t.Helper()
		path := filepath.Join(dir, FileName)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want(deep, "")
	top := write(filepath.Join(root, "a"))
	want(deep, top)
	if err := os.Mkdir(filepath.Join(root, "a", "b", FileName), 0o755); err != nil {
		t.Fatal(err)
	}
	want(deep, top) // a folder of that name is passed by
	own := write(deep)
	want(deep, own)
	want(root, "")
	if err := os.Symlink(deep, filepath.Join(root, "link")); err == nil {
		want(filepath.Join(root, "link"), own)
	}
	if _, err := Find(filepath.Join(root, "none")); err == nil {
		t.Error("a folder that is not there was searched")
	}
}
