package main

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/nbstrip"
	"github.com/nbhush/nbhush/nbstrip/rules"
	"github.com/nbhush/nbhush/nbstrip/watch"
)

type watchOptions struct {
	dirs        []string
	leaveOut    []string
	changesOnly bool
	noIgnored   bool
	noNotify    bool
	poll, rest  time.Duration
}

func newWatchCmd(a *app) *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch DIR…",
		Short: "strip notebooks as they are saved, until Ctrl-C",
		Long: `Takes the values of secrets out of every notebook in the folders and below, now and
whenever one is saved. For editors that have no hook of nbhush before a save; JupyterLab
asks what to do when a file that it has open changes.

A file is written only when it has been at rest, and only if nobody wrote it meanwhile.
[strip] in the project's nbhush.toml says what goes besides the value, as for nbhush strip;
outputs that git's filter would leave out stay in the file. A desktop shows what was taken out.

Folders called .git, .hg, .svn, node_modules and __pycache__ are left out, and those that
hold a Python environment. .ipynb_checkpoints are not: they hold copies. What git ignores
is left out with --leave-ignored alone: a value is no safer in such a file.
While the agent is locked or away, files stay as they are and are looked at again later.`,
		Example: `  nbhush watch .
  nbhush watch --poll 2s /mnt/share/notebooks`,
		Args: argRange(1, -1, "the DIR to watch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dirs = args
			return runWatch(cmd.Context(), a, o)
		},
	}
	cmd.Flags().BoolVar(&o.changesOnly, "changes-only", false, "leave notebooks alone until they change")
	cmd.Flags().StringArrayVar(&o.leaveOut, "leave-out", nil, "pattern of files and folders to leave alone, such as archive or old_*; may stand more than once")
	cmd.Flags().BoolVar(&o.noIgnored, "leave-ignored", false, "leave alone what git ignores, but for .ipynb_checkpoints")
	cmd.Flags().BoolVar(&o.noNotify, "no-notify", false, "show nothing on the desktop")
	cmd.Flags().DurationVar(&o.poll, "poll", 0, "walk the folders this often, where the system tells of no changes")
	cmd.Flags().DurationVar(&o.rest, "rest", 0, "how long a file must be at rest (default 300ms)")
	return cmd
}

func runWatch(ctx context.Context, a *app, o watchOptions) error {
	for _, pattern := range o.leaveOut {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("--leave-out: %q is no pattern", pattern)
		}
	}
	show := func(string) {}
	if !o.noNotify {
		show = watch.Desktop(ctx)
	}
	ignored := make([]*gitIgnored, len(o.dirs))
	if o.noIgnored {
		for i, dir := range o.dirs {
			ignored[i] = newGitIgnored(ctx, dir)
		}
	}
	return watch.Watch(ctx, watch.Options{
		Dirs:     o.dirs,
		Finder:   a.finder(),
		Debounce: o.rest,
		Existing: !o.changesOnly,
		Poll:     o.poll,
		OnSecret: func(path string) (nbstrip.Options, error) {
			r, _, err := new(ruleBook).of(path) // anew each time: nbhush.toml may be edited meanwhile
			return r.OnSecret, err
		},
		LeaveOut: func(path string) bool { return rules.LeftOut(o.leaveOut, path) },
		Ignored:  func(dir int, path string) bool { return ignored[dir].has(path) },
		OnReady:  func() { a.say("watching; Ctrl-C ends it") },
		OnStrip: func(path string, r nbstrip.Result) {
			printStripped(a.printLine, stripped{File: path, Findings: r.Findings, Dropped: r.Dropped})
			show(fmt.Sprintf("took %s out of %s", strings.Join(names(r.Findings), ", "), printable(filepath.Base(path))))
		},
		OnError: func(_ string, err error) { a.fail(err) },
	})
}

// names returns the names of what was found, each once.
func names(findings []nbstrip.Finding) (all []string) {
	for _, f := range findings {
		if !slices.Contains(all, f.Name) {
			all = append(all, f.Name)
		}
	}
	return all
}
