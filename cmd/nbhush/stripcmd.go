package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip"
)

type stripOptions struct {
	files       []string
	check, json bool
	onSecret    string
	book        ruleBook
}

// of returns what to do with secrets in the file.
func (o *stripOptions) of(file string) (nbstrip.Options, error) {
	if o.onSecret != "" {
		mode, err := nbstrip.ParseMode(o.onSecret)
		if err != nil {
			return nbstrip.Options{}, err
		}
		ignore, err := nbstrip.ReadIgnore(filepath.Dir(file))
		return nbstrip.Options{Mode: mode, Ignore: ignore, Fingerprint: true}, err
	}
	r, _, err := o.book.of(file)
	r.OnSecret.Fingerprint = true
	return r.OnSecret, err
}

func newStripCmd(a *app) *cobra.Command {
	var o stripOptions
	cmd := &cobra.Command{
		Use:   "strip FILE…",
		Short: "take the values of secrets out of notebooks, in place",
		Long: `Puts [nbhush:NAME] in the place of each secret's value and leaves every other byte as
it is. A file in which nothing is found is not written. - reads standard input and
writes the stripped notebook to standard output.

What nobody stored but looks like a secret goes too, as [nbhush:RULE-1234]. If it is none,
leave it in with # nbhush: ignore on its line, with the tag nbhush-ignore on its cell, or
with the fingerprint that strip prints in .nbhushignore, in the notebook's folder or above.
None of these keeps the value of a stored secret.

With --on-secret=drop-output an output that holds a value goes whole, with drop-cell the
cell; where there is none, the value is replaced. A project's nbhush.toml may say so, too,
also for git's filter, and also by the secret's name and the cell's tag:

  [strip]
  on_secret = "redact"
  rules = { "AWS_*" = "drop-output" }
  tags = { private = "drop-cell" }
  leave = ["JWT-*"]         # looks of this rule are no secrets here

  [strip.outputs]           # git's filter stores no outputs and no counts
  keep_types = ["error"]    # and keep_output, keep_count, number_ids, extra_keys,
  leave_out = ["docs"]      # keep_keys, only_keys, drop_empty_cells, drop_tags,
                            # strip_init_cells, drop_types, max_size

With --outputs it does what nbstripout does, with its flags: nbhush strip --outputs --help.`,
		Example: `  nbhush strip analysis.ipynb
  nbhush strip --check *.ipynb      only say what would go; exits with 3 if there is something
  nbhush strip --on-secret=drop-output *.ipynb
  nbhush strip --outputs *.ipynb    take out all outputs, as nbstripout does
  nbhush strip - < in.ipynb > out.ipynb`,
		Args: argRange(1, -1, "the FILE to strip, or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			if o.onSecret != "" {
				if _, err := nbstrip.ParseMode(o.onSecret); err != nil {
					return &usageError{cmd, err.Error()}
				}
			}
			return runStrip(cmd.Context(), a, &o)
		},
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "change nothing; exit with 3 if there is something to strip")
	cmd.Flags().StringVar(&o.onSecret, "on-secret", "", "redact, drop-output or drop-cell (default: what nbhush.toml says, or redact)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what was found as JSON")
	return cmd
}

// stripped is what strip says of one file.
type stripped struct {
	File     string            `json:"file"`
	Findings []nbstrip.Finding `json:"findings"`
	Dropped  []nbstrip.Dropped `json:"dropped,omitempty"`
	Error    string            `json:"error,omitempty"`
}

