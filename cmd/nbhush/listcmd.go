package main

import (
	"context"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
)

type listOptions struct{ json bool }

func newListCmd(a *app) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "list the secrets: names, never values",
		Args:    argRange(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), a, o) },
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the list as JSON")
	return cmd
}

func runList(ctx context.Context, a *app, o listOptions) error {
	secrets, err := a.client().List(ctx)
	if err != nil {
		return err
	}
	if o.json {
		if secrets == nil {
			secrets = []api.Secret{}
		}
		return a.printJSON(secrets)
	}
	if len(secrets) == 0 {
		a.say("there are no secrets yet")
		a.hintf("store one with: nbhush set NAME")
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, c := range cells {
			if i > 0 {
				_, _ = w.Write([]byte{'\t'})
			}
			_, _ = w.Write([]byte(printable(c)))
		}
		_, _ = w.Write([]byte{'\n'})
	}
	row("NAME", "STORE", "AGE", "NOTE")
	for _, s := range secrets {
		row(s.Name, s.Store, age(time.Since(s.Updated), s.Updated), s.Warning)
	}
	return w.Flush()
}

// age says how old a value is in one unit.
func age(d time.Duration, since time.Time) string {
	const day = 24 * time.Hour
	switch {
	case since.IsZero():
		return "unknown"
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < day:
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/day), "day")
}
