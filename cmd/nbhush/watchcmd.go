package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/nbstrip"
	"github.com/nbhush/nbhush/nbstrip/watch"
)

type watchOptions struct {
	dirs        []string
	changesOnly bool
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
outputs that git's filter would leave out stay in the file.
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
	cmd.Flags().DurationVar(&o.poll, "poll", 0, "walk the folders this often, where the system tells of no changes")
	cmd.Flags().DurationVar(&o.rest, "rest", 0, "how long a file must be at rest (default 300ms)")
	return cmd
}

func runWatch(ctx context.Context, a *app, o watchOptions) error {
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
		OnReady:  func() { a.say("watching; Ctrl-C ends it") },
		OnStrip: func(path string, r nbstrip.Result) {
			printStripped(a.printLine, stripped{File: path, Findings: r.Findings, Dropped: r.Dropped})
		},
		OnError: func(_ string, err error) { a.fail(err) },
	})
}
