package match

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

func TestWeakness(t *testing.T) {
	for _, weak := range []string{
		"", "a", "1234567", "password", "Password1!", "localhost", "changeme123", "aaaaaaaaaaaa", "abababababab", "configuration",
		"Internet", "12345678", "0123456789abcdef", "abcdefghijkl", "qwertyuiop", "00000000-0000-0000-0000-000000000000",
		"https://www.googleapis.com/", "postgresql://localhost:5432/", "[nbhush:OPENAI_API_KEY]", "abc\ndefg\nhij\nklmn\n",
		"-----BEGIN PRIVATE KEY-----\n", "your-api-key-here", "2024-01-01", "\n\n\n\n\n\n\n\n\n\n", "passw0rd", "postgres",
	} {
		if Weakness(secret.New([]byte(weak))) == "" {
			t.Errorf("Weakness(%q) is empty", weak)
		}
		if s := New([]Known{{"WEAK", secret.New([]byte(weak))}}); s.Len() != 0 || len(find(t, s, []byte("is "+weak+" it")).Spans) != 0 {
			t.Errorf("New took %q", weak)
		}
	}
	r := mathrand.New(mathrand.NewPCG(6, 5))
	for _, strong := range []string{
		rand.Text(), random(r, 8, alnum), random(r, 32, hexes), random(r, 16, "0123456789"), "correct horse battery staple",
		"hunter2hunter3", "sk-proj-" + random(r, 40, alnum), randomURL(r), randomRSA(r), randomServiceAccount(r, "  "), randomJWT(r), "пароль от базы",
	} {
		if why := Weakness(secret.New([]byte(strong))); why != "" {
			t.Errorf("a value of %d bytes is said to be %s", len(strong), why)
		}
	}
	if Weakness(secret.Value{}) == "" {
		t.Error("no value is not weak")
	}
	long := secret.New([]byte(random(r, maxLen+20, alnum)))
	if why := Weakness(long); !strings.Contains(why, "64 KiB") {
		t.Errorf("Weakness of a long value = %q", why)
	}
	s := New([]Known{{"LONG", long}})
	if got := find(t, s, long.Reveal()).Spans; len(got) != 1 || got[0].End != maxLen {
		t.Errorf("a long value is found in %d spans", len(got))
	}
}

// TestRandomBytesWeighAll holds that weights do not touch random values.
func TestRandomBytesWeighAll(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(7, 5))
	for range 3000 {
		for _, alphabet := range []string{alnum, hexes, base64s, alnum + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"} {
			v := []byte(random(r, 12+r.IntN(50), alphabet))
			if got := sum(weigh(v)); got != 2*len(v) {
				t.Fatalf("%q weighs %d halves of %d", v, got, 2*len(v))
			}
		}
	}
}

func TestWeigh(t *testing.T) {
	// Each byte of want is the weight, in halves, of the byte of value above it.
	for _, c := range []struct{ name, value, want string }{
		{"scheme", "https://zqxj", "000000002222"},
		{"run", "zqaaaaaaxj", "2200000022"},
		{"sequence", "zq123456xj", "2200000022"},
		{"down", "zq654321xj", "2200000022"},
		{"phrase", "correct horse zqxj", "111111111111112222"},
		{"one word in a token", "zqxj8472-horse-k3v9q7x", "2222222222222222222222"},
		{"letters beyond ascii", "жужа", "10101010"},
		{"date", "sig2024-01-02zz", "222000000000022"},
		{"json", `"a": "zq"`, "220000222"},
		{"url with password", "x://usr:zqxjkvwy@h.z/p?a", "000000002222222200000022"},
	} {
		got := weigh([]byte(c.value))
		for i := range got {
			got[i] += '0'
		}
		if string(got) != c.want {
			t.Errorf("%s: %q weighs %s, want %s", c.name, c.value, got, c.want)
		}
	}
}

func TestBoilerplateTable(t *testing.T) {
	for _, s := range boilerplate {
		if len(s) < 4 {
			t.Errorf("%q is shorter than the key of the index", s)
		}
		if got := sum(weigh([]byte(s))); got != 0 {
			t.Errorf("%q weighs %d", s, got)
		}
	}
}

// TestPeriodic holds that all of a periodic value is found although its repeats are left out.
func TestPeriodic(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(9, 5))
	for _, period := range []int{5, 16, 100} {
		v := random(r, 20, alnum) + strings.Repeat(random(r, period, alnum), 4000/period) + random(r, 20, alnum)
		s := New([]Known{{"V", secret.New([]byte(v))}})
		if len(s.arena) > 40*9*(period+20) {
			t.Errorf("period %d: %d bytes of forms", period, len(s.arena))
		}
		for _, text := range []string{v, v[:2000], v[1000:3000], v[2000:]} {
			if got := find(t, s, []byte("("+text+")")).Spans; len(got) != 1 || got[0] != (Span{1, 1 + len(text), "V"}) {
				t.Errorf("period %d: %d bytes are found as %v", period, len(text), got)
			}
		}
	}
}

// TestSharedByManyValues holds that what all values of a set begin with is no
// reason to redact.
func TestSharedByManyValues(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(8, 5))
	prefix := random(r, 20, alnum)
	var known []Known
	for range 3 * sharedMax {
		known = append(known, Known{"K", secret.New([]byte(prefix + random(r, 20, alnum)))})
	}
	if got := find(t, New(known[:3]), []byte(" "+prefix+" ")).Spans; len(got) != 1 {
		t.Errorf("shared by three: %v", got)
	}
	s := New(known)
	if got := find(t, s, []byte(" "+prefix+" ")).Spans; len(got) != 0 {
		t.Errorf("shared by all: %v", got)
	}
	if got := find(t, s, known[5].Value.Reveal()).Spans; len(got) != 1 || got[0].Start != 0 {
		t.Errorf("a whole value: %v", got)
	}
	var same []Known
	for range 3 * sharedMax {
		same = append(same, known[0])
	}
	if got := find(t, New(same), []byte(" "+prefix+" ")).Spans; len(got) != 1 {
		t.Errorf("one value under many names: %v", got)
	}
}
