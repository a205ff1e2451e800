package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nbhush/nbhush/agent/secret"
)

// Profile is what [profiles.NAME] of an nbhush.toml says.
type Profile struct {
	Secrets map[secret.Name]Secret // in the place of the file's own, or besides
	Branch  []string               // patterns of the git branches on which it counts
	// Asks says that the user is asked in each session before a kernel gets
	// secrets in this profile, unless he granted them.
	Asks bool
	Line int // where it stands
}

// maxProfiles is more than a project has.
const maxProfiles = 100

// UnknownProfileError says that an nbhush.toml has no such profile.
type UnknownProfileError struct {
	Profile string
	Known   []string // may be none
}

func (e *UnknownProfileError) Error() string {
	has := "it has none"
	if len(e.Known) > 0 {
		has = "it has " + strings.Join(e.Known, ", ")
	}
	if !validProfile(e.Profile) { // it may be a value in the wrong place
		return FileName + " has no such profile: " + has
	}
	return fmt.Sprintf("%s has no profile %q: %s", FileName, e.Profile, has)
}

// Hint says what to do.
func (e *UnknownProfileError) Hint() string {
	if len(e.Known) == 0 {
		return "leave the profile out, or add a table [profiles.NAME]"
	}
	return "name one of these"
}

const errProfileName = reasonError("the name of a profile has letters, digits, _ and -, and begins with a letter")

// reasonError is an error that repeats nothing.
type reasonError string

func (e reasonError) Error() string { return string(e) }

// validProfile reports whether a profile can be called so.
func validProfile(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i, c := range []byte(s) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '_' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// asksByName reports whether a profile of that name asks unless its table says otherwise.
func asksByName(profile string) bool {
	return strings.EqualFold(profile, "prod") || strings.EqualFold(profile, "production")
}

// parseProfiles reads [profiles]. A reason is about the key at path below it.
func (c *Config) parseProfiles(all map[string]any) (path []string, reason string) {
	if len(all) > maxProfiles {
		return nil, "too many profiles"
	}
	c.Profiles = map[string]Profile{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "default" {
			text, ok := all[name].(string)
			if !ok {
				return []string{name}, `"default" is the name of one profile`
			}
			c.Default = text
			continue
		}
		table, ok := all[name].(map[string]any)
		if !ok || !validProfile(name) {
			return []string{name}, "a profile is a table [profiles.NAME]; its name has letters, digits, _ and -"
		}
		p := Profile{Asks: asksByName(name)}
		if path, reason := p.parse(table, c.Providers); reason != "" {
			return append([]string{name}, path...), reason
		}
		c.Profiles[name] = p
	}
	if _, ok := c.Profiles[c.Default]; c.Default != "" && !ok {
		return []string{"default"}, `"default" names no profile of this file`
	}
	return nil, ""
}

func (p *Profile) parse(table map[string]any, providers map[string]map[string]string) (path []string, reason string) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		switch v := table[key]; key {
		case "secrets":
			if path, reason := p.parseSecrets(v, providers); reason != "" {
				return append([]string{key}, path...), reason
			}
		case "branch":
			if p.Branch, reason = patterns(v); reason != "" {
				return []string{key}, strQuote(key) + " " + reason
			}
		case "consent":
			if v != "session" && v != "none" {
				return []string{key}, `"consent" is "session" or "none"`
			}
			p.Asks = v == "session"
		default:
			return []string{key}, "unknown key" + word([]string{key})
		}
	}
	return nil, ""
}

func (p *Profile) parseSecrets(v any, providers map[string]map[string]string) (path []string, reason string) {
	table, ok := v.(map[string]any)
	if !ok {
		return nil, reasonTable
	}
	p.Secrets = make(map[secret.Name]Secret, len(table))
	for _, text := range slices.Sorted(maps.Keys(table)) {
		name, err := secret.ParseName(text)
		if err != nil {
			return []string{text}, err.Error()
		}
		s, key, reason := parseSecret(table[text], providers)
		if reason != "" {
			return []string{text, key}, reason
		}
		p.Secrets[name] = s
	}
	return nil, ""
}

// Known returns the names of the profiles in the order of the file.
func (c *Config) Known() []string {
	if c == nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(c.Profiles), func(x, y string) int {
		return cmp.Or(cmp.Compare(c.Profiles[x].Line, c.Profiles[y].Line), strings.Compare(x, y))
	})
}

// In returns what c says of a secret in a profile, which may be "".
func (c *Config) In(profile string, name secret.Name) (s Secret, listed bool) {
	if c == nil {
		return s, false
	}
	if s, ok := c.Profiles[profile].Secrets[name]; ok {
		return s, true
	}
	s, listed = c.Secrets[name]
	return s, listed
}

// NamesIn returns the names that c lists in a profile, sorted.
func (c *Config) NamesIn(profile string) []secret.Name {
	if c == nil {
		return nil
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(c.Secrets)), maps.Keys(c.Profiles[profile].Secrets))
	slices.Sort(names)
	return slices.Compact(names)
}

// profile returns one of c; "" is always known.
func (c *Config) profile(name string) (p Profile, known bool) {
	if c == nil || name == "" {
		return Profile{}, name == ""
	}
	p, known = c.Profiles[name]
	return p, known
}

// asks reports whether the profile asks in each session.
func (c *Config) asks(profile string) bool { return c != nil && c.Profiles[profile].Asks }

// Guards reports whether c takes something away, by rules or profiles, from
// what it would allow without them.
func (c *Config) Guards() bool { return c != nil && (len(c.Rules) > 0 || len(c.Profiles) > 0) }

// Wanted says which profile is wanted, as far as anybody says so. The functions
// may be nil, and are called only if what stands above them says nothing.
type Wanted struct {
	Flag     string        // of the command
	Env      string        // NBHUSH_PROFILE
	Notebook func() string // what the notebook's metadata say
	Branch   func() string // the git branch
}

// Choice is a profile, which may be "", and what chose it.
type Choice struct {
	Profile string
	By      string // "" if there is nothing to choose
}

// Choose says which profile counts: the first that somebody wants. An error is
// an *UnknownProfileError. Without profiles only a flag can be wrong.
func (c *Config) Choose(w Wanted) (Choice, error) {
	known := c.Known()
	if len(known) == 0 && w.Flag == "" {
		return Choice{}, nil
	}
	is := func(profile, by string) (Choice, error) {
		if !slices.Contains(known, profile) {
			return Choice{}, &UnknownProfileError{profile, known}
		}
		return Choice{profile, by}, nil
	}
	switch {
	case w.Flag != "":
		return is(w.Flag, "as you asked")
	case w.Env != "":
		return is(w.Env, "by NBHUSH_PROFILE")
	}
	if w.Notebook != nil {
		if profile := w.Notebook(); profile != "" {
			return is(profile, "by the notebook's metadata")
		}
	}
	if w.Branch != nil {
		if branch := w.Branch(); branch != "" {
			for _, profile := range known {
				if matchesAny(c.Profiles[profile].Branch, branch) {
					return is(profile, "by the git branch "+branch)
				}
			}
		}
	}
	if c.Default != "" {
		return is(c.Default, "by default")
	}
	return Choice{By: "nothing chooses one"}, nil
}
