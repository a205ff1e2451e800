package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/nbstrip/gitfilter"
)

type gitOptions struct{ global, json, force, diff, restore, hook bool }

func newGitCmd(a *app) *cobra.Command {
	var o gitOptions
	cmd := asGroup(&cobra.Command{
		Use:   "git",
		Short: "keep secrets out of what git stores",
		Long: `Sets nbhush as git's filter for *.ipynb: what git add stores holds the names of
secrets in place of their values, and the working copy stays as it is.

When a notebook cannot be checked, because the agent is locked or away, git add,
commit -a, stash, merge and rebase refuse it and store nothing; git status, diff, log
and checkout go on to work. If nbhush itself is gone, git refuses to add notebooks and
to check them out: git config --global --remove-section filter.nbhush ends that.

With --diff, git diff and log show notebooks as text, and no values. With --hook, git
commit looks once more for secrets in what is staged. With --restore, a checkout puts the
values back into code cells, as far as the project's nbhush.toml lists them and nbhush
allow approved it: the working copy then holds them. Later installs keep these settings.`,
		Example: `  nbhush git install --global    every repository of this user
  nbhush git install             this repository; commit the .gitattributes
  nbhush git install --diff --hook
  nbhush git check               look for secrets in what is staged
  nbhush git status`,
	})
	sub := func(use, short string, run func(context.Context, *app, gitOptions) error) *cobra.Command {
		c := &cobra.Command{
			Use: use, Short: short, Args: argRange(0, 0, "no arguments"),
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), a, o) },
		}
		c.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
		cmd.AddCommand(c)
		return c
	}
	install := sub("install", "set the filter, or bring it up to date", runGitInstall)
	install.Flags().BoolVar(&o.force, "force", false, "take notebooks over from another filter")
	install.Flags().BoolVar(&o.diff, "diff", false, "show notebooks readably in git diff and git log")
	install.Flags().BoolVar(&o.restore, "restore", false, "put values back on checkout")
	install.Flags().BoolVar(&o.hook, "hook", false, "check what is staged before each commit (this repository only)")
	uninstall := sub("uninstall", "take the filter out; every file is as it was before", runGitUninstall)
	status := sub("status", "say what is set, and try it", runGitStatus)
	for _, c := range []*cobra.Command{install, uninstall, status} {
		c.Flags().BoolVar(&o.global, "global", false, "for every repository of this user")
	}
	sub("check", "look for secrets in the notebooks that are staged; exits with 3 if there are any", runGitCheck)
	cmd.AddCommand(newGitProcessCmd(a), newGitCleanCmd(a), newGitSmudgeCmd(a), newGitTextconvCmd(a))
	return cmd
}

// The next names stand in users' configuration of git: they stay.

func newGitProcessCmd(a *app) *cobra.Command {
	var restore bool
	cmd := &cobra.Command{
		Use: "process", Short: "be git's long-running filter; git calls this", Hidden: true,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, told := a.gitFilter(restore)
			defer told(cmd.Context())
			return f.Process(cmd.Context(), a.in, a.out)
		},
	}
	cmd.Flags().BoolVar(&restore, "restore", false, "put values back on checkout")
	return cmd
}

func newGitCleanCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "clean [PATH]", Short: "be git's filter for one file; git calls this", Hidden: true,
		Args: argRange(0, 1, "the PATH of the file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, told := a.gitFilter(false)
			defer told(cmd.Context())
			return f.Clean(cmd.Context(), pathOr(args, "-"), a.in, a.out)
		},
	}
}

func newGitSmudgeCmd(a *app) *cobra.Command {
	var restore bool
	cmd := &cobra.Command{
		Use: "smudge [PATH]", Short: "pass a file through; git calls this", Hidden: true,
		Args: argRange(0, 1, "the PATH of the file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !restore {
				_, err := io.Copy(a.out, a.in)
				return err
			}
			src, err := io.ReadAll(a.in)
			if err != nil {
				return err
			}
			f, _ := a.gitFilter(true)
			_, err = a.out.Write(f.Smudge(cmd.Context(), pathOr(args, "-"), src))
			return err
		},
	}
	cmd.Flags().BoolVar(&restore, "restore", false, "put values back")
	return cmd
}

func newGitTextconvCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "textconv FILE", Short: "print a notebook for git diff; git calls this", Hidden: true,
		Args: argRange(1, 1, "the FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			// git names a copy of what it stored, so only what goes for the whole project counts.
			f, _ := a.gitFilter(false)
			return f.Textconv(cmd.Context(), filepath.Base(args[0]), src, a.out)
		},
	}
}

func pathOr(args []string, none string) string {
	if len(args) > 0 {
		return args[0]
	}
	return none
}

