package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

type importOptions struct {
	file   string
	format string
	dryRun bool
	force  bool
}

func newImportCmd(a *app) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "store every secret of a file",
		Long: `Stores each value of a .env, JSON, YAML, INI, netrc or fnox file. What lies deeper is called
by its path: db.password becomes DB_PASSWORD. A name that is stored already keeps
its value unless --force is given. The file stays as it is; nbhush says what to do
with it. What a fnox.toml refers to is not fetched: lines for nbhush.toml are printed.`,
		Example: `  nbhush import .env
  nbhush import --dry-run config.yaml     names only, nothing is stored
  nbhush import --format json credentials
  nbhush import fnox.toml >> nbhush.toml`,
		Args: argRange(1, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = args[0]
			return runImport(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.format, "format", "", "what the file is: "+strings.Join(importFormats, ", ")+" (default: as its name says)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be stored")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the values of names that are stored already")
	return cmd
}

func runImport(ctx context.Context, a *app, o importOptions) error {
	values, lines, err := readImport(o.file, o.format)
	if err != nil {
		return err
	}
	for _, line := range lines {
		a.printf("%s\n", printable(line))
	}
	if len(lines) > 0 && len(values) == 0 {
		return nil
	}
	defer func() {
		for _, v := range values {
			v.Wipe()
		}
	}()
	if err := a.chooseStore(ctx); err != nil {
		return err
	}
	stored, err := a.client().List(ctx)
	if err != nil {
		return err
	}
	names := make([]secret.Name, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	done, kept := 0, 0
	for _, name := range names {
		switch {
		case values[name].Len() == 0:
			a.say("%s is empty in %s, left out", name, o.file)
		case !o.force && slices.ContainsFunc(stored, func(s api.Secret) bool { return s.Name == string(name) }):
			a.say("%s is stored already, kept", name)
			kept++
		case o.dryRun:
			a.say("would store %s", name)
			done++
		default:
			res, err := a.client().Set(ctx, name, values[name])
			if err != nil {
				return fmt.Errorf("store %s: %w", name, err)
			}
			if res.Warning != "" {
				a.warningf("%s: %s", name, res.Warning)
			}
			a.say("stored %s in the %s", name, res.Store)
			done++
		}
	}
	if kept > 0 {
		a.hintf("to replace the values that were kept: nbhush import --force %s", o.file)
	}
	if done > 0 && !o.dryRun {
		a.hintf("%s still holds the values; delete it when nothing else reads it", o.file)
	}
	return nil
}
