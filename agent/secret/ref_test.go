package secret

import (
	"crypto/rand"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for _, c := range []struct{ in, scheme, path, field, version string }{
		{"openbao://kv/team/db#password", "openbao", "kv/team/db", "password", ""},
		{"openbao://kv/db?version=3#password", "openbao", "kv/db", "password", "3"},
		{"openbao://kv/db#password?version=3", "openbao", "kv/db", "password", "3"},
		{"json://a.json#what?", "json", "a.json", "what?", ""},
		{"file:///run/secrets/db", "file", "/run/secrets/db", "", ""},
		{"dotenv://.env#A", "dotenv", ".env", "A", ""},
		{"op://My Vault/item/section/field", "op", "My Vault/item/section/field", "", ""},
		{"pass://a%23b#c%3Fd", "pass", "a#b", "c?d", ""},
		{"netrc://user@host", "netrc", "user@host", "", ""},
		{"ref+vault://secret/foo#/bar", "openbao", "secret/foo", "bar", ""},
		{"ref+vault://secret/foo/#/a/b+", "openbao", "secret/foo", "a.b", ""},
		{"ref+awssecrets://name?version=2#/x", "aws-sm", "name", "x", "2"},
		{"ref+sops://f.yaml#/a/b", "sops", "f.yaml", "a.b", ""},
		{"ref+awssecrets://name?version_id=2", "aws-sm", "name", "", "2"},
		{"ref+awsssm://foo/bar", "aws-ssm", "/foo/bar", "", ""},
		{"ref+awsssm://foo?region=eu-west-1#/bar/a", "aws-ssm", "/foo/bar/a", "", ""},
		{"ref+awsssm://foo/bar?mode=singleparam&version=3#/a/b", "aws-ssm", "/foo/bar", "a.b", "3"},
		{"ref+file://some.json#/foo/bar", "json", "some.json", "foo.bar", ""},
		{"ref+file://some.yml#/foo", "yaml", "some.yml", "foo", ""},
		{"ref+file:///etc/key", "file", "/etc/key", "", ""},
		{"ref+envsubst://$KEY", "env", "KEY", "", ""},
		{"ref+envsubst://${KEY}", "env", "KEY", "", ""},
		{"ref+bw://id/username", "bitwarden", "id", "username", ""},
		{"ref+keychain://name/", "keychain", "name", "", ""},
		{"ref+gcpsecrets://project/name?version=2#/a", "gcp", "project/name", "a", "2"},
		{"ref+op://vault/item/field", "op", "vault/item/field", "", ""},
		{"my-thing://x", "my-thing", "x", "", ""},
	} {
		r, err := ParseRef(c.in)
		if err != nil || r.Scheme != c.scheme || r.Path != c.path || r.Field != c.field || r.Option("version") != c.version || r.String() != c.in {
			t.Errorf("%s: %+v, %v", c.in, r, err)
		}
	}
	place := func(s string) string {
		r, err := ParseRef(s)
		if err != nil {
			t.Error(err)
		}
		return r.Place()
	}
	for _, c := range [][2]string{{"kv://a?v=1#x", "kv://a#y?v=1"}, {"ref+vault://a/b#/x", "openbao://a/b"}} {
		if place(c[0]) != place(c[1]) {
			t.Errorf("%s and %s are two places", c[0], c[1])
		}
	}
	for _, c := range [][2]string{{"kv://a#x", "kv://a#x?v=1"}, {"kv://a%3Fv=1", "kv://a?v=1"}} {
		if place(c[0]) == place(c[1]) {
			t.Errorf("%s and %s are one place", c[0], c[1])
		}
	}
	v := rand.Text()
	for _, in := range []string{
		"", v, "://" + v, "x://", "A://" + v, "a b://" + v, "postgres://user:" + v + "@host/db", "x://" + v + "\n", "x://" + v + "%zz",
		"x://%00" + v, "9x://" + v, "x://" + strings.Repeat(v, MaxRefLen),
	} {
		if r, err := ParseRef(in); err == nil || strings.Contains(err.Error(), v) || !r.IsZero() {
			t.Errorf("%.20q is a reference: %v", strings.ReplaceAll(in, v, "VALUE"), err)
		}
	}
}

// What was read once is read the same again.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"a://b", "a://b?c=d#e", "ref+vault://a#/b/c+", "op://a/b/c", "a://%23#%3F", "x://u:p@h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			if !r.IsZero() {
				t.Fatal("an error with a reference")
			}
			return
		}
		if again, err := ParseRef(r.String()); err != nil || again != r {
			t.Fatalf("%q became %q, %v", r, again, err)
		}
		if !isScheme(r.Scheme) || strings.ContainsAny(r.Path+r.Field, "\x00") {
			t.Fatalf("%+v", r)
		}
	})
}
