package detect

import (
	"context"
	"encoding/base64"
	"hash/crc32"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var part = regexp.MustCompile(`<([A-Za-z])(\d+)>|<B>`)

func chars(r *rand.Rand, n int, set string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = set[r.IntN(len(set))]
	}
	return string(b)
}

const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	numbers = "0123456789"
)

// expand makes an example of a template: <A20> is twenty letters or digits and
// so on; between « and » is the secret.
func expand(r *rand.Rand, template string) (text string, start, end int) {
	text = part.ReplaceAllStringFunc(template, func(p string) string {
		if p == "<B>" {
			return base64.StdEncoding.EncodeToString([]byte("jane:Maple" + chars(r, 4, numbers) + "!x"))
		}
		m := part.FindStringSubmatch(p)
		n, _ := strconv.Atoi(m[2])
		switch m[1] {
		case "A":
			return chars(r, n, letters+numbers)
		case "L":
			return chars(r, n, letters)
		case "a":
			return chars(r, n, letters[26:]+numbers)
		case "h":
			return chars(r, n, "0123456789abcdef")
		case "u":
			return chars(r, n, letters+numbers+"-_")
		case "U":
			return chars(r, n, letters[:26]+numbers)
		case "W":
			return chars(r, n, letters[:26]+"234567")
		case "d":
			return chars(r, n, numbers)
		case "D":
			return chars(r, 1, "123456789") + chars(r, n-1, numbers)
		case "b":
			return chars(r, n, letters+numbers+"+/")
		case "C", "Z":
			body := chars(r, 30, letters+numbers)
			sum, tail := crc32.ChecksumIEEE([]byte(body)), make([]byte, 6)
			if m[1] == "Z" {
				sum++
			}
			for i := 5; i >= 0; i-- {
				tail[i] = (numbers + letters)[sum%62]
				sum /= 62
			}
			return body + string(tail)
		}
		return p
	})
	start = strings.Index(text, "«")
	if start < 0 {
		return text, 0, 0
	}
	text = strings.Replace(text, "«", "", 1)
	end = strings.Index(text, "»")
	return strings.Replace(text, "»", "", 1), start, end
}

// TestRules tries the own examples of every own rule: the whole secret and
// nothing else.
func TestRules(t *testing.T) {
	d := New(nil)
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for _, rule := range ownRules() {
		t.Run(rule.id, func(t *testing.T) {
			for _, template := range rule.hits {
				missed := 0
				for range 40 {
					text, start, end := expand(r, template)
					res, err := d.Find(context.Background(), []byte(text))
					if err != nil {
						t.Fatal(err)
					}
					if len(res.Spans) != 1 || res.Spans[0].Start != start || res.Spans[0].End != end {
						missed++
					}
				}
				// A made-up value may by chance look like a word or a stand-in.
				if missed > 3 {
					t.Errorf("%q: not found, or not exactly, in %d of 40", template, missed)
				}
			}
			for _, template := range rule.misses {
				for range 20 {
					text, _, _ := expand(r, template)
					res, err := d.Find(context.Background(), []byte(text))
					if err != nil {
						t.Fatal(err)
					}
					if len(res.Spans) > 0 {
						t.Errorf("%q: %s found", template, res.Spans[0].Name[:len(res.Spans[0].Name)-5])
						break
					}
				}
			}
		})
	}
}

// TestExpressions compiles every rule, gitleaks' too.
func TestExpressions(t *testing.T) {
	set, err := newRuleSet()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.rules); n < 200 {
		t.Errorf("%d rules", n)
	}
	for _, r := range set.rules {
		if r.find == nil {
			r.compile()
			if r.re == nil {
				t.Errorf("rule %s does not compile", r.id)
			}
		}
	}
}
