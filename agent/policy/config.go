package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/nbhush/nbhush/agent/secret"
)

// FileName is the name of the file that lists a project's secrets.
const FileName = "nbhush.toml"

// maxConfig is the size of the longest nbhush.toml that is read, in bytes.
const maxConfig = 1 << 20

// Config is what an nbhush.toml says.
type Config struct {
	Secrets map[secret.Name]Secret
	// Providers holds the settings of providers by their name, the scheme of
	// references. They are words, places of files and references, never values.
	Providers map[string]map[string]string
	Profiles  map[string]Profile
	Default   string // the profile that counts where nothing else chooses one, or ""
	Rules     []Rule // the first one that speaks about a request counts
}

// Secret is what an nbhush.toml says of one secret.
type Secret struct {
	From  secret.Ref    // where its value comes from; zero: the store, under its own name
	TTL   time.Duration // how long a value of From may be kept; 0: as the provider says
	Stale time.Duration // how much longer, while the provider cannot be reached
	Poll  time.Duration // how often it is asked for while a kernel has it; 0: as TTL says; below 0: never
	Line  int           // where it stands; 0 where that is not known
}

// Names returns the names that c lists, in any profile, sorted. A nil Config
// lists none.
func (c *Config) Names() []secret.Name {
	if c == nil {
		return nil
	}
	names := slices.Collect(maps.Keys(c.Secrets))
	for _, p := range c.Profiles {
		names = slices.AppendSeq(names, maps.Keys(p.Secrets))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *Config) rules() []Rule {
	if c == nil {
		return nil
	}
	return c.Rules
}

// Hash returns the SHA-256 of src in hex.
func Hash(src []byte) string {
	sum := sha256.Sum256(src)
	return hex.EncodeToString(sum[:])
}

// Load reads the nbhush.toml at path and returns what it says, and the Hash of
// the very bytes that say it.
func Load(path string) (c *Config, hash string, err error) {
	if st, err := os.Stat(path); err != nil {
		return nil, "", err
	} else if !st.Mode().IsRegular() { // a pipe would keep us waiting
		return nil, "", fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	src, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	c, err = ParseFile(path, src)
	for i := range c.rules() {
		c.Rules[i].Path = path
	}
	var at *ParseError
	if errors.As(err, &at) {
		at.Path = path
	}
	if err != nil {
		return nil, "", err
	}
	return c, Hash(src), nil
}

// ParseError says what is wrong in which line of an nbhush.toml.
type ParseError struct {
	Path   string // as Load was given it, or FileName
	Line   int    // from 1; 0 where no line is to blame
	Reason string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Reason
	}
	return fmt.Sprintf("%s: line %d: %s", e.Path, e.Line, e.Reason)
}

// Hint shows what the file looks like.
func (e *ParseError) Hint() string {
	return "names stand below [secrets], a line each, without values: OPENAI_API_KEY = {} or DB = { from = \"openbao://kv/db#password\" }"
}

// Parse returns what src, the content of an nbhush.toml, says: TOML 1.0 with the
// table secrets, in which each name has a table, empty or with the keys from, ttl,
// stale and poll, or a reference in its place; the tables of providers and profiles;
// the array of tables rules; and the table strip, whose content is not looked at
// here. Anything else is a *ParseError. src is not kept.
func Parse(src []byte) (*Config, error) {
	c, line, reason := parse(src)
	if reason != "" {
		return nil, &ParseError{Path: FileName, Line: line, Reason: reason}
	}
	return c, nil
}

func parse(src []byte) (c *Config, line int, reason string) {
	if len(src) > maxConfig {
		return nil, 0, fmt.Sprintf("it has more than %d bytes", maxConfig)
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) // some editors on Windows write one
	var f struct {
		Secrets   map[string]any               `toml:"secrets"`
		Providers map[string]map[string]string `toml:"providers"`
		Profiles  map[string]any               `toml:"profiles"`
		Rules     []map[string]any             `toml:"rules"`
		Strip     any                          `toml:"strip"` // package nbstrip/rules reads it
	}
	if err := decode(src, &f); err != nil {
		line, reason = explain(err)
		return nil, line, reason
	}
	if path, reason := badProvider(f.Providers); reason != "" {
		return nil, lineOf(src, append([]string{"providers"}, path...)...), reason
	}
	c = &Config{Secrets: make(map[secret.Name]Secret, len(f.Secrets)), Providers: f.Providers}
	for _, text := range slices.Sorted(maps.Keys(f.Secrets)) {
		name, err := secret.ParseName(text)
		if err != nil {
			return nil, lineOf(src, "secrets", text), err.Error()
		}
		s, key, reason := parseSecret(f.Secrets[text], f.Providers)
		if reason != "" {
			return nil, lineOf(src, "secrets", text, key), reason
		}
		c.Secrets[name] = s
	}
	if path, reason := c.parseProfiles(f.Profiles); reason != "" {
		return nil, lineOf(src, append([]string{"profiles"}, path...)...), reason
	}
	c.number(src)
	if c.Rules, line, reason = parseRules(src, f.Rules, false); reason != "" {
		return nil, line, reason
	}
	return c, 0, ""
}

// number notes in which lines of src the names and the profiles stand: at
// secrets.NAME, profiles.PROFILE and profiles.PROFILE.secrets.NAME.
func (c *Config) number(src []byte) {
	line, done := 1, uint32(0)
	for _, p := range places(src) {
		if p.at > done {
			line, done = line+bytes.Count(src[done:p.at], []byte("\n")), p.at
		}
		of, path := c.Secrets, p.path
		if len(path) > 1 && path[0] == "profiles" {
			profile := c.Profiles[path[1]]
			if _, ok := c.Profiles[path[1]]; ok && profile.Line == 0 {
				profile.Line = line
				c.Profiles[path[1]] = profile
			}
			of, path = profile.Secrets, path[2:]
		}
		if len(path) != 2 || path[0] != "secrets" {
			continue
		}
		name := secret.Name(path[1])
		if s, ok := of[name]; ok && s.Line == 0 {
			s.Line = line
			of[name] = s
		}
	}
}

func decode(src []byte, to any) error {
	return toml.NewDecoder(bytes.NewReader(src)).DisallowUnknownFields().Decode(to)
}

// explain turns an error of the TOML package into one that repeats nothing but
// known keys and misspelt ones: a value where a table belongs is most likely a
// secret, and so may be a key that is no word.
func explain(err error) (line int, reason string) {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ = first.Position()
		return line, "unknown key" + word(first.Key())
	}
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return 0, "not valid TOML"
	}
	line, _ = at.Position()
	if key := at.Key(); len(key) > 0 && key[0] == "secrets" {
		return line, reasonTable
	}
	if key := at.Key(); len(key) > 0 && key[0] == "profiles" {
		return line, "a profile is a table: [profiles.NAME]"
	}
	if key := at.Key(); len(key) > 0 && key[0] == "rules" {
		return line, "rules are [[rules]]"
	}
	if key := at.Key(); len(key) > 0 && key[0] == "providers" {
		return line, "the settings of a provider are a table of strings: [providers.NAME]"
	}
	return line, "not valid TOML, or a key for the second time"
}

// word returns the last part of key, quoted after a blank, if it is a short word
// of lower-case letters and underscores, as settings are; and otherwise nothing.
func word(key toml.Key) string {
	if len(key) == 0 {
		return ""
	}
	last := key[len(key)-1]
	if len(last) > 16 || strings.Trim(last, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return " " + strconv.Quote(last)
}
