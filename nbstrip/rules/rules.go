package rules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip"
	"github.com/nbhush/nbhush/nbstrip/notebook"
	"github.com/nbhush/nbhush/nbstrip/outputs"
)

// Rules are the table strip of an nbhush.toml. The zero Rules redact and keep
// outputs. They are not changed by their methods and may be shared.
type Rules struct {
	OnSecret nbstrip.Options
	Outputs  *outputs.Options // nil: outputs stay
	LeaveOut []string         // patterns of files and folders whose outputs stay nevertheless, see LeftOut
}

// Error says what is wrong in which line of an nbhush.toml.
type Error struct {
	Line   int // from 1; 0 where no line is to blame
	Reason string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return "nbhush.toml: [strip]: " + e.Reason
	}
	return fmt.Sprintf("nbhush.toml: line %d: %s", e.Line, e.Reason)
}

// Hint says where the settings are written down.
func (e *Error) Hint() string { return "see what may stand there: nbhush strip --help" }

// table is the form of the file.
type table struct {
	OnSecret string            `toml:"on_secret"`
	Rules    map[string]string `toml:"rules"` // pattern of names
	Tags     map[string]string `toml:"tags"`
	Leave    []string          `toml:"leave"` // patterns of names of looks
	Outputs  *struct {
		KeepOutput     bool     `toml:"keep_output"`
		KeepCount      bool     `toml:"keep_count"`
		NumberIDs      bool     `toml:"number_ids"`
		ExtraKeys      []string `toml:"extra_keys"`
		KeepKeys       []string `toml:"keep_keys"`
		OnlyKeys       []string `toml:"only_keys"`
		DropEmptyCells bool     `toml:"drop_empty_cells"`
		DropTags       []string `toml:"drop_tags"`
		StripInitCells bool     `toml:"strip_init_cells"`
		DropTypes      []string `toml:"drop_types"`
		KeepTypes      []string `toml:"keep_types"`
		MaxSize        string   `toml:"max_size"`
		LeaveOut       []string `toml:"leave_out"`
	} `toml:"outputs"`
}

// Parse returns what src, the content of an nbhush.toml, says below [strip];
// the other tables are not looked at. An error is an *Error. src is not kept.
func Parse(src []byte) (Rules, error) {
	if !bytes.Contains(src, []byte("strip")) {
		return Rules{}, nil
	}
	var all struct {
		Strip table `toml:"strip"`
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if err := toml.NewDecoder(bytes.NewReader(src)).DisallowUnknownFields().Decode(&all); err != nil {
		if e := explain(err); e != nil {
			return Rules{}, e
		}
	}
	return all.Strip.rules()
}

// explain returns nil for an error that is about another table.
func explain(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		for _, e := range unknown.Errors {
			if key := e.Key(); len(key) > 1 && key[0] == "strip" {
				line, _ := e.Position()
				return &Error{line, fmt.Sprintf("unknown key %q", key[len(key)-1])}
			}
		}
		return nil
	}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ := at.Position()
		return &Error{line, "not valid TOML, or not what belongs there"}
	}
	return &Error{0, "not valid TOML"}
}

func (t *table) rules() (r Rules, err error) {
	set := func(key, value string) (m nbstrip.Mode) {
		if m, err2 := nbstrip.ParseMode(value); err2 == nil {
			return m
		} else if err == nil {
			err = &Error{0, key + ": " + err2.Error()}
		}
		return m
	}
	if t.OnSecret != "" {
		r.OnSecret.Mode = set("on_secret", t.OnSecret)
	}
	for _, pattern := range byLength(t.Rules) {
		if _, bad := path.Match(pattern, ""); bad != nil {
			return Rules{}, &Error{0, fmt.Sprintf("rules: %q is no pattern", pattern)}
		}
		r.OnSecret.Rules = append(r.OnSecret.Rules, nbstrip.Rule{Pattern: pattern, Mode: set("rules", t.Rules[pattern])})
	}
	for _, pattern := range t.Leave {
		if _, bad := path.Match(pattern, ""); bad != nil {
			return Rules{}, &Error{0, fmt.Sprintf("leave: %q is no pattern", pattern)}
		}
	}
	r.OnSecret.Leave = t.Leave
	for tag, mode := range t.Tags {
		if r.OnSecret.Tags == nil {
			r.OnSecret.Tags = map[string]nbstrip.Mode{}
		}
		r.OnSecret.Tags[tag] = set("tags", mode)
	}
	if err != nil || t.Outputs == nil {
		return r, err
	}
	return r, t.outputs(&r)
}

func (t *table) outputs(r *Rules) (err error) {
	o := t.Outputs
	r.LeaveOut = o.LeaveOut
	for _, pattern := range o.LeaveOut {
		if _, bad := path.Match(pattern, ""); bad != nil {
			return &Error{0, fmt.Sprintf("leave_out: %q is no pattern", pattern)}
		}
	}
	r.Outputs = &outputs.Options{
		KeepOutput: o.KeepOutput, KeepCount: o.KeepCount, KeepID: !o.NumberIDs,
		ExtraKeys: o.ExtraKeys, KeepKeys: o.KeepKeys, OnlyKeys: o.OnlyKeys,
		DropEmptyCells: o.DropEmptyCells, DropTags: o.DropTags, StripInitCells: o.StripInitCells,
		DropTypes: o.DropTypes, KeepTypes: o.KeepTypes,
	}
	if bad := r.Outputs.InvalidKeys(); len(bad) > 0 {
		return &Error{0, fmt.Sprintf("extra_keys: %q begins neither with metadata. nor with cell.metadata.", bad[0])}
	}
	if o.MaxSize != "" {
		if r.Outputs.MaxSize, err = outputs.ParseSize(o.MaxSize); err != nil {
			return &Error{0, "max_size: " + err.Error()}
		}
	}
	return nil
}

// byLength returns the patterns, the longest first: what says most of a name counts.
func byLength(rules map[string]string) []string {
	patterns := slices.Sorted(maps.Keys(rules))
	slices.SortStableFunc(patterns, func(a, b string) int { return len(b) - len(a) })
	return patterns
}

// Strip returns the form of src, the notebook at file, that git stores: without
// outputs, if that is wished, and without the secrets that f finds in what is
// left. file is relative to the project, with slashes. Errors are those of nbstrip.Strip.
func (r *Rules) Strip(ctx context.Context, file string, src []byte, f match.Finder) (nbstrip.Result, error) {
	if r.Outputs != nil && !LeftOut(r.LeaveOut, file) {
		out, err := outputs.Strip(src, *r.Outputs)
		var broken *notebook.NotNotebookError
		switch {
		case err == nil:
			src = out
		case !errors.As(err, &broken): // what is broken has no outputs, but may have secrets
			return nbstrip.Result{}, err
		}
	}
	return nbstrip.Strip(ctx, src, f, r.OnSecret)
}

// LeftOut reports whether one of the patterns, which are those of path.Match, is
// about file: its path or that of a folder that it is in; a pattern without a
// slash may also be about any part of the path.
func LeftOut(patterns []string, file string) bool {
	parts := strings.Split(path.Clean(file), "/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		anywhere := !strings.Contains(strings.TrimSuffix(pattern, "/"), "/")
		pattern = path.Clean(strings.TrimPrefix(pattern, "/"))
		for i := range parts {
			name := strings.Join(parts[:i+1], "/")
			if anywhere {
				name = parts[i]
			}
			if ok, err := path.Match(pattern, name); ok && err == nil {
				return true
			}
		}
		return false
	})
}
