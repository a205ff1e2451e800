package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
)

type listOptions struct {
	json   bool
	unused string
	since  time.Time // what unused means; zero: all
}

func newListCmd(a *app) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "list the secrets: names, never values",
		Args:    argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.since, err = parseSince(o.unused, time.Now()); err != nil {
				return &usageError{cmd, fmt.Sprintf("--unused %q is no time", o.unused)}
			}
			return runList(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.unused, "unused", "", "only those that nobody was given for that `time` (90d), by the audit log")
	cmd.Flags().Lookup("unused").NoOptDefVal = "90d"
	cmd.Flags().BoolVar(&o.json, "json", false, "print the list as JSON")
	return cmd
}

func runList(ctx context.Context, a *app, o listOptions) error {
	secrets, err := a.client().List(ctx)
	if err != nil {
		return err
	}
	if !o.since.IsZero() {
		if secrets, err = unused(a.home.Audit(), secrets, o.since); err != nil {
			return err
		}
		if len(secrets) == 0 && !o.json {
			a.say("every secret was used, or stored, since %s", o.since.Local().Format(time.DateOnly))
			return nil
		}
	}
	if o.json {
		if secrets == nil {
			secrets = []api.Secret{}
		}
		return a.printJSON(secrets)
	}
	a.sayProfile(ctx)
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
		row(s.Name, s.Store, age(time.Since(s.Updated), s.Updated), strings.Join(notes(s), "; "))
	}
	return w.Flush()
}

// notes are what a listing says beside a secret.
func notes(s api.Secret) (all []string) {
	for _, note := range []string{expiry(s.Expires, time.Now()), s.Warning} {
		if note != "" {
			all = append(all, note)
		}
	}
	return all
}

// unused returns the secrets that are older than since and were given to nobody
// from then on.
func unused(log string, secrets []api.Secret, since time.Time) ([]api.Secret, error) {
	used := map[string]bool{}
	err := audit.Read(log, func(e audit.Entry) error {
		if e.Op == audit.OpGet && e.Verdict == audit.Allowed && !e.Time.Before(since) {
			used[string(e.Name)] = true
		}
		return nil
	})
	return slices.DeleteFunc(secrets, func(s api.Secret) bool { return used[s.Name] || s.Created.After(since) }), err
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
