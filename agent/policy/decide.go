package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// Request is one wish for one value.
type Request struct {
	Name       secret.Name
	Owner      bool      // the user's own shell, not a kernel or its child
	Shell      bool      // the user's own command, which asks for all that a file lists
	ConfigPath string    // of the nbhush.toml that counts, or ""
	ConfigHash string    // its Hash, or ""
	Dir        string    // folder of the nbhush.toml, or where there is none, of the kernel
	Profile    string    // that counts, or ""
	Notebook   string    // the kernel's, absolute, if the kernel runs in its folder; or ""
	Kernel     string    // names the process of its hook: no other one, before or later, has the same
	Spec       string    // the name of its kernelspec, as far as that is known
	Language   string    // the same, of its language
	Now        time.Time // at which grants with a date must still hold
	Rules      []Rule    // the user's own
}

// Decision is yes or no, and why.
type Decision struct {
	Allow  bool
	Ask    bool // the user may be asked, who could say yes: nobody said no yet
	Listed bool // nothing but that yes is missing
	Reason string
	Hint   string // what makes a no a yes, or ""
	Rule   *Rule  // that decided, or nil
	Grant  *Grant // the same
}

// Decide says whether r is granted. It looks at nothing but its arguments and
// changes nothing. A nil Config means that there is no nbhush.toml, a nil
// Approval that nobody approved one. What no rule allows is denied. What is said
// of kernels counts in this order:
//
//  1. the user's denials, by name and by the rules in his settings
//  2. a deny of the approved nbhush.toml
//  3. where a rule asks first, or the profile does: a grant, or the user is asked
//  4. what the approved nbhush.toml lists; what the user's rules allow; a grant
//
// So a rule of an nbhush.toml takes away, or asks, and never gives.
func Decide(r Request, c *Config, a *Approval, grants ...Grant) Decision {
	if r.Owner {
		return Decision{Allow: true, Reason: "asked by the user's own shell"}
	}
	given := r.among(grants, c, a)
	own := first(r.Rules, r)
	switch {
	case given.no != nil:
		return Decision{Reason: given.no.reason(), Hint: undo(given.no), Grant: given.no}
	case own != nil && own.Verdict == Deny:
		return denied(r, own, "change your rule there")
	}
	var theirs *Rule
	d := listed(r, c, a)
	switch _, known := c.profile(r.Profile); {
	case !current(r, c, a):
		if r.Profile != "" { // what that is, only an approved file says
			return d
		}
	case !known:
		e := &UnknownProfileError{r.Profile, c.Known()}
		return Decision{Reason: e.Error(), Hint: e.Hint()}
	default:
		if theirs = first(c.Rules, r); theirs != nil && theirs.Verdict == Deny {
			return denied(r, theirs, "change the rule there, then run: nbhush allow")
		}
	}
	if !d.Allow && own != nil && own.Verdict == Allow && !given.void {
		d = Decision{Allow: true, Reason: "your rule in " + own.String() + " allows it", Rule: own}
	}
	if d.Allow {
		if d = d.unless(r, c, own, theirs); d.Allow {
			return d
		}
		if d.Rule == nil && given.profile != nil { // the profile asks, and no rule
			return Decision{Allow: true, Reason: given.profile.reason(), Grant: given.profile}
		}
	}
	if given.yes != nil {
		return Decision{Allow: true, Reason: given.yes.reason(), Grant: given.yes}
	}
	if given.void { // the file that would say whether a grant is enough is another one now
		return d
	}
	d.Ask = r.Name != ""
	if d.Ask && r.Notebook != "" {
		d.Hint = fmt.Sprintf("allow it for this notebook with: nbhush allow --name %s --notebook %s", r.Name, shellWord(r.Notebook))
		if r.Profile != "" {
			d.Hint += " --profile " + r.Profile
		}
	}
	return d
}

func denied(r Request, by *Rule, hint string) Decision {
	reason := fmt.Sprintf("the rule in %s denies %s", by, r.Name)
	switch {
	case by.Notebook != nil && r.Notebook == "":
		reason += " where the notebook is not known"
	case by.Kernel != nil && r.Spec == "":
		reason += " where the kernelspec is not known"
	}
	return Decision{Reason: reason, Hint: hint, Rule: by}
}

