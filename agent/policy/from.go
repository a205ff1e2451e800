package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// Providers are the names that a reference may begin with and that need no table
// in an nbhush.toml. Agent's tests compare them with package provider.
var Providers = []string{
	"aws-sm", "aws-ssm", "azure", "bitwarden", "databricks", "docker", "dotenv", "env", "file", "gcp", "gpg", "ini", "json",
	"kaggle", "keychain", "netrc", "op", "openbao", "pass", "sops", "store", "vault", "wandb", "yaml",
}

const (
	reasonTable  = "a table belongs here, and never a value"
	maxKept      = 30 * 24 * time.Hour
	minPoll      = time.Second
	maxProviders = 100
)

// credentials are the settings that log in and so are references, never values.
var credentials = []string{"token", "password", "secret_id", "client_secret", "secret_access_key", "session", "api_key", "secret", "passphrase"}

// badProvider says what is wrong with the settings of a provider, and where.
func badProvider(all map[string]map[string]string) (path []string, reason string) {
	if len(all) > maxProviders {
		return nil, "too many providers"
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, err := secret.ParseRef(name + "://x"); err != nil {
			return []string{name}, "the name of a provider has lower-case letters, digits and hyphens"
		}
		for _, key := range credentials {
			text, ok := all[name][key]
			if !ok {
				continue
			}
			r, err := secret.ParseRef(text)
			if err != nil || !knownProvider(r.Scheme, all) {
				return []string{name, key}, key + " belongs into the store and its name here: " + key + ` = "store://NAME"`
			}
		}
	}
	return nil, ""
}

func knownProvider(scheme string, all map[string]map[string]string) bool {
	_, ok := all[scheme]
	return ok || slices.Contains(Providers, scheme)
}

// parseSecret reads what stands behind a name: a table, or a reference alone. A
// reason is about key, if there is one.
func parseSecret(v any, providers map[string]map[string]string) (s Secret, key, reason string) {
	switch v := v.(type) {
	case string:
		s.From, reason = parseFrom(v, providers)
		return s, "", reason
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if reason := s.set(key, v[key], providers); reason != "" {
				return s, key, reason
			}
		}
		return s, "", ""
	}
	return s, "", reasonTable
}

// set takes one key of the table.
func (s *Secret) set(key string, v any, providers map[string]map[string]string) (reason string) {
	if key != "from" && key != "ttl" && key != "stale" && key != "poll" {
		return "unknown key" + word([]string{key})
	}
	text, ok := v.(string)
	if !ok {
		return strconv.Quote(key) + " is a string"
	}
	if key == "from" {
		s.From, reason = parseFrom(text, providers)
		return reason
	}
	if key == "poll" && text == "none" {
		s.Poll = -1
		return ""
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxKept {
		return strconv.Quote(key) + ` is a time such as "90s", "5m" or "24h"`
	}
	switch key {
	case "ttl":
		s.TTL = d
	case "stale":
		s.Stale = d
	case "poll":
		if d < minPoll {
			return `"poll" is a time of a second at least, or "none"`
		}
		s.Poll = d
	}
	return ""
}

// parseFrom reads a reference. What is none may be a value.
func parseFrom(text string, providers map[string]map[string]string) (r secret.Ref, reason string) {
	r, err := secret.ParseRef(text)
	switch {
	case err != nil && strings.Contains(text, "://"):
		return secret.Ref{}, err.Error() + "; a value never belongs here"
	case err != nil:
		return secret.Ref{}, "a table or a reference belongs here, and never a value"
	case !knownProvider(r.Scheme, providers):
		return secret.Ref{}, "no provider is called so, and a value never belongs here; one of your own needs a table: [providers.NAME]"
	}
	return r, ""
}
