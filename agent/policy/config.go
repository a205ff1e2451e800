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
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
}

// Secret is what an nbhush.toml says of one secret: so far, that it is one.
type Secret struct{}

// Names returns the names that c lists, sorted. A nil Config lists none.
func (c *Config) Names() []secret.Name {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.Secrets))
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
	c, err = Parse(src)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", filepath.Dir(path), err)
	}
	return c, Hash(src), nil
}

// ParseError says what is wrong in which line of an nbhush.toml.
type ParseError struct {
	Line   int // from 1; 0 where no line is to blame
	Reason string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return FileName + ": " + e.Reason
	}
	return fmt.Sprintf("%s: line %d: %s", FileName, e.Line, e.Reason)
}

// Hint shows what the file looks like.
func (e *ParseError) Hint() string {
	return "names stand below [secrets], a line each, without values: OPENAI_API_KEY = {}"
}

// Parse returns what src, the content of an nbhush.toml, says: TOML 1.0 with the
// table secrets, in which each name has an empty table. Anything else is a
// *ParseError. src is not kept.
func Parse(src []byte) (*Config, error) {
	if len(src) > maxConfig {
		return nil, &ParseError{Reason: fmt.Sprintf("it has more than %d bytes", maxConfig)}
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) // some editors on Windows write one
	var f struct {
		Secrets map[string]Secret `toml:"secrets"`
	}
	if err := decode(src, &f); err != nil {
		return nil, explain(err)
	}
	c := &Config{Secrets: make(map[secret.Name]Secret, len(f.Secrets))}
	for _, text := range slices.Sorted(maps.Keys(f.Secrets)) {
		name, err := secret.ParseName(text)
		if err != nil {
			return nil, &ParseError{Line: lineOf(src, text), Reason: err.Error()}
		}
		c.Secrets[name] = f.Secrets[text]
	}
	return c, nil
}

func decode(src []byte, to any) error {
	return toml.NewDecoder(bytes.NewReader(src)).DisallowUnknownFields().Decode(to)
}

// explain turns an error of the TOML package into one that repeats nothing but
// known keys and misspelt ones: a value where a table belongs is most likely a
// secret, and so may be a key that is no word.
func explain(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return &ParseError{Line: line, Reason: "unknown key" + word(first.Key())}
	}
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return &ParseError{Reason: "not valid TOML"}
	}
	line, _ := at.Position()
	if key := at.Key(); len(key) > 0 && key[0] == "secrets" {
		return &ParseError{Line: line, Reason: "a table belongs here, and never a value"}
	}
	return &ParseError{Line: line, Reason: "not valid TOML, or a key for the second time"}
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

// lineOf returns the line of the key below [secrets], for which a decoder that
// knows no such key is asked where it met it; 0 where it did not say.
func lineOf(src []byte, key string) int {
	var none struct {
		Secrets struct{} `toml:"secrets"`
	}
	var unknown *toml.StrictMissingError
	if errors.As(decode(src, &none), &unknown) {
		for _, e := range unknown.Errors {
			if k := e.Key(); len(k) > 1 && k[1] == key {
				line, _ := e.Position()
				return line
			}
		}
	}
	return 0
}
