package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/secret"
)

const profiled = `[secrets]
DB = {}
TOKEN = {}
[profiles]
default = "dev"
[profiles.staging]
branch = ["staging", "test/**"]
secrets = { DB = "store://STAGING_DB" }
[profiles.dev]
secrets = { DB = { from = "store://DEV_DB" }, DEBUG_KEY = {} }
[profiles.prod]
branch = ["main", "release/*", "test/prod"]
[profiles.prod.secrets]
DB = { from = "store://PROD_DB", ttl = "1m" }
[profiles.live]
consent = "session"
[profiles.production]
consent = "none"
`

func TestProfiles(t *testing.T) {
	c, err := Parse([]byte(profiled))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"staging", "dev", "prod", "live", "production"}, c.Known()); diff != "" {
		t.Error("order", diff)
	}
	for profile, want := range map[string]string{"": "", "dev": "store://DEV_DB", "prod": "store://PROD_DB", "live": "", "none": ""} {
		s, listed := c.In(profile, "DB")
		if s.From.String() != want || !listed {
			t.Errorf("%s: DB from %q, %v", profile, s.From, listed)
		}
	}
	for profile, want := range map[string][]secret.Name{"": {"DB", "TOKEN"}, "dev": {"DB", "DEBUG_KEY", "TOKEN"}, "prod": {"DB", "TOKEN"}} {
		if diff := cmp.Diff(want, c.NamesIn(profile)); diff != "" {
			t.Errorf("%s: %s", profile, diff)
		}
	}
	if diff := cmp.Diff([]secret.Name{"DB", "DEBUG_KEY", "TOKEN"}, c.Names()); diff != "" {
		t.Error(diff)
	}
	for profile, want := range map[string]bool{"": false, "dev": false, "prod": true, "live": true, "production": false} {
		if c.asks(profile) != want {
			t.Errorf("%s asks: %v", profile, !want)
		}
	}
}

