package match

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

// awkward returns random values with what encodings change; the last two have lines.
func awkward(r *rand.Rand) []string {
	k := func(n int) string { return random(r, n, alnum) }
	return []string{
		k(32),
		k(8) + `"` + k(4) + `\` + k(3) + `'` + k(9),
		k(10) + "/" + k(5) + "+" + k(5) + "=" + k(7) + "==",
		k(6) + "<b>&" + k(4) + ";'\"" + k(8),
		k(9) + " " + k(3) + "\t" + k(12),
		k(6) + "é" + k(3) + "€" + k(2) + "😀" + k(7) + "\u00a0" + k(5) + "\x7f" + k(3),
		k(5) + "~!*'()_.-%" + k(9),
		"postgresql://app:" + k(18) + "@localhost:5432/db?a=b&c=d",
		k(20) + "\n" + k(24) + "\r\n" + k(17) + "\n",
		"{\n  \"key\": \"" + k(30) + "\"\n}\n",
	}
}

// checkCovered fails unless all of encoded, and nothing around it, is replaced.
func checkCovered(t *testing.T, s *Set, what, before, encoded, after string) {
	t.Helper()
	text := before + encoded + after
	got := string(Replace(nil, []byte(text), find(t, s, []byte(text)).Spans))
	want := before + Placeholder(s.names[0]) + after
	if got != want {
		t.Errorf("%s: %q became %q", what, text, got)
	}
}

func TestEncodings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	values := awkward(r)
	for _, v := range values[:len(values)-2] {
		s := New([]Known{{"V", secret.New([]byte(v))}})
		checkCovered(t, s, "raw", "a ", v, " b")
		checkCovered(t, s, "hex", "(", hex.EncodeToString([]byte(v)), ")")
		checkCovered(t, s, "HEX", "(", strings.ToUpper(hex.EncodeToString([]byte(v))), ")")
		checkCovered(t, s, "query", "?a=", url.QueryEscape(v), "&b")
		checkCovered(t, s, "html", "<p>", html.EscapeString(v), "</p>")
		checkCovered(t, s, "base64", " ", base64.StdEncoding.EncodeToString([]byte(v)), " ")
		checkCovered(t, s, "base64url", " ", base64.RawURLEncoding.EncodeToString([]byte(v)), " ")
	}
}

// TestBase64Inside puts a value into longer data at every alignment: but for
// the other bytes of its first and last characters, nothing of it is left.
func TestBase64Inside(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 5))
	for n := 8; n < 40; n++ {
		v := random(r, n, alnum+"?>~ÿ")
		s := New([]Known{{"V", secret.New([]byte(v))}})
		for before := range 7 {
			for after := range 7 {
				a, b := random(r, before, hexes), random(r, after, hexes)
				for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
					text := enc.EncodeToString([]byte(a + v + b))
					lo, hi := 8*before/6, min((8*(before+n)+5)/6, len(text))
					spans := find(t, s, []byte(text)).Spans
					if len(spans) != 1 || spans[0].Start > lo || spans[0].End < hi {
						t.Fatalf("%d bytes behind %d and before %d: %v in %q, want [%d, %d)", n, before, after, spans, text, lo, hi)
					}
				}
			}
		}
	}
}

// TestEveryFragment finds each fragment of each form, at each place.
func TestEveryFragment(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, v := range []string{random(r, 24, alnum), random(r, 20, alnum+"/+=-_"), random(r, 18, alnum+"!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~")} {
		s := New([]Known{{"V", secret.New([]byte(v))}})
		for i := range s.forms {
			form := s.arena[s.forms[i].start : s.formEnd(i)-int(s.forms[i].edge.pad)]
			for lo := range form {
				for hi := lo + minPiece; hi <= len(form); hi++ {
					at := (lo + hi) % 11
					text := append(append(bytes.Repeat([]byte{1}, at), form[lo:hi]...), "\x01\x01\x01"...)
					spans := find(t, s, text).Spans
					light := bytes.Contains(form, []byte("&")) && sumHeft(s, int(s.forms[i].start)+lo, int(s.forms[i].start)+hi) < minHeft
					if !light && (len(spans) != 1 || spans[0].Start != at || spans[0].End != at+hi-lo) {
						t.Fatalf("bytes %d to %d of %q at %d: %v", lo, hi, form, at, spans)
					}
				}
			}
		}
	}
}

