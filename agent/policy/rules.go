package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Verdict is what a rule says.
type Verdict string

// The verdicts.
const (
	Allow Verdict = "allow"
	Ask   Verdict = "ask"
	Deny  Verdict = "deny"
)

// Rule is one element of [[rules]]: a verdict on names, for the requests that
// meet every condition that it has. All but the verdict are patterns.
type Rule struct {
	Verdict  Verdict
	Names    []string
	Notebook []string // paths, relative to the folder of the nbhush.toml; in the settings also absolute ones
	Kernel   []string // names of kernelspecs, or languages
	Profile  []string
	Project  []string // absolute paths of projects' folders; only in the user's settings

	Path string // of the file that says so
	Line int
}

// String says where the rule stands.
func (r *Rule) String() string { return fmt.Sprintf("%s:%d", r.Path, r.Line) }

const (
	maxRules    = 1000
	maxPatterns = 1000
)

func strQuote(s string) string { return strconv.Quote(s) }

// patterns reads one pattern or a list of them.
func patterns(v any) (list []string, reason string) {
	const must = "is a list of patterns, such as [\"main\", \"release/*\"]"
	all, ok := v.([]any)
	if !ok {
		all = []any{v}
	}
	if len(all) == 0 || len(all) > maxPatterns {
		return nil, must
	}
	for _, p := range all {
		text, ok := p.(string)
		if !ok || !validPattern(text) {
			return nil, must
		}
		list = append(list, text)
	}
	return list, ""
}

// parseRules reads [[rules]] of src, which stands in a file that Path names.
// settings says that it is the user's own. A reason is about one line.
func parseRules(src []byte, all []map[string]any, settings bool) (rules []Rule, line int, reason string) {
	if len(all) == 0 {
		return nil, 0, ""
	}
	lines := linesOf(src, "rules")
	switch {
	case len(lines) != len(all):
		return nil, lineOf(src, "rules"), "rules are [[rules]]"
	case len(all) > maxRules:
		return nil, lines[maxRules], "too many rules"
	}
	for i, table := range all {
		r := Rule{Line: lines[i]}
		if reason := r.parse(table, settings); reason != "" {
			return nil, r.Line, reason
		}
		rules = append(rules, r)
	}
	return rules, 0, ""
}

func (r *Rule) parse(table map[string]any, settings bool) (reason string) {
	conditions := map[string]*[]string{"notebook": &r.Notebook, "kernel": &r.Kernel, "profile": &r.Profile}
	if settings {
		conditions["project"] = &r.Project
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		to := conditions[key]
		if v := Verdict(key); v == Allow || v == Ask || v == Deny {
			if r.Verdict != "" {
				return "a rule has one of allow, ask and deny"
			}
			r.Verdict, to = v, &r.Names
		}
		if to == nil {
			return "a rule has no such key" + word([]string{key})
		}
		if *to, reason = patterns(table[key]); reason != "" {
			return strQuote(key) + " " + reason
		}
	}
	switch {
	case r.Verdict == "":
		return `a rule needs allow, ask or deny: deny = ["PROD_*"]`
	case settings && r.Verdict == Allow && len(r.Project) == 0:
		return "allow needs project: what a clone brings along must not profit"
	}
	return ""
}

// OwnRules returns [[rules]] of the user's settings at path; none where there
// are no settings. A pattern that begins with ~/ means the folder home.
func OwnRules(path, home string) ([]Rule, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return parseOwn(path, home, src)
}

func parseOwn(path, home string, src []byte) ([]Rule, error) {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	var f struct {
		Rules []map[string]any `toml:"rules"`
	}
	if err := toml.Unmarshal(src, &f); err != nil {
		line, _ := explain(err)
		return nil, &ruleError{path, line, "not valid TOML, or rules are no [[rules]]"}
	}
	rules, line, reason := parseRules(src, f.Rules, true)
	if reason != "" {
		return nil, &ruleError{path, line, reason}
	}
	for i := range rules {
		r := &rules[i]
		r.Path = path
		for _, list := range []*[]string{&r.Project, &r.Notebook} {
			for i, p := range *list {
				if rest, ok := strings.CutPrefix(p, "~/"); ok {
					(*list)[i] = filepath.ToSlash(home) + "/" + rest
				}
			}
			for _, p := range *list {
				if real := resolved(p, list == &r.Notebook); real != p {
					*list = append(*list, real)
				}
			}
		}
	}
	return rules, nil
}

