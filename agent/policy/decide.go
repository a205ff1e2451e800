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
	ConfigPath string    // of the nbhush.toml that counts, or ""
	ConfigHash string    // its Hash, or ""
	Notebook   string    // the kernel's, absolute, if the kernel runs in its folder; or ""
	Kernel     string    // names the process of its hook: no other one, before or later, has the same
	Now        time.Time // at which grants with a date must still hold
}

// Decision is yes or no, and why.
type Decision struct {
	Allow  bool
	Ask    bool // the user may be asked, who could say yes: nobody said no yet
	Reason string
	Hint   string // what makes a no a yes, or ""
}

// Decide says whether r is granted. It looks at nothing but its arguments and
// changes nothing. A nil Config means that there is no nbhush.toml, a nil
// Approval that nobody approved one. A denial comes before everything else that
// is said of kernels; what no rule allows is denied.
func Decide(r Request, c *Config, a *Approval, grants ...Grant) Decision {
	if r.Owner {
		return Decision{Allow: true, Reason: "asked by the user's own shell"}
	}
	var yes *Grant
	for i := range grants {
		switch g := &grants[i]; {
		case !g.covers(r):
		case g.Deny:
			return Decision{Reason: g.reason(), Hint: undo(g)}
		case yes == nil:
			yes = g
		}
	}
	d := listed(r, c, a)
	if d.Allow {
		return d
	}
	if yes != nil {
		return Decision{Allow: true, Reason: yes.reason()}
	}
	d.Ask = r.Name != ""
	if r.Notebook != "" && d.Ask {
		d.Hint = fmt.Sprintf("allow it for this notebook with: nbhush allow --name %s --notebook %s", r.Name, shellWord(r.Notebook))
	}
	return d
}

// listed says what the nbhush.toml grants.
func listed(r Request, c *Config, a *Approval) Decision {
	if c == nil || r.ConfigPath == "" {
		return Decision{
			Reason: "no " + FileName + " in the notebook's folder or above",
			Hint:   fmt.Sprintf("write the lines \"[secrets]\" and \"%s = {}\" into %s, then run: nbhush allow", r.Name, FileName),
		}
	}
	if _, listed := c.Secrets[r.Name]; !listed {
		return Decision{
			Reason: fmt.Sprintf("%s does not list %s", r.ConfigPath, r.Name),
			Hint:   fmt.Sprintf("add the line \"%s = {}\" below [secrets], then run: nbhush allow", r.Name),
		}
	}
	if a == nil || a.Path != r.ConfigPath {
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
	if d.Allow || !d.Ask {
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