func TestChoose(t *testing.T) {
	c, err := Parse([]byte(profiled))
	if err != nil {
		t.Fatal(err)
	}
	says := func(s string) func() string { return func() string { return s } }
	none, err := Parse([]byte("[secrets]\nDB = {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		config *Config
		wanted Wanted
		want   string // profile and why, or the error
	}{
		{"nobody", c, Wanted{}, "dev by default"},
		{"flag", c, Wanted{"prod", "staging", says("live"), says("main")}, "prod as you asked"},
		{"environment", c, Wanted{"", "staging", says("live"), says("main")}, "staging by NBHUSH_PROFILE"},
		{"notebook", c, Wanted{"", "", says("live"), says("main")}, "live by the notebook's metadata"},
		{"branch", c, Wanted{"", "", says(""), says("main")}, "prod by the git branch main"},
		{"branch by pattern", c, Wanted{"", "", nil, says("release/2")}, "prod by the git branch release/2"},
		{"the first in the file", c, Wanted{"", "", nil, says("test/prod")}, "staging by the git branch test/prod"},
		{"another branch", c, Wanted{"", "", nil, says("release/2/x")}, "dev by default"},
		{"unknown flag", c, Wanted{Flag: "pord"}, `nbhush.toml has no profile "pord": it has staging, dev, prod, live, production`},
		{"unknown environment", c, Wanted{Env: "x"}, `nbhush.toml has no profile "x": it has staging, dev, prod, live, production`},
		{"unknown in the notebook", c, Wanted{Notebook: says("x")}, `nbhush.toml has no profile "x": it has staging, dev, prod, live, production`},
		{"no profiles", none, Wanted{"", "prod", says("prod"), says("main")}, " "},
		{"no profiles, a flag", none, Wanted{Flag: "prod"}, `nbhush.toml has no profile "prod": it has none`},
		{"no file, a flag", nil, Wanted{Flag: "prod"}, `nbhush.toml has no profile "prod": it has none`},
		{"no file", nil, Wanted{Env: "prod"}, " "},
		{"no default", &Config{Profiles: map[string]Profile{"a": {}}}, Wanted{}, " nothing chooses one"},
		{"a value in its place", c, Wanted{Flag: "not a profile"}, "nbhush.toml has no such profile: it has staging, dev, prod, live, production"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			choice, err := tt.config.Choose(tt.wanted)
			got := choice.Profile + " " + choice.By
			var unknown *UnknownProfileError
			if errors.As(err, &unknown) {
				got = err.Error()
			} else if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestBranch(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("repo/.git/HEAD", "ref: refs/heads/release/1\n")
	write("repo/deep/er/x", "")
	write("repo/sub/.git", "gitdir: ../.git/modules/sub\n")
	write("repo/.git/modules/sub/HEAD", "ref: refs/heads/of-sub\n")
	write("tree/.git", "gitdir: "+filepath.ToSlash(root)+"/repo/.git/worktrees/tree\n")
	write("repo/.git/worktrees/tree/HEAD", "ref: refs/heads/main\n")
	write("detached/.git/HEAD", strings.Repeat("0", 40)+"\n")
	write("reftable/.git/HEAD", "ref: refs/heads/.invalid\n")
	write("tag/.git/HEAD", "ref: refs/tags/v1\n")
	write("odd/.git", "something else")
	write("folder/.git/HEAD/x", "")
	write("long/.git/HEAD", "ref: refs/heads/"+strings.Repeat("x", maxHead))
	for dir, want := range map[string]string{
		"repo": "release/1", "repo/deep/er": "release/1", "repo/sub": "of-sub", "tree": "main",
		"detached": "", "reftable": "", "tag": "", "odd": "", "folder": "", "": "",
	} {
		if got := Branch(filepath.Join(root, dir)); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
	if got := Branch(filepath.Join(root, "long")); len(got) > maxHead {
		t.Errorf("a branch of %d bytes", len(got))
	}
}

func TestNotebookProfile(t *testing.T) {
	dir := t.TempDir()
	for i, tt := range []struct {
		src, want string
		fails     bool
	}{
		{`{"cells": [{"metadata": {"nbhush": {"profile": "cell"}}}], "metadata": {"kernelspec": {}, "nbhush": {"x": [1], "profile": "prod"}}}`, "prod", false},
		{"\xef\xbb\xbf" + `{"metadata": {"nbhush": {"profile": "prod"}}, "cells": not read`, "prod", false},
		{`{"metadata": {"a": 1, "a": 2, "nbhush": {"profile": "p-1"}}}`, "p-1", false},
		{`{"metadata": {"nbhush": {}}}`, "", false},
		{`{"metadata": {}}`, "", false},
		{`{}`, "", false},
		{`{"metadata": {"nbhush": {"profile": "a value, by mistake"}}}`, "", true},
		{`{"metadata": {"nbhush": {"profile": 7}}}`, "", true},
		{`{"metadata": {"nbhush": "prod"}}`, "", true},
		{`{"metadata": []}`, "", true},
		{`[]`, "", true},
		{``, "", true},
		{`{"cells": [`, "", true},
	} {
		path := filepath.Join(dir, "n.ipynb")
		if err := os.WriteFile(path, []byte(tt.src), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := NotebookProfile(path)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%d: %q, %v, want %q", i, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "mistake") {
			t.Errorf("the error repeats what is in the notebook: %v", err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none.ipynb")} {
		if got, err := NotebookProfile(path); err == nil {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// FuzzNotebookProfile: what comes out of a file can be the name of a profile, and stands in it.
func FuzzNotebookProfile(f *testing.F) {
	f.Add(`{"metadata": {"nbhush": {"profile": "prod"}}}`)
	f.Add(`{"cells": [{}], "metadata": {"nbhush": {"a": {}, "profile": "a b"}}}`)
	f.Fuzz(func(t *testing.T, src string) {
		got, err := metadataProfile(strings.NewReader(src))
		if err != nil && got != "" || got != "" && !validProfile(got) {
			t.Fatalf("%q, %v", got, err)
		}
		if got != "" && !strings.Contains(src, got) && !strings.Contains(src, `\u`) {
			t.Fatalf("%q is not in the file", got)
		}
	})
}

// A profile asks by what its name says, however that is written.
func TestAsksByName(t *testing.T) {
	for name, want := range map[string]bool{"prod": true, "Prod": true, "PRODUCTION": true, "production": true, "product": false, "dev": false, "": false} {
		if got := asksByName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
