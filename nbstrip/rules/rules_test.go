package rules

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip"
	"github.com/nbhush/nbhush/nbstrip/outputs"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      Rules
	}{
		{name: "empty"},
		{name: "other tables", src: "[secrets]\nA = {}\n"},
		{name: "a half-written other table", src: "[secrets\nA ="},
		{name: "unknown keys elsewhere", src: "x = 'strip'\n[strip]\n[y]\nz = 1"},
		{name: "on secret", src: "\ufeff[strip]\non_secret = 'drop-cell'", want: Rules{OnSecret: nbstrip.Options{Mode: nbstrip.DropCell}}},
		{
			name: "rules and tags", src: "[strip]\nrules = { '*' = 'redact', 'AWS_*' = 'drop-output' }\ntags = { private = 'drop-cell' }",
			want: Rules{OnSecret: nbstrip.Options{
				Rules: []nbstrip.Rule{{Pattern: "AWS_*", Mode: nbstrip.DropOutput}, {Pattern: "*"}},
				Tags:  map[string]nbstrip.Mode{"private": nbstrip.DropCell},
			}},
		},
		{name: "outputs", src: "[strip.outputs]", want: Rules{Outputs: &outputs.Options{KeepID: true}}},
		{
			name: "all of outputs", src: `[strip.outputs]
keep_output = true
keep_count = true
number_ids = true
extra_keys = ["metadata.a"]
keep_keys = ["cell.metadata.b"]
only_keys = ["metadata.kernelspec"]
drop_empty_cells = true
drop_tags = ["x"]
strip_init_cells = true
drop_types = ["error"]
keep_types = ["stream:stderr"]
max_size = "10k"
leave_out = ["docs/"]`,
			want: Rules{LeaveOut: []string{"docs/"}, Outputs: &outputs.Options{
				KeepOutput: true, KeepCount: true, ExtraKeys: []string{"metadata.a"}, KeepKeys: []string{"cell.metadata.b"},
				OnlyKeys: []string{"metadata.kernelspec"}, DropEmptyCells: true, DropTags: []string{"x"}, StripInitCells: true,
				DropTypes: []string{"error"}, KeepTypes: []string{"stream:stderr"}, MaxSize: 10_000,
			}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.src))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	for src, want := range map[string]string{
		"[strip]\non_secert = 'x'":                 `line 2: unknown key "on_secert"`,
		"[strip]\non_secret = 'drop'":              `on_secret: unknown mode "drop"`,
		"[strip]\non_secret = 3":                   "line 2: not valid",
		"[strip]\nrules = {'[' = 'redact'}":        `"[" is no pattern`,
		"[strip]\nleave = ['[']":                   `leave: "[" is no pattern`,
		"[strip]\ntags = {x = ''}":                 "tags: unknown mode",
		"[strip.outputs]\nmax_size = 'x'":          "max_size:",
		"[strip.outputs]\nleave_out = ['[']":       "leave_out:",
		"[strip.outputs]\nextra_keys = ['source']": "extra_keys:",
		"[strip.output]":                           `unknown key "output"`,
		"[strip":                                   "line 1: not valid",
	} {
		var e *Error
		if _, err := Parse([]byte(src)); !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
}

func TestLeftOut(t *testing.T) {
	for _, c := range []struct {
		pattern, file string
		want          bool
	}{
		{"docs", "docs/a.ipynb", true},
		{"docs", "x/docs/y/a.ipynb", true},
		{"docs/", "x/docs/a.ipynb", true},
		{"/docs", "docs/a.ipynb", true},
		{"/docs", "x/docs/a.ipynb", false},
		{"x/docs", "x/docs/y/a.ipynb", true},
		{"x/docs", "y/x/docs/a.ipynb", false},
		{"x/*/a.ipynb", "x/y/a.ipynb", true},
		{"*.ipynb", "x/a.ipynb", true},
		{"doc", "docs/a.ipynb", false},
		{"[", "[", false},
	} {
		if got := LeftOut([]string{"other", c.pattern}, c.file); got != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.file, got)
		}
	}
}

// one finds one value.
type one string

func (o one) Find(_ context.Context, text []byte) (r match.Result, err error) {
	for end := 0; bytes.Contains(text[end:], []byte(o)); {
		start := end + bytes.Index(text[end:], []byte(o))
		end = start + len(o)
		r.Spans = append(r.Spans, match.Span{Start: start, End: end, Name: "KEY"})
	}
	return r, nil
}

func TestStrip(t *testing.T) {
	f := one(rand.Text())
	src := `{"cells": [{"source": "` + string(f) + `", "outputs": [{"text": "` + string(f) + `"}]}]}`
	r, err := Parse([]byte("[strip.outputs]\nleave_out = ['docs']"))
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"a.ipynb":      `{"cells": [{"source": "[nbhush:KEY]", "outputs": []}]}`,
		"docs/a.ipynb": `{"cells": [{"source": "[nbhush:KEY]", "outputs": [{"text": "[nbhush:KEY]"}]}]}`,
	} {
		if res, err := r.Strip(t.Context(), file, []byte(src), f); err != nil || string(res.Out) != want {
			t.Errorf("%s: %s, %v", file, res.Out, err)
		}
	}
	if res, err := r.Strip(t.Context(), "a.ipynb", []byte("<<<<<<< ours\n"), f); err != nil || res.Changed() {
		t.Errorf("conflict: %v", err)
	}
	if _, err := r.Strip(t.Context(), "a.ipynb", []byte("<<<<<<< "+f), f); !errors.As(err, new(*nbstrip.UnsafeError)) {
		t.Errorf("conflict with a secret: %v", err)
	}
	contradiction := `{"cells": [{"metadata": {"keep_output": false, "tags": ["keep_output"]}}]}`
	if _, err := r.Strip(t.Context(), "a.ipynb", []byte(contradiction), f); !errors.Is(err, outputs.ErrContradiction) {
		t.Errorf("contradiction: %v", err)
	}
}

// FuzzParse: whatever stands in the file, what comes back can be used.
func FuzzParse(f *testing.F) {
	f.Add("[strip]\non_secret = 'redact'\nrules = {'A*' = 'drop-cell'}\n[strip.outputs]\nmax_size = '1k'\nleave_out = ['x']", "x/y")
	f.Fuzz(func(t *testing.T, src, file string) {
		r, err := Parse([]byte(src))
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Fatal(err)
			}
			return
		}
		if _, err := r.Strip(t.Context(), file, []byte(`{"cells": [{"source": "no-secret"}]}`), one("no-secret")); err != nil {
			t.Fatal(err)
		}
	})
}
