package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/nbstrip"
	"github.com/nbhush/nbhush/nbstrip/rules"
)

// ruleBook finds the rules for notebooks, and reads each nbhush.toml once. The
// zero one is ready; it is for one goroutine at a time.
type ruleBook struct {
	// within, if set, is the folder, without links, above which no nbhush.toml counts.
	within   string
	projects map[string]project // by the folder of a notebook
}

// project is what the nbhush.toml of the folder top says; top is "" where there is none.
type project struct {
	top   string
	rules rules.Rules
	err   error
}

// of returns the rules for the notebook at path, and its name in the project, with slashes.
func (b *ruleBook) of(path string) (r rules.Rules, name string, err error) {
	dir := filepath.Dir(path)
	p, ok := b.projects[dir]
	if !ok {
		p = b.load(dir)
		if b.projects == nil {
			b.projects = map[string]project{}
		}
		b.projects[dir] = p
	}
	name = filepath.ToSlash(path)
	if p.top == "" || p.err != nil {
		return p.rules, name, p.err
	}
	// policy.Find resolves links in folders; so must we, to get a path below top.
	if real, err := filepath.EvalSymlinks(existing(dir)); err == nil {
		if rel, err := filepath.Rel(p.top, filepath.Join(real, filepath.Base(path))); err == nil {
			name = filepath.ToSlash(rel)
		}
	}
	return p.rules, name, nil
}

func (b *ruleBook) load(dir string) (p project) {
	defer func() {
		var err error
		if p.rules.OnSecret.Ignore, err = nbstrip.ReadIgnore(existing(dir)); p.err == nil {
			p.err = err
		}
	}()
	file, err := policy.FindOwn(existing(dir))
	if err != nil || file == "" {
		p.err = err
		return p
	}
	if rel, err := filepath.Rel(b.within, filepath.Dir(file)); b.within != "" && (err != nil || !filepath.IsLocal(rel)) {
		return p
	}
	p.top = filepath.Dir(file)
	src, err := os.ReadFile(file)
	if err == nil {
		p.rules, err = rules.Parse(src)
	}
	p.err = err
	return p
}

// existing returns dir or the nearest folder above it that is there: git may
// ask about a file that it has not written.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}
