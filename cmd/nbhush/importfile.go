package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

// maxImport is the largest file that is imported, in bytes.
const maxImport = 4 << 20

var importFormats = append(slices.Clone(provider.Formats), "fnox")

// readImport returns the values of a file, and lines for an nbhush.toml where it
// only says where they are.
func readImport(path, format string) (map[secret.Name]secret.Value, []string, error) {
	if format == "" {
		format = provider.FormatOf(path)
		if strings.HasPrefix(filepath.Base(path), "fnox.") && filepath.Ext(path) == ".toml" {
			format = "fnox"
		}
	}
	if !slices.Contains(importFormats, format) {
		return nil, nil, fmt.Errorf("no format is called so; there are %s", strings.Join(importFormats, ", "))
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() && !isHanded(path) { // a pipe would keep us waiting
		return nil, nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer clear(b)
	if len(b) > maxImport {
		return nil, nil, fmt.Errorf("%s is larger than %d bytes", path, maxImport)
	}
	if format == "fnox" {
		values, lines, err := readFnox(b)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		return values, lines, nil
	}
	parsed, err := provider.ParseFile(format, b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	values, err := named(parsed)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil, nil
}

// isHanded reports whether path is a descriptor that the shell handed over, as of
// nbhush import <(sops -d .env): nothing that stays, and somebody writes to it.
func isHanded(path string) bool {
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// named gives values the names of variables. Two that would get the same are an error.
func named(parsed map[string]secret.Value) (map[secret.Name]secret.Value, error) {
	values := make(map[secret.Name]secret.Value, len(parsed))
	wipe := func() {
		for _, v := range parsed {
			v.Wipe()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(parsed)) {
		name, err := secret.ParseName(key)
		if err != nil {
			name, err = secret.ParseName(variable(key))
		}
		if err != nil {
			wipe()
			return nil, err
		}
		if _, twice := values[name]; twice {
			wipe()
			return nil, fmt.Errorf("two of its values would be called %s", name)
		}
		values[name] = parsed[key]
	}
	return values, nil
}

// readKeyring returns what Python's keyring has of services, by the names of its
// users, or as the one name given.
func readKeyring(services []string, user, as string) (map[secret.Name]secret.Value, error) {
	values, of := map[secret.Name]secret.Value{}, map[secret.Name]string{}
	fail := func(err error) (map[secret.Name]secret.Value, error) {
		for _, v := range values {
			v.Wipe()
		}
		return nil, err
	}
	for _, service := range services {
		items, err := store.Elsewhere(service, user)
		if err != nil {
			return fail(err)
		}
		for _, it := range items {
			text := variable(strings.Trim(it.User, "_"))
			if as != "" {
				text = as
			}
			name, err := secret.ParseName(text)
			if err != nil {
				it.Value.Wipe()
				return fail(&keyringNameError{service, it.User, fmt.Sprintf("has a user %q, which makes no name", it.User)})
			}
			if first, twice := of[name]; twice {
				it.Value.Wipe()
				return fail(&keyringNameError{service, it.User, fmt.Sprintf("has a user %q, which would be called %s, as %q is", it.User, name, first)})
			}
			values[name], of[name] = it.Value, it.User
		}
	}
	return values, nil
}

// keyringNameError says that a secret of a service needs a name of its own.
type keyringNameError struct{ service, user, message string }

func (e *keyringNameError) Error() string {
	return fmt.Sprintf("the service %q %s", e.service, e.message)
}

// Hint imports that one alone.
func (e *keyringNameError) Hint() string {
	return fmt.Sprintf("import it alone: nbhush import --keyring %q --user %q --as NAME", e.service, e.user)
}

// variable turns a path in a file, such as db.pass-word, into DB_PASS_WORD.
func variable(path string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		}
		return '_'
	}, path)
}

// errFnox stands for every fault: the parser's own words repeat the line.
var errFnox = errors.New("not a fnox.toml")

// fnoxProvider is what a fnox.toml says of one of its providers.
type fnoxProvider struct {
	Type, Prefix, Vault, Project, Path string
}

// readFnox returns what stands in the file itself, and references for the rest.
func readFnox(b []byte) (map[secret.Name]secret.Value, []string, error) {
	var f struct {
		Providers map[string]fnoxProvider `toml:"providers"`
		Secrets   map[string]any          `toml:"secrets"`
	}
	if err := toml.Unmarshal(b, &f); err != nil {
		return nil, nil, errFnox
	}
	values, lines := map[secret.Name]secret.Value{}, []string{}
	for _, key := range slices.Sorted(maps.Keys(f.Secrets)) {
		name, err := secret.ParseName(key)
		if err != nil {
			return nil, nil, err
		}
		entry, ok := f.Secrets[key].(map[string]any)
		text, _ := entry["default"].(string)
		if !ok {
			text, _ = f.Secrets[key].(string)
		}
		by, _ := entry["provider"].(string)
		value, _ := entry["value"].(string)
		from := ""
		if p, ok := f.Providers[by]; ok {
			from = p.reference(value)
		}
		switch {
		case from != "":
			lines = append(lines, fmt.Sprintf("%s = %q", name, from))
		case by != "":
			lines = append(lines, fmt.Sprintf("%s = {} # fnox get %s | nbhush set %s", name, name, name))
		case text != "":
			values[name] = secret.New([]byte(text))
		}
	}
	if len(lines) > 0 {
		lines = append([]string{"[secrets]"}, lines...)
	}
	return values, lines, nil
}

// reference says where p keeps value, or "" where only fnox can read it. What it
// returns is one, and so holds no value.
func (p fnoxProvider) reference(value string) string {
	schemes := map[string]string{
		"aws-sm": "aws-sm://" + p.Prefix, "aws-ps": "aws-ssm://" + p.Prefix, "gcp-sm": "gcp://" + p.Project + "/" + p.Prefix,
		"1password": "op://" + p.Vault + "/", "bitwarden": "bitwarden://", "password-store": "pass://" + p.Prefix,
	}
	text, ok := schemes[p.Type]
	switch {
	case p.Type == "vault":
		place, field, _ := strings.Cut(value, "/")
		text = "openbao://" + strings.Trim(p.Path, "/") + "/" + place + "#" + field
	case !ok:
		return ""
	default:
		text += value
	}
	if _, err := secret.ParseRef(text); err != nil || value == "" {
		return ""
	}
	return text
}
