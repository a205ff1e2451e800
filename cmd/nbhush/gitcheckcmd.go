package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/nbstrip"
)

// runGitCheck looks for secrets in the notebooks as they are staged; what the
// project's nbhush.toml leaves in is none.
func runGitCheck(ctx context.Context, a *app, o gitOptions) error {
	// What is new or changed; of a conflict there is nothing to commit yet.
	list, err := gitOutput(ctx, "diff", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=ACMT")
	if err != nil {
		return err
	}
	top, err := gitOutput(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	folder := filepath.FromSlash(strings.TrimRight(string(top), "\r\n"))
	finder, book := a.finder(), ruleBook{within: folder}
	results, found := []stripped{}, false
	for name := range strings.SplitSeq(string(list), "\x00") {
		if !strings.HasSuffix(name, ".ipynb") {
			continue
		}
		src, err := gitOutput(ctx, "cat-file", "blob", ":0:"+name)
		if err != nil {
			return err
		}
		r, _, err := book.of(filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		r.OnSecret.Fingerprint = true
		res, err := nbstrip.Strip(ctx, src, finder, r.OnSecret)
		var unsafe *nbstrip.UnsafeError
		if err != nil && !errors.As(err, &unsafe) {
			return &fileError{name, err} // nothing else can be checked either
		}
		s := stripped{File: name, Findings: res.Findings, Dropped: res.Dropped}
		if s.Findings == nil {
			s.Findings = []nbstrip.Finding{}
		}
		switch {
		case err != nil && o.json:
			s.Error = err.Error()
		case err != nil:
			a.fail(&fileError{name, err})
		}
		told := map[string]bool{}
		for _, f := range res.Findings {
			if told[f.Name] {
				continue
			}
			told[f.Name] = true
			// Whoever watches wants to know; that nobody could be told changes nothing here.
			_ = a.client().Found(ctx, api.Found{Name: f.Name, Where: name})
		}
		found = found || err != nil || res.Changed()
		results = append(results, s)
		if !o.json {
			printStripped(a.printLine, s)
		}
	}
	if o.json {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	if found && !o.json {
		a.errorf("secrets are staged")
		a.hintf("nbhush git install, then stage them again: git add --renormalize .")
	}
	if found {
		return exitError{code: exitFound}
	}
	return nil
}

func gitOutput(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(words.Bytes()))
	}
	return out, nil
}
