package detect

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
)

// rule finds one sort of secret: with an expression around its keywords, or
// with a function that is called at each of them.
type rule struct {
	id       string
	rank     rank
	keywords []string // lower case; one of them is in every match

	source   string // of the expression
	anchored bool   // the match begins with the keyword
	group    int    // of the expression that is the secret; 0 for the first that matched, or all
	entropy  float64
	allow    []*allowlist
	check    func(secret []byte) bool
	lenient  bool // placeholders are told by the rule itself

	find func(s *scan, r *rule, start, end int)

	// Texts in which a secret is found, between « and » in the template language
	// of the tests, and texts in which nothing is. An own rule without both is an error.
	hits, misses []string

	once   sync.Once
	re     *regexp.Regexp
	bounds bounds
	alias  *rule // the same with another id
}

// compile makes the expression. One that does not compile matches nothing; a
// test holds that there is none.
func (r *rule) compile() {
	r.once.Do(func() {
		source := r.source
		if r.anchored {
			source = "^(?:" + source + ")"
		}
		r.re, _ = regexp.Compile(source)
		r.bounds = boundsOf(r.source)
	})
}

// named returns the rule whose id says which sort of value a label has.
func (r *rule) named(l labelSort) *rule {
	if l == passLabel && r.alias != nil {
		return r.alias
	}
	return r
}

// ruleSet is all rules behind one automaton.
type ruleSet struct {
	rules     []*rule
	allow     []*allowlist // for all rules
	keywords  []string
	byKeyword [][]uint16
	words     *automaton
}

var errNoExamples = errors.New("it has no true or no false positives of its own")

func newRuleSet() (*ruleSet, error) {
	theirs, allow, err := gitleaksRules()
	if err != nil {
		return nil, err
	}
	set := &ruleSet{allow: allow}
	for _, r := range ownRules() {
		if len(r.hits) == 0 || len(r.misses) == 0 {
			return nil, fmt.Errorf("rule %s: %w", r.id, errNoExamples)
		}
		set.rules = append(set.rules, r)
	}
	set.rules = append(set.rules, theirs...)
	index := map[string]int{}
	for i, r := range set.rules {
		for _, k := range r.keywords {
			n, known := index[k]
			if !known {
				n = len(set.keywords)
				index[k] = n
				set.keywords, set.byKeyword = append(set.keywords, k), append(set.byKeyword, nil)
			}
			set.byKeyword[n] = append(set.byKeyword[n], uint16(i))
		}
	}
	set.words = newAutomaton(set.keywords)
	return set, nil
}

func ownRules() []*rule {
	return append(append(formatRules(), placeRules()...), labelRules()...)
}
