package policy

import (
	"fmt"

	"github.com/nbhush/nbhush/agent/secret"
)

// Request is one wish for one value.
type Request struct {
	Name       secret.Name
	Owner      bool   // the user's own shell, not a kernel or its child
	ConfigPath string // of the nbhush.toml that counts, or ""
	ConfigHash string // its Hash, or ""
}

// Decision is yes or no, and why.
type Decision struct {
	Allow  bool
	Reason string
	Hint   string // what makes a no a yes, or ""
}

// Decide says whether r is granted. It looks at nothing but its arguments and
// changes nothing. A nil Config means that there is no nbhush.toml, a nil
// Approval that nobody approved one. What no rule allows is denied.
func Decide(r Request, c *Config, a *Approval) Decision {
	if r.Owner {
		return Decision{Allow: true, Reason: "asked by the user's own shell"}
	}
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
