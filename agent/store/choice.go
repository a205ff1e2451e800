package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/nbhush/nbhush/agent/savefile"
)

// Chosen returns the kind of store that the settings at path name with the key
// store, or "" where no choice was made yet.
func Chosen(path string) (string, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read settings: %w", err)
	}
	kind, err := parseChoice(src)
	if err != nil {
		return "", &Error{
			Err:  fmt.Errorf("settings %s: %w", path, err),
			Mend: `mend the file; the line for the store is: store = "keyring" or store = "vault"`,
		}
	}
	return kind, nil
}

// Choose writes the choice of kind, KindKeyring or KindVault, into the settings
// at path, and leaves every other byte as it is. A choice is made once: the same
// again is nothing, another one is an error, since secrets do not move with it.
func Choose(path, kind string) error {
	if kind != KindKeyring && kind != KindVault {
		return fmt.Errorf("no such kind of store: %q", kind)
	}
	return lockFile(path, func() error {
		old, err := Chosen(path)
		switch {
		case err != nil:
			return err
		case old == kind:
			return nil
		case old != "":
			return &Error{
				Err:  fmt.Errorf("the store was chosen already: %s", old),
				Mend: fmt.Sprintf("secrets do not move with the choice; to choose again, take the line that begins with store out of %s", path),
			}
		}
		src, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read settings: %w", err)
		}
		if err := savefile.Write(path, withChoice(src, kind), 0o600); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
		return nil
	})
}

// ChooseAgain replaces the choice of one kind by that of another, and leaves
// every other byte as it is. It is for who has moved the secrets.
func ChooseAgain(path, from, to string) error {
	return lockFile(path, func() error {
		now, err := Chosen(path)
		switch {
		case err != nil:
			return err
		case now == to:
			return nil
		case now != from && now != "":
			return fmt.Errorf("the settings %s name the store %s, not %s", path, now, from)
		}
		src, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read settings: %w", err)
		}
		out := withChoice(src, to)
		if now != "" {
			// A key of a table that looks so is told apart by reading the result.
			line := regexp.MustCompile(`(?m)^[ \t]*store[ \t]*=[ \t]*["'](\w+)["']`)
			at := line.FindSubmatchIndex(src)
			if at == nil {
				return fmt.Errorf("settings %s: no line that begins with store", path)
			}
			out = slices.Concat(src[:at[2]], []byte(to), src[at[3]:])
		}
		if kind, err := parseChoice(out); err != nil || kind != to {
			return fmt.Errorf("settings %s: the line that begins with store is not understood", path)
		}
		if err := savefile.Write(path, out, 0o600); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
		return nil
	})
}

// withChoice returns src with one line before it, since a key at the top of a
// TOML file can belong to no table. The line ends as the first line of src does.
func withChoice(src []byte, kind string) []byte {
	end := "\n"
	if i := bytes.IndexByte(src, '\n'); i > 0 && src[i-1] == '\r' {
		end = "\r\n"
	}
	return append([]byte(`store = "`+kind+`"`+end), src...)
}

func parseChoice(src []byte) (string, error) {
	var settings struct {
		Store string `toml:"store"`
	}
	if err := toml.Unmarshal(src, &settings); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return "", fmt.Errorf("line %d: %w", line, err)
		}
		return "", err
	}
	switch settings.Store {
	case "", KindKeyring, KindVault:
		return settings.Store, nil
	}
	return "", fmt.Errorf("no such kind of store: %q", settings.Store)
}