func sumHeft(s *Set, lo, hi int) int {
	n := 0
	for i := lo; i < hi; i++ {
		n += int(s.heft[i/4] >> (i % 4 * 2) & 3)
	}
	return n
}

const pythonForms = `
import json, sys, html, base64, urllib.parse as u
for line in sys.stdin:
    v = json.loads(line)
    q = lambda f, *a, **k: f(v, *a, **k)
    forms = [json.dumps(v)[1:-1], json.dumps(v, ensure_ascii=False)[1:-1], json.dumps(json.dumps(v))[3:-3],
        json.dumps(v)[1:-1].replace("/", "\\/"), json.dumps(json.dumps(v, ensure_ascii=False), ensure_ascii=False)[3:-3],
        u.quote(v), u.quote(v, safe=""), u.quote_plus(v), html.escape(v), html.escape(v, quote=False),
        repr(v)[1:-1], repr("'" + v)[2:-1] if '"' not in v else v, repr(v.encode())[2:-1], v.encode().hex(), v.encode().hex().upper(),
        base64.b64encode(v.encode()).decode(), base64.urlsafe_b64encode(v.encode()).decode(), ascii(v)[1:-1], repr([v])[2:-2]]
    print(json.dumps(forms))
`

// TestPython asks Python itself for its encodings.
func TestPython(t *testing.T) {
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON names no Python")
		}
		t.Skip("NBHUSH_TEST_PYTHON names no Python")
	}
	values := awkward(rand.New(rand.NewPCG(4, 5)))
	var in bytes.Buffer
	for _, v := range values {
		if err := json.NewEncoder(&in).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "-c", pythonForms)
	cmd.Stdin = &in
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for i, v := range values {
		var forms []string
		if err := dec.Decode(&forms); err != nil {
			t.Fatal(err)
		}
		s := New([]Known{{"V", secret.New([]byte(v))}})
		for j, f := range forms {
			if strings.Contains(f, "\n") { // short lines and the last newline are left
				f = strings.TrimRight(f, "\n")
				f = strings.TrimSuffix(strings.TrimPrefix(f, "{\n"), "\n}")
			}
			checkCovered(t, s, fmt.Sprintf("value %d, form %d", i, j), " ", f, " ")
		}
	}
}

func TestURLPassword(t *testing.T) {
	for in, want := range map[string]string{
		"postgresql://app:pa-ss@host:5432/db":      "pa-ss",
		"redis://:only@host":                       "only",
		"mongodb+srv://u:p:q@cluster0.mongodb.net": "p:q",
		"https://user@host:80/":                    "",
		"https://host:80/a@b":                      "",
		"https://hooks.example/services/T/B/X":     "",
		"no scheme://a:b@c":                        "",
		"a:b@c":                                    "",
		"x://":                                     "",
	} {
		lo, hi := urlPassword([]byte(in))
		if got := in[lo:hi]; got != want {
			t.Errorf("urlPassword(%q) = %q, want %q", in, got, want)
		}
	}
	pw := random(rand.New(rand.NewPCG(5, 5)), 9, alnum)
	s := New([]Known{{"DB", secret.New([]byte("postgresql://app:" + pw + "@db.example.com:5432/sales"))}})
	for text, want := range map[string]string{
		"password is " + pw + "!":                                  "password is [nbhush:DB]!",
		"postgresql://app:x@db.example.com:5432/sales":             "postgresql://app:x@db.example.com:5432/sales",
		"to postgresql://app:" + pw + "@db.example.com:5432/sales": "to [nbhush:DB]",
	} {
		if got := string(Replace(nil, []byte(text), find(t, s, []byte(text)).Spans)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
