package api

import "strings"

// JoinName returns how a name travels that is wanted in one profile, whichever
// the session's own is: PROFILE/NAME, and the name alone where profile is "". It
// stands for a name in OpGet, Consent, Held and Again.
func JoinName(profile, name string) string {
	if profile == "" {
		return name
	}
	return profile + "/" + name
}

// SplitName takes apart what JoinName joined. Neither part is checked.
func SplitName(text string) (profile, name string) {
	profile, name, ok := strings.Cut(text, "/")
	if !ok {
		return "", profile
	}
	return profile, name
}

// Profile says which profile is on, and what chose it; both are "" where a
// project has none.
type Profile struct {
	Profile string   `json:"profile"`
	By      string   `json:"by"`
	Known   []string `json:"known,omitempty"` // profiles of the project
}

// ExplainRequest asks what a kernel would be told that asked for Name: one that
// runs in Dir, with this notebook. An empty Name asks for the profile alone.
type ExplainRequest struct {
	Name     string `json:"name,omitempty"`
	Dir      string `json:"dir"`
	Notebook string `json:"notebook,omitempty"` // absolute
	Profile  string `json:"profile,omitempty"`  // as GetRequest has it
	Env      string `json:"profile_env,omitempty"`
	Kernel   string `json:"kernel,omitempty"` // name of a kernelspec, "" where it is not known
	Language string `json:"language,omitempty"`
}

// Explanation is what policy says, and where. It holds no value.
type Explanation struct {
	Name     string `json:"name,omitempty"`
	Verdict  string `json:"verdict,omitempty"` // allow, ask or deny
	Reason   string `json:"reason,omitempty"`
	Rule     string `json:"rule,omitempty"` // file:line of what decided, or the command that lists it
	From     string `json:"from,omitempty"` // where the value would come from: "store" or a reference
	Stored   bool   `json:"stored"`         // the store has a value of this name
	Mend     string `json:"hint,omitempty"` // the command or the edit that changes the verdict
	Config   string `json:"config,omitempty"`
	Approved bool   `json:"approved"`
	Profile
}
