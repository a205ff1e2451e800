package provider

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

// fill writes text with V in the place of a value, and returns it.
func fill(t *testing.T, path, text string) string {
	t.Helper()
	v := random()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "V", v)), 0o600); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFiles(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	w := newWorld(t)
	for _, c := range []struct{ file, text, ref, want string }{
		{"plain", "V\n", "file://plain", "V"},
		{"plain2", "V", "file://" + filepath.ToSlash(filepath.Join(dir, "plain2")), "V"},
		{"plain3", "\x00V\r\n", "file://plain3", "\x00V"},
		{"~/at home", "V", "file://~/at home", "V"},
		{"run/token", "V\n", "docker://token", "V"},
		{".env", "export A=x\nNAME='V'\nB=\"V b\"\n", "dotenv://.env", "V"},
		{"bom.env", "\xef\xbb\xbfA=x\r\nNAME=V\r\n", "dotenv://bom.env", "V"},
		{"hash.env", "NAME=$2y$10$V$$\n", "dotenv://hash.env", "$2y$10$V$$"},
		{"quoted.env", "NAME=\"x$YV$\"\n", "dotenv://quoted.env", "x$YV$"},
		{"single.env", "NAME='x\\$Y${Z}V'\n", "dotenv://single.env", "x\\$Y${Z}V"},
		{"escaped.env", "NAME=\"x\\$YV\"\n", "dotenv://escaped.env", "x$YV"},
		{"braces.env", "A=xyz\nNAME=${A}V\n", "dotenv://braces.env", "xyzV"},
		{"points.json", `{"a":{"b":"no"},"a.b":"V"}`, "json://points.json#a.b", "V"},
		{"merge.yaml", "d: &d {user: me, password: no}\np:\n  <<: *d\n  password: V\n", "yaml://merge.yaml#p.password", "V"},
		{"merged.yaml", "d: &d {user: me, password: V}\np:\n  <<: *d\n", "yaml://merged.yaml#p.password", "V"},
		{"~/.netrc", "\xef\xbb\xbfmachine a login me password V", "netrc://a", "V"},
		{"b.env", "B=\"V b\"\n", "dotenv://b.env#B", "V b"},
		{"a.json", `{"a":{"b":["x","V"]},"n":12345678901234567890}`, "json://a.json#a.b.1", "V"},
		{"n.json", `{"n":12345678901234567890,"V":true}`, "json://n.json#n", "12345678901234567890"},
		{"one.json", `"V"`, "json://one.json", "V"},
		{"bom.json", "\xef\xbb\xbf{\"a\":\"V\"}", "json://bom.json", "V"},
		{"a.yaml", "db:\n  pin: 007\n  password: \"V\"\n", "yaml://a.yaml#db.password", "V"},
		{"pin.yaml", "db:\n  pin: 007\n  x: V\n", "yaml://pin.yaml#db.pin", "007"},
		{"alias.yaml", "a: &x V\nb: *x\n", "yaml://alias.yaml#b", "V"},
		{"a.ini", "top = 1\n[db]\npassword = V # with ; all\n", "ini://a.ini#db.password", "V # with ; all"},
		{"lines.ini", "[db]\npassword = V\n  second\nuser = me\n", "ini://lines.ini#db.password", "V\nsecond"},
		{"after.ini", "[a]\nkey = one\n  two\n\n[db]\npassword = V", "ini://after.ini#db.password", "V"},
		{"~/.netrc", "# c\nmachine example.com login me password \"V \\\"q\"\nmacdef x\nmachine no\n\ndefault login d password V2\n", "netrc://example.com#password", "V \"q"},
		{"~/.netrc", "machine a\n  login me\n  password V\ndefault password x", "netrc://a", "V"},
		{"~/.netrc", "machine a password x\ndefault password V", "netrc://b", "V"},
		{"~/.netrc", "machine api.wandb.ai\n  login user\n  password V\n", "wandb://api", "V"},
		{"~/.kaggle/kaggle.json", `{"username":"me","key":"V"}`, "kaggle://key", "V"},
	} {
		path := filepath.Join(dir, c.file)
		if rest, ok := strings.CutPrefix(c.file, "~/"); ok {
			path = filepath.Join(home, rest)
		}
		v := fill(t, path, c.text)
		s := source(t, c.ref, map[string]string{"dir": filepath.Join(dir, "run")})
		s.Dir = dir
		w.want(t, s, strings.ReplaceAll(c.want, "V", v))
	}
	t.Run("the file of now", func(t *testing.T) {
		s := source(t, "dotenv://.env#NAME", nil)
		s.Dir = dir
		w.want(t, s, fill(t, filepath.Join(dir, ".env"), "NAME=V"))
		w.want(t, s, fill(t, filepath.Join(dir, ".env"), "NAME=V"))
	})
}

func manyFields() string {
	var b strings.Builder
	for i := range maxFields {
		fmt.Fprintf(&b, `,"k%d":"v"`, i)
	}
	return b.String()
}

