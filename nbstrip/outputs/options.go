package outputs

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Options say what goes. The zero Options take out what nbstripout takes out by itself.
type Options struct {
	KeepOutput, KeepCount, KeepID bool
	// ExtraKeys go besides DefaultKeys, KeepKeys do not go: metadata.x of the
	// notebook and cell.metadata.x of cells, where x may have dots.
	ExtraKeys, KeepKeys []string
	// OnlyKeys, if not nil, are all metadata that stay: metadata.x and cell.metadata.x, without further dots.
	OnlyKeys       []string
	DropEmptyCells bool
	DropTags       []string // cells with one of these go
	StripInitCells bool     // a cell with init_cell loses its outputs like any other
	// Types of outputs, such as stream or stream:stderr: those that go even if
	// outputs stay, and those that stay even if outputs go.
	DropTypes, KeepTypes []string
	MaxSize              int  // outputs of at most so many characters stay
	Zeppelin             bool // the source is a Zeppelin note, even if it does not look like one: its results go, and nothing else
}

// DefaultKeys are the metadata that go unless they are kept.
func DefaultKeys() []string {
	return []string{
		"metadata.signature", "metadata.widgets",
		"cell.metadata.collapsed", "cell.metadata.ExecuteTime", "cell.metadata.execution",
		"cell.metadata.heading_collapsed", "cell.metadata.hidden", "cell.metadata.scrolled",
	}
}

// InvalidKeys returns those of the extra keys that name no metadata; they are without effect.
func (o Options) InvalidKeys() []string {
	return slices.DeleteFunc(slices.Clone(o.ExtraKeys), validKey)
}

func validKey(key string) bool {
	space, _, ok := strings.Cut(key, ".")
	return ok && (space == "cell" || space == "metadata")
}

// keys returns what goes from the notebook's metadata, and from cells.
func (o Options) keys() (ofNotebook, ofCells []string) {
	for _, key := range append(DefaultKeys(), o.ExtraKeys...) {
		if !validKey(key) || slices.Contains(o.KeepKeys, key) {
			continue
		}
		if space, rest, _ := strings.Cut(key, "."); space == "cell" {
			ofCells = append(ofCells, rest)
		} else {
			ofNotebook = append(ofNotebook, rest)
		}
	}
	return ofNotebook, ofCells
}

// ParseSize reads a size as nbstripout does: 50, 1k, 2M, 1G are powers of ten.
func ParseSize(s string) (int, error) {
	digits, unit := s, 1
	if s != "" {
		switch s[len(s)-1] | 0x20 {
		case 'k':
			unit = 1e3
		case 'm':
			unit = 1e6
		case 'g':
			unit = 1e9
		}
	}
	if unit > 1 {
		digits = s[:len(s)-1]
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > 1<<40/unit {
		return 0, errors.New(strconv.Quote(s) + " is no size; 50, 10k and 1M are")
	}
	return n * unit, nil
}
