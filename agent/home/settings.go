package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pelletier/go-toml/v2"
)

// ReadSettings decodes the user's settings at path, which is ConfigFile, into to, a
// pointer to a struct of the keys that are asked for. Without the file nothing is set.
func ReadSettings(path string, to any) error {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = toml.Unmarshal(src, to)
	}
	if err != nil {
		return fmt.Errorf("read settings %s: %w", path, err)
	}
	return nil
}