// gitFilter joins git's filter with this user's agent. At the end told says what
// was found.
func (a *app) gitFilter(restore bool) (f *gitfilter.Filter, told func(context.Context)) {
	finder, book, found := a.finder(), &ruleBook{}, &gitFound{}
	if top, err := os.Getwd(); err == nil {
		// git runs filters at the top of the work tree. What every clone of the
		// repository stores is the same, so what is above it does not count.
		book.within, _ = filepath.EvalSymlinks(top)
	}
	f = &gitfilter.Filter{
		Finder: finder, Cleaned: found.add,
		Strip: func(ctx context.Context, path string, src []byte) ([]byte, error) {
			r, name, err := book.of(filepath.FromSlash(path))
			if err != nil {
				return nil, err
			}
			res, err := r.Strip(ctx, name, src, finder)
			found.last = res.Findings
			return res.Out, err
		},
		Report: func(err error) {
			var shown *gitfilter.WithheldError
			if !errors.As(err, &shown) {
				a.fail(err)
				return
			}
			a.warningf("%s", err)
			if hint := hintOf(err); hint != "" {
				a.hintf("%s", hint)
			}
		},
	}
	if restore {
		f.Restore = (&restorer{app: a}).restore
	}
	return f, func(ctx context.Context) { found.tell(ctx, finder, f.Reading) }
}

// gitSettings are the options for git's settings here.
func (a *app) gitSettings(o gitOptions) (gitfilter.Options, error) {
	dir, err := os.Getwd()
	if err != nil {
		return gitfilter.Options{}, err
	}
	program, err := ownPath()
	if err != nil {
		return gitfilter.Options{}, err
	}
	return gitfilter.Options{
		Global: o.global, Dir: dir, Program: program, Force: o.force, Diff: o.diff, Restore: o.restore, Getenv: a.getenv,
	}, nil
}

func runGitInstall(ctx context.Context, a *app, o gitOptions) error {
	set, err := a.gitSettings(o)
	if err != nil {
		return err
	}
	changed, err := gitfilter.Install(ctx, set)
	if err == nil && o.hook {
		var file string
		if file, err = gitfilter.InstallHook(ctx, set); file != "" {
			changed = append(changed, file)
		}
	}
	if err != nil {
		return err
	}
	if !o.json {
		a.sayChanged(changed, "git's filter is set already")
	}
	s, err := gitfilter.Inspect(ctx, set)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(s)
	}
	a.warnGit(s)
	if !o.global && len(changed) > 0 {
		a.hintf("commit the filter's line with: git add .gitattributes")
	}
	return nil
}

func runGitUninstall(ctx context.Context, a *app, o gitOptions) error {
	set, err := a.gitSettings(o)
	if err != nil {
		return err
	}
	changed, err := gitfilter.Uninstall(ctx, set)
	if err != nil {
		return err
	}
	s, err := gitfilter.Inspect(ctx, set)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(s)
	}
	a.sayChanged(changed, "git's filter is not set")
	if s.Command != "" {
		a.warningf("git still has a setting filter.nbhush.process from elsewhere: %s", s.Command)
		a.hintf("see where with: git config --show-origin --get-all filter.nbhush.process")
	}
	return nil
}

func (a *app) sayChanged(files []string, none string) {
	if len(files) == 0 {
		a.say("%s", none)
	}
	for _, file := range files {
		a.say("changed %s", file)
	}
}

// warnGit says what stands in the way of the filter.
func (a *app) warnGit(s gitfilter.Status) {
	for _, p := range s.Problems {
		a.warningf("%s", p)
	}
	for _, other := range s.Others {
		if other.Attribute == "filter" {
			a.warningf("%s:%d sets the filter %s for %s; git runs one filter only", other.File, other.Line, other.Value, other.Pattern)
		}
	}
}

func runGitStatus(ctx context.Context, a *app, o gitOptions) error {
	set, err := a.gitSettings(o)
	if err != nil {
		return err
	}
	s, err := gitfilter.Inspect(ctx, set)
	if err != nil {
		return err
	}
	if o.json {
		err = a.printJSON(s)
	} else {
		a.printGitStatus(s)
	}
	if err == nil && s.Command != "" && (!s.Works || len(s.Problems) > 0) {
		return exitError{code: exitFailed}
	}
	return err
}

func (a *app) printGitStatus(s gitfilter.Status) {
	where, flag := "in this repository", ""
	if s.Global {
		where, flag = "for this user", " --global"
	}
	switch {
	case s.Installed:
		a.printf("installed %s\n", where)
	case s.Command != "":
		a.printf("not installed %s, but set elsewhere\n", where)
	default:
		a.printf("not installed %s\n", where)
		a.hintf("nbhush git install%s", flag)
	}
	if s.Installed {
		a.printf("settings    %s\nattributes  %s\n", printable(s.Config), printable(s.Attributes))
	}
	if s.Command != "" {
		works := "no"
		if s.Works {
			works = "yes"
		}
		a.printf("command     %s\nworks       %s\n", printable(s.Command), works)
	}
	for _, other := range s.Others {
		a.printf("also        %s=%s for %s in %s:%d\n", other.Attribute, printable(other.Value), printable(other.Pattern), printable(other.File), other.Line)
	}
	for _, p := range s.Problems {
		a.warningf("%s", p)
	}
}
