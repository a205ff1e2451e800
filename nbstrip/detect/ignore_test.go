package detect

import (
	"errors"
	"strings"
	"testing"
)

func TestFingerprint(t *testing.T) {
	r := seeded()
	found := []byte(hexValue(r, 32))
	print := Fingerprint("api-key", found)
	if !printForm().MatchString(print) || print != Fingerprint("api-key", found) || strings.Contains(print, string(found[:6])) {
		t.Errorf("fingerprint %q", print)
	}
	if print == Fingerprint("api-key", []byte(hexValue(r, 32))) || print[8:] == Fingerprint("jwt", found)[4:] {
		t.Error("two findings have the same fingerprint")
	}
}

func TestRule(t *testing.T) {
	for name, want := range map[string]string{"API-KEY-12ab": "api-key", "JWT-0000": "jwt", "API_KEY": "", "": ""} {
		if got, ok := Rule(name); got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
}

func TestIgnoreFile(t *testing.T) {
	r := seeded()
	known, other := []byte(hexValue(r, 32)), []byte(hexValue(r, 32))
	ig, err := ParseIgnore([]byte("# looked at\r\n\n  " + Fingerprint("api-key", known) + "  # by me\n"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second answer is remembered
		if !ig.Has("api-key", known) || ig.Has("api-key", other) || ig.Has("password", known) {
			t.Error("not what the file says")
		}
	}
	if (*Ignore)(nil).Has("api-key", known) {
		t.Error("nil ignores something")
	}
	for _, line := range []string{string(known), "api-key", "api-key:123", "API-KEY:0123456789ab", "api-key:0123456789ab x"} {
		_, err := ParseIgnore([]byte("\n" + line))
		var bad *IgnoreError
		if !errors.As(err, &bad) || bad.Line != 2 || strings.Contains(err.Error(), line) {
			t.Errorf("a line of another form: %v", err)
		}
	}
}

func FuzzParseIgnore(f *testing.F) {
	f.Add([]byte("api-key:0123456789ab # why\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ig, err := ParseIgnore(b)
		if (ig == nil) == (err == nil) {
			t.Errorf("%v, %v", ig, err)
		}
	})
}
