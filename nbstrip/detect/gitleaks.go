package detect

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"
)

// What gitleaks' rules say of the edges of a secret, and what is used instead:
// what stands before a name does not matter, and a secret ends where its
// characters do, also before </td> or a comma.
var edges = strings.NewReplacer(
	`[\w.-]{0,50}?`, ``,
	`(?:[\x60'"\s;]|\\[nr]|$)`, `(?:[^0-9A-Za-z_]|$)`,
)

// replaced are rules of gitleaks that rules of this package replace, or that
// say next to nothing of a notebook.
var replaced = map[string]string{ //nolint:gosec // names of rules
	"generic-api-key":          "assigned values are looked at by label",
	"private-key":              "key blocks are looked at by block",
	"aws-access-token":         "aws-access-key, which looks for the other half too",
	"curl-auth-header":         "bearer-token and basic-auth, in any command",
	"curl-auth-user":           "curl-user, which leaves the user's name",
	"slack-webhook-url":        "webhook, which leaves the host",
	"vault-service-token":      "vault-token: its keyword is s.",
	"jwt":                      "jwt, of any length",
	"jwt-base64":               "jwt, seen through base64",
	"github-pat":               "github-token, which verifies the checksum",
	"github-oauth":             "github-token",
	"github-app-token":         "github-token",
	"github-refresh-token":     "github-token",
	"npm-access-token":         "npm-token, which verifies the checksum",
	"sourcegraph-access-token": "any 40 hexadecimal digits, as in every commit",
}

// gitleaksConfig is what is used of config.DefaultConfig.
type gitleaksConfig struct {
	Allowlist  allowTOML   `toml:"allowlist"`
	Allowlists []allowTOML `toml:"allowlists"`
	Rules      []struct {
		ID          string
		Regex       string
		Path        string
		SecretGroup int     `toml:"secretGroup"`
		Entropy     float64 `toml:"entropy"`
		Keywords    []string
		Allowlists  []allowTOML `toml:"allowlists"`
	}
}

type allowTOML struct {
	Condition   string   `toml:"condition"`
	Paths       []string `toml:"paths"`
	Commits     []string `toml:"commits"`
	Regexes     []string `toml:"regexes"`
	RegexTarget string   `toml:"regexTarget"`
	StopWords   []string `toml:"stopwords"`
}

// allowlist names what is no secret.
type allowlist struct {
	target string // match, line or the secret
	words  []string
	source []string
	once   sync.Once
	res    []*regexp.Regexp
}

func newAllowlists(from []allowTOML) (lists []*allowlist) {
	for _, a := range from {
		if a.Condition == "AND" && len(a.Paths)+len(a.Commits) > 0 {
			continue // a notebook's path matches none of them
		}
		if len(a.Regexes)+len(a.StopWords) > 0 {
			lists = append(lists, &allowlist{target: a.RegexTarget, words: a.StopWords, source: a.Regexes})
		}
	}
	return lists
}

func (a *allowlist) allows(secret, match, line []byte) bool {
	a.once.Do(func() {
		for _, s := range a.source {
			if re, err := regexp.Compile(s); err == nil {
				a.res = append(a.res, re)
			}
		}
	})
	if len(a.words) > 0 {
		low := strings.ToLower(string(secret))
		for _, w := range a.words {
			if strings.Contains(low, strings.ToLower(w)) {
				return true
			}
		}
	}
	text := secret
	switch a.target {
	case "match":
		text = match
	case "line":
		text = line
	}
	for _, re := range a.res {
		if re.Match(text) {
			return true
		}
	}
	return false
}

// gitleaksRules returns gitleaks' rules, not compiled.
func gitleaksRules() ([]*rule, []*allowlist, error) {
	var c gitleaksConfig
	if err := toml.Unmarshal([]byte(config.DefaultConfig), &c); err != nil {
		return nil, nil, fmt.Errorf("read gitleaks' rules: %w", err)
	}
	var rules []*rule
	for _, r := range c.Rules {
		if r.Regex == "" || r.Path != "" || len(r.Keywords) == 0 || replaced[r.ID] != "" {
			continue
		}
		rules = append(rules, &rule{
			id: r.ID, rank: rankFormat, keywords: r.Keywords, source: edges.Replace(r.Regex),
			group: r.SecretGroup, entropy: r.Entropy, allow: newAllowlists(r.Allowlists),
		})
	}
	return rules, newAllowlists(append(c.Allowlists, c.Allowlist)), nil
}

// bounds say what of a text has to be looked at for a regular expression.
type bounds struct {
	longest int // length of a match; maxWindow if there is no limit
	run     int // characters of secrets in a row that every match has
}

const (
	nearWindow = 64
	maxWindow  = 1000
)

func boundsOf(source string) bounds {
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return bounds{longest: maxWindow}
	}
	return bounds{longest: longest(re), run: run(re)}
}

// longest returns how long a match of re may be.
func longest(re *syntax.Regexp) int {
	n := 0
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		n = 1
	case syntax.OpStar, syntax.OpPlus:
		n = maxWindow
	case syntax.OpRepeat:
		n = maxWindow
		if re.Max >= 0 {
			n = re.Max * longest(re.Sub[0])
		}
	case syntax.OpAlternate:
		for _, s := range re.Sub {
			n = max(n, longest(s))
		}
	default:
		for _, s := range re.Sub {
			n += longest(s)
		}
	}
	return min(n, maxWindow)
}

// run returns how many characters of the class token every match has in a row.
func run(re *syntax.Regexp) int {
	n := 0
	switch re.Op {
	case syntax.OpRepeat:
		if re.Sub[0].Op == syntax.OpCharClass && onlyToken(re.Sub[0].Rune) {
			return re.Min
		}
		if re.Min > 0 {
			n = run(re.Sub[0])
		}
	case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
		for _, s := range re.Sub {
			n = max(n, run(s))
		}
	case syntax.OpAlternate:
		for i, s := range re.Sub {
			if m := run(s); i == 0 || m < n {
				n = m
			}
		}
	}
	return n
}

func onlyToken(ranges []rune) bool {
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if r > 127 && r != 'ſ' && r != 'K' || r <= 127 && !isToken[r] {
				return false
			}
		}
	}
	return true
}