// A machine without a password has no other secret in its place.
func TestNetrcWithoutPassword(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	v := fill(t, filepath.Join(home, ".netrc"), "machine a login V\n")
	w := newWorld(t)
	w.refused(t, source(t, "netrc://a", nil), Missing, v)
	w.want(t, source(t, "netrc://a#login", nil), v)
}

func TestFilesRefuse(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	w := newWorld(t)
	for _, c := range []struct {
		file, text, ref string
		kind            Kind
	}{
		{"x", "V", "file://none", Missing},
		{"x", "", "file://x", Missing},
		{"x", "V", "file://.", Setup},
		{"x", strings.Repeat("V", 200_000), "file://x", TooLong},
		{"x", "V", "docker://../x", Setup},
		{".env", "V\n=V{\n", "dotenv://.env#A", Malformed},
		{".env", "A=V\nB=V", "dotenv://.env", Missing},
		{".env", "A=V", "dotenv://.env#B", Missing},
		{"a.json", `{"a":"V"`, "json://a.json#a", Malformed},
		{"a.json", `{"a":"V"} x`, "json://a.json#a", Malformed},
		{"a.yaml", "a: [V", "yaml://a.yaml#a", Malformed},
		{"a.yaml", "a: &a [V]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]", "yaml://a.yaml#a", TooLong},
		{"a.ini", "[db\nV", "ini://a.ini#a", Malformed},
		{"x", "V", "netrc://host", Missing},
		{"more.yaml", "a: x\n---\nb: V\n", "yaml://more.yaml#b", Malformed},
		{"many.json", `{"V":"x"` + manyFields() + `}`, "json://many.json#V", TooLong},
		{"deep.json", strings.Repeat("[", 100) + `"V"` + strings.Repeat("]", 100), "json://deep.json#0", TooLong},
		{"x", "V", "kaggle://key", Missing},
		{"x", "V", "env://NOT_SET", Missing},
		{"x", "V", "store://NOT_SET", Missing},
		{"x", "V", "store://not a name", Setup},
	} {
		v := fill(t, filepath.Join(dir, c.file), c.text)
		s := source(t, c.ref, nil)
		s.Dir = dir
		w.refused(t, s, c.kind, v)
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 {
		v := fill(t, filepath.Join(dir, "closed"), "V")
		if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
			t.Fatal(err)
		}
		s := source(t, "file://closed", nil)
		s.Dir = dir
		w.refused(t, s, Denied, v)
	}
}

func TestEnvironmentOfWhoAsks(t *testing.T) {
	w, v := newWorld(t), random()
	s := source(t, "env://TOKEN", nil)
	s.Env = func(name string) string { return map[string]string{"TOKEN": v}[name] }
	w.want(t, s, v)
	s.Env = func(string) string { return "" } // somebody else asks: nothing was kept
	w.refused(t, s, Missing, v)
}

// Whatever a file holds, its reader ends, and says nothing of it.
func FuzzParseFile(f *testing.F) {
	for _, s := range []string{"A=b", `{"a":[1,"x"]}`, "a:\n  - b: c\n", "[s]\nk=v", "machine h login l password p", "a: &a [*a]", "machine", "\"", "macdef x\n"} {
		for i := range Formats {
			f.Add(i, []byte(s))
		}
	}
	mark := "zq" + rand.Text()
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		if i < 0 {
			return
		}
		b = append(b, mark...)
		before := bytes.Clone(b)
		all, err := ParseFile(Formats[i%len(Formats)], b)
		if !bytes.Equal(b, before) {
			t.Fatal("the file was changed")
		}
		if err != nil && strings.Contains(err.Error(), mark) {
			t.Fatal("the error repeats the file")
		}
		if len(all) > 2*maxFields {
			t.Fatalf("%d fields", len(all))
		}
	})
}

func TestPick(t *testing.T) {
	v := func(s string) secret.Value { return secret.New([]byte(s)) }
	for _, c := range []struct {
		name, field, want string
		doc               Document
	}{
		{"value", "", "x", Document{Value: v("x")}},
		{"value beside fields", "", "x", Document{Value: v("x"), Fields: map[string]secret.Value{"a": v("y")}}},
		{"field beside value", "a", "y", Document{Value: v("x"), Fields: map[string]secret.Value{"a": v("y")}}},
		{"only field", "", "y", Document{Fields: map[string]secret.Value{"a": v("y")}}},
		{"field called as the secret", "", "z", Document{Fields: map[string]secret.Value{"a": v("y"), "N": v("z")}}},
		{"several", "", "", Document{Fields: map[string]secret.Value{"a": v("y"), "b": v("z")}}},
		{"none", "", "", Document{}},
		{"field of a value", "a", "", Document{Value: v("x")}},
	} {
		got, err := c.doc.pick(c.field, "N")
		if (err != nil) != (c.want == "") || string(got.Reveal()) != c.want {
			t.Errorf("%s: %q, %v", c.name, got.Reveal(), err)
		}
	}
}
