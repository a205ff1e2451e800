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
	file    string
	format  string
	keyring []string
	user    string
	as      string
	dryRun  bool
	force   bool
}

func newImportCmd(a *app) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "store every secret of a file, or of another service in the keyring",
		Long: `Stores each value of a .env, JSON, YAML, INI, netrc or fnox file. What lies deeper is called
by its path: db.password becomes DB_PASSWORD. A name that is stored already keeps
its value unless --force is given. The file stays as it is; nbhush says what to do
with it. What a fnox.toml refers to is not fetched: lines for nbhush.toml are printed.

With --keyring it stores what Python's keyring keeps under a service of the system's
keyring, each as its user is called: my-bot becomes MY_BOT. Only Linux can list the
users; on macOS name one with --user.`,
		Example: `  nbhush import .env
  nbhush import --dry-run config.yaml     names only, nothing is stored
  nbhush import --format json credentials
  nbhush import fnox.toml >> nbhush.toml
  nbhush import --keyring myservice
  nbhush import --keyring myservice --user bot --as BOT_TOKEN`,
		RunE: func(cmd *cobra.Command, args []string) error {
			needs := argRange(1, 1, "one FILE")
			if len(o.keyring) > 0 {
				needs = argRange(0, 0, "no FILE with --keyring")
			}
			if err := needs(cmd, args); err != nil {
				return err
			}
			switch {
			case len(o.keyring) == 0 && (o.user != "" || o.as != ""):
				return &usageError{cmd, "--user and --as go with --keyring"}
			case len(o.keyring) > 0 && o.format != "":
				return &usageError{cmd, "--format goes with a FILE"}
			}
			o.file = strings.Join(args, "")
			return runImport(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.format, "format", "", "what the file is: "+strings.Join(importFormats, ", ")+" (default: as its name says)")
	cmd.Flags().StringArrayVar(&o.keyring, "keyring", nil, "a service of Python's keyring; may be given again")
	cmd.Flags().StringVar(&o.user, "user", "", "only this user of the service")
	cmd.Flags().StringVar(&o.as, "as", "", "the name for what is found, if that is one secret")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be stored")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the values of names that are stored already")
	return cmd
}

// read returns the values to be stored, and lines for an nbhush.toml.
func (o importOptions) read() (map[secret.Name]secret.Value, []string, error) {
	if len(o.keyring) == 0 {
		return readImport(o.file, o.format)
	}
	values, err := readKeyring(o.keyring, o.user, o.as)
	return values, nil, err
}

// source is what holds the values.
func (o importOptions) source() string {
	if len(o.keyring) == 0 {
		return o.file
	}
	return "the keyring"
}

// rest is what to delete of the source.
func (o importOptions) rest() string {
	if len(o.keyring) == 0 {
		return "it"
	}
	return "what was imported from there"
}

func runImport(ctx context.Context, a *app, o importOptions) error {
	values, lines, err := o.read()
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
			a.say("%s is empty in %s, left out", name, o.source())
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
		again := o.file
		for _, service := range o.keyring {
			again = strings.TrimSpace(fmt.Sprintf("%s --keyring %q", again, service))
		}
		a.hintf("to replace the values that were kept: nbhush import --force %s", again)
	}
	if done > 0 && !o.dryRun && !isHanded(o.file) {
		a.hintf("%s still holds the values; delete %s when nothing else reads it", o.source(), o.rest())
	}
	return nil
}
