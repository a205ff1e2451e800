package policy

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/nbhush/nbhush/agent/secret"
)

// SecretspecName is the name of the file in which secretspec lists a project's
// secrets. It counts where there is no nbhush.toml in the same folder.
const SecretspecName = "secretspec.toml"

// ParseFile is Parse for the content of the file at path, which may also be a
// secretspec.toml.
func ParseFile(path string, src []byte) (*Config, error) {
	if filepath.Base(path) != SecretspecName {
		return Parse(src)
	}
	c, line, reason := parseSecretspec(src)
	if reason != "" {
		return nil, &ParseError{Path: SecretspecName, Line: line, Reason: reason}
	}
	return c, nil
}

// parseSecretspec takes the names of the default profile, which the other ones
// add theirs to; where there is none, the names of all, and no profiles. Values
// come from the store. Defaults that stand in the file are no secrets and are not
// looked at.
func parseSecretspec(src []byte) (c *Config, line int, reason string) {
	if len(src) > maxConfig {
		return nil, 0, "it is too long"
	}
	var f struct {
		Project struct {
			Extends []string `toml:"extends"`
		} `toml:"project"`
		Profiles map[string]map[string]any `toml:"profiles"`
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if err := toml.Unmarshal(src, &f); err != nil {
		line, _ = explain(err)
		return nil, line, "not a " + SecretspecName
	}
	if len(f.Project.Extends) > 0 { // they could change after this file was approved
		return nil, 0, "it extends other files, which is not followed: list the names in " + FileName
	}
	c = &Config{Secrets: map[secret.Name]Secret{}}
	_, defaults := f.Profiles["default"]
	for _, profile := range slices.Sorted(maps.Keys(f.Profiles)) {
		p := Profile{Secrets: c.Secrets, Asks: asksByName(profile)}
		if defaults && profile != "default" {
			p.Secrets = map[secret.Name]Secret{}
			if !validProfile(profile) {
				return nil, 0, errProfileName.Error()
			}
			if c.Profiles == nil {
				c.Profiles = map[string]Profile{}
			}
			c.Profiles[profile] = p
		}
		for _, text := range slices.Sorted(maps.Keys(f.Profiles[profile])) {
			if _, ok := f.Profiles[profile][text].(map[string]any); !ok || text == "defaults" {
				continue // a setting of the profile
			}
			name, err := secret.ParseName(text)
			if err != nil {
				return nil, 0, err.Error()
			}
			p.Secrets[name] = Secret{}
		}
	}
	return c, 0, ""
}