// unless turns what would be allowed into what is asked first.
func (d Decision) unless(r Request, c *Config, own, theirs *Rule) Decision {
	if r.Shell {
		return d
	}
	for _, rule := range []*Rule{own, theirs} {
		if rule != nil && rule.Verdict == Ask {
			return Decision{Listed: true, Reason: fmt.Sprintf("the rule in %s has you asked for %s", rule, r.Name), Hint: hintAsk, Rule: rule}
		}
	}
	if c.asks(r.Profile) && (own == nil || own.Verdict != Allow || own.Profile == nil) {
		return Decision{Listed: true, Reason: fmt.Sprintf("in the profile %s you are asked in each session", r.Profile), Hint: hintAsk}
	}
	return d
}

const hintAsk = "run a cell that asks for it where you can answer"

// current reports whether the nbhush.toml is approved as it is.
func current(r Request, c *Config, a *Approval) bool {
	return c != nil && a.Approves(r.ConfigPath, r.ConfigHash)
}

// said is what the user said of a name, as far as it is about one request.
type said struct {
	no, yes *Grant
	profile *Grant // a yes to all that the file lists in the profile
	void    bool   // the approved file had rules or profiles, and is another one now: no yes counts
}

func (r Request) among(grants []Grant, c *Config, a *Approval) (s said) {
	approved := current(r, c, a)
	s.void = !approved && a != nil && a.Guards && a.Path == r.ConfigPath
	for i := range grants {
		g := &grants[i]
		switch {
		case !g.covers(r):
		case g.Deny:
			s.no = g
			return s
		case s.void:
		case g.Profile != "" && !approved, g.Profile == "" && approved && c.asks(r.Profile):
		case g.Name == "" && s.profile == nil:
			s.profile = g
		case g.Name != "" && (s.yes == nil || s.yes.Once && !g.Once):
			s.yes = g
		}
	}
	return s
}

// listed says what the nbhush.toml grants.
func listed(r Request, c *Config, a *Approval) Decision {
	if c == nil && r.ConfigPath != "" && a != nil && a.Path == r.ConfigPath {
		return Decision{
			Reason: fmt.Sprintf("%s is gone, which was approved", r.ConfigPath),
			Hint:   "put it back, or forget its rules with: nbhush deny " + shellWord(r.ConfigPath),
		}
	}
	if c == nil || r.ConfigPath == "" {
		return Decision{
			Reason: "no " + FileName + " in the notebook's folder or above",
			Hint:   fmt.Sprintf("write the lines \"[secrets]\" and \"%s = {}\" into %s, then run: nbhush allow", r.Name, FileName),
		}
	}
	if _, listed := c.In(r.Profile, r.Name); !listed {
		return Decision{
			Reason: fmt.Sprintf("%s does not list %s", r.ConfigPath, r.Name),
			Hint:   fmt.Sprintf("add the line \"%s = {}\" below [secrets], then run: nbhush allow", r.Name),
		}
	}
	if a == nil || a.Path != r.ConfigPath || a.Hash == "" {
		return Decision{
			Reason: fmt.Sprintf("%s is not approved", r.ConfigPath),
			Hint:   "look at it, then run in its folder: nbhush allow",
		}
	}
	if a.Hash != r.ConfigHash || len(a.Hash) != hashLen {
		return Decision{
			Reason: fmt.Sprintf("%s changed since it was approved", r.ConfigPath),
			Hint:   "look at what changed, then run in its folder: nbhush allow",
		}
	}
	return Decision{Allow: true, Reason: "listed in an approved " + FileName}
}

// hashLen is the length of a Hash. An empty hash equals an empty hash, and
// must approve nothing.
const hashLen = 64

// Keep says whether a kernel that has the value may keep it. That is so where
// Decide would give it, and where nothing but an edit of the nbhush.toml is in
// the way, which listed the name when it was approved: until the user has
// looked at the edit, it takes nothing away either.
func Keep(r Request, c *Config, a *Approval, grants ...Grant) bool {
	d := Decide(r, c, a, grants...)
	if d.Allow || d.Grant != nil || d.Rule != nil && d.Rule.Verdict == Deny {
		return d.Allow
	}
	edited := a != nil && r.ConfigPath != "" && a.Path == r.ConfigPath && a.Hash != r.ConfigHash
	return edited && slices.Contains(a.Names, r.Name)
}

func undo(g *Grant) string {
	cmd := fmt.Sprintf("take the denial back with: nbhush deny --undo --name %s", g.Name)
	if g.Notebook != "" {
		cmd += " --notebook " + shellWord(g.Notebook)
	}
	if g.Profile != "" {
		cmd += " --profile " + g.Profile
	}
	return cmd
}

// shellWord quotes text for a shell where it needs that.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,@:", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