func runStrip(ctx context.Context, a *app, o *stripOptions) error {
	finder := a.finder()
	if len(o.files) == 1 && o.files[0] == "-" {
		return stripStdin(ctx, a, o, finder)
	}
	results := []stripped{}
	found, failed := false, false
	for i, file := range o.files {
		a.stripProgress(i, len(o.files), file)
		res, err := stripOne(ctx, file, finder, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if code := exitCode(err); err != nil && code == exitAgent {
			return err // nothing else can be found either
		}
		s := stripped{File: file, Findings: res.Findings, Dropped: res.Dropped}
		var unsafe *nbstrip.UnsafeError
		switch {
		case err != nil && o.json:
			s.Error = err.Error()
		case err != nil:
			a.fail(err)
		}
		failed = failed || err != nil
		found = found || res.Changed() || errors.As(err, &unsafe)
		if s.Findings == nil {
			s.Findings = []nbstrip.Finding{}
		}
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
	switch {
	case o.check && found:
		return exitError{code: exitFound}
	case failed:
		return exitError{code: exitFailed}
	}
	return nil
}

// stripOne strips the file, or with check only finds what would go.
func stripOne(ctx context.Context, file string, f match.Finder, o *stripOptions) (nbstrip.Result, error) {
	options, err := o.of(file)
	if err != nil {
		return nbstrip.Result{}, err
	}
	if !o.check {
		// What a run that was killed left; a minute, since another one may be at work.
		base := filepath.Base(file)
		_ = savefile.Sweep(filepath.Dir(file), time.Minute, func(name string) bool { return name == base })
		return nbstrip.StripFile(ctx, file, f, options)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nbstrip.Result{}, err
	}
	res, err := nbstrip.Strip(ctx, src, f, options)
	if err != nil {
		return res, &fileError{file, err}
	}
	return res, nil
}

// fileError says which file an error is about.
type fileError struct {
	file string
	err  error
}

func (e *fileError) Error() string { return "strip " + e.file + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// stripStdin strips a notebook on its way through; with an error, nothing was written.
func stripStdin(ctx context.Context, a *app, o *stripOptions, f match.Finder) error {
	src, err := io.ReadAll(a.in)
	if err != nil {
		return &fileError{"standard input", err}
	}
	options, err := o.of("-")
	if err != nil {
		return err
	}
	res, err := nbstrip.Strip(ctx, src, f, options)
	var unsafe *nbstrip.UnsafeError
	if o.check && errors.As(err, &unsafe) {
		return exitError{exitFound, &fileError{"standard input", err}}
	}
	if err != nil {
		return &fileError{"standard input", err}
	}
	s := stripped{File: "-", Findings: res.Findings, Dropped: res.Dropped}
	if o.json && o.check {
		if s.Findings == nil {
			s.Findings = []nbstrip.Finding{}
		}
		err = a.printJSON([]stripped{s})
	} else {
		printStripped(a.say, s)
	}
	if err != nil {
		return err
	}
	if o.check {
		if res.Changed() {
			return exitError{code: exitFound}
		}
		return nil
	}
	_, err = io.Copy(a.out, bytes.NewReader(res.Out))
	return err
}

// printStripped writes names and places, a line each.
func printStripped(line func(string, ...any), s stripped) {
	file := printable(s.File)
	for _, f := range s.Findings {
		print := ""
		if f.Fingerprint != "" {
			print = " (" + f.Fingerprint + ")"
		}
		if f.Cell < 0 {
			line("%s:%d: %s, in the notebook's %s%s", file, f.Line, f.Name, f.Where, print)
			continue
		}
		line("%s:%d: %s, in the %s of cell %d%s", file, f.Line, f.Name, f.Where, f.Cell+1, print)
	}
	for _, d := range s.Dropped {
		if d.Mime == "cell" {
			line("%s:%d: cell %d taken out whole", file, d.Line, d.Cell+1)
			continue
		}
		line("%s:%d: %s of cell %d taken out whole", file, d.Line, printable(d.Mime), d.Cell+1)
	}
}

// printLine writes a line to stdout.
func (a *app) printLine(format string, args ...any) { a.printf(format+"\n", args...) }

// stripProgress says which of many files is being looked at, on a terminal.
func (a *app) stripProgress(i, n int, file string) {
	if n > 1 && a.terminal(a.err) && a.terminal(a.out) {
		a.say("%d of %d: %s", i+1, n, file)
	}
}
