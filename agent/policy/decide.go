package policy

import "github.com/nbhush/nbhush/agent/secret"

// Request is one wish for one value.
type Request struct {
	Name       secret.Name
	Owner      bool   // the user's own shell, not a kernel or its child
	ConfigPath string // the nbhush.toml that counts, or ""
	ConfigHash string // of its content, or ""
}

// Decision is yes or no, and why.
type Decision struct {
	Allow  bool
	Reason string
	Hint   string // what makes a no a yes, or ""
}

// Decide says whether r is granted. It looks at nothing but its arguments. A
// nil config means that there is no nbhush.toml, a nil approval that nobody
// approved it.
func Decide(r Request, c *Config, a *Approval) Decision {
	if r.Owner {
		return Decision{Allow: true, Reason: "asked by the user's own shell"}
	}
	return Decision{Reason: "default"}
}