// resolved returns an absolute pattern with the folders in front of its first wildcard as
// they are without symbolic links, which is how projects and notebooks are known. A
// notebook that is a link stays one.
func resolved(pattern string, notebook bool) string {
	if !strings.HasPrefix(pattern, "/") {
		return pattern
	}
	fixed := pattern
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		fixed = pattern[:strings.LastIndexByte(pattern[:i], '/')]
	} else if notebook {
		fixed = pattern[:strings.LastIndexByte(pattern, '/')]
	}
	real, err := filepath.EvalSymlinks(filepath.FromSlash(fixed))
	if fixed == "" || err != nil {
		return pattern
	}
	return strings.TrimSuffix(filepath.ToSlash(real), "/") + pattern[len(fixed):]
}

// ruleError says what is wrong with the user's own rules. Nothing is allowed
// to a kernel then: a denial may be among them.
type ruleError struct {
	path   string
	line   int
	reason string
}

func (e *ruleError) Error() string {
	return fmt.Sprintf("settings %s: line %d: %s", e.path, e.line, e.reason)
}

// Hint shows what a rule looks like.
func (e *ruleError) Hint() string {
	return `mend it; a rule looks like this: [[rules]] deny = ["PROD_*"] project = ["~/play/**"]`
}

// fit is how far a rule is about a request.
type fit int

const (
	not fit = iota
	perhaps
	fully
)

// about says whether the rule is about q. What is not known of a kernel may meet
// the condition of a rule that takes something away, and does not meet that of
// one that gives: nobody gains by saying nothing.
func (r *Rule) about(q Request) fit {
	if !r.named(string(q.Name)) ||
		r.Profile != nil && !matchesAny(r.Profile, q.Profile) ||
		r.Project != nil && !matchesAny(r.Project, filepath.ToSlash(q.Dir)) {
		return not
	}
	is := fully
	condition := func(patterns []string, known, met bool) {
		switch {
		case patterns == nil || known && met:
		case known || r.Verdict == Allow || q.Shell: // the shell is no kernel
			is = not
		default:
			is = min(is, perhaps)
		}
	}
	condition(r.Notebook, q.Notebook != "", r.inNotebook(q))
	condition(r.Kernel, q.Spec != "", matchesAny(r.Kernel, q.Spec) || matchesAny(r.Kernel, q.Language))
	return is
}

// named matches the name. A denial does so in capitals and small letters alike: who
// writes deny = ["prod_*"] means PROD_DB as well.
func (r *Rule) named(name string) bool {
	return matchesAny(r.Names, name) || r.Verdict == Deny && slices.ContainsFunc(r.Names, func(p string) bool {
		return matches(strings.ToLower(p), strings.ToLower(name))
	})
}

// inNotebook matches the notebook's path from the project's folder, or all of
// it where the pattern is absolute.
func (r *Rule) inNotebook(q Request) bool {
	rel, err := filepath.Rel(q.Dir, q.Notebook)
	for _, p := range r.Notebook {
		if strings.HasPrefix(p, "/") && matches(p, filepath.ToSlash(q.Notebook)) || err == nil && matches(p, filepath.ToSlash(rel)) {
			return true
		}
	}
	return false
}

// first returns the first rule that is about q, or a stricter one before it that
// may be about q, or nil.
func first(rules []Rule, q Request) (r *Rule) {
	for i := range rules {
		is := rules[i].about(q)
		if is != not && (r == nil || rules[i].Verdict == Deny) {
			r = &rules[i]
		}
		if is == fully {
			return r
		}
	}
	return r
}
