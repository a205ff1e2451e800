package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/joho/godotenv"
	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

type importOptions struct {
	file   string
	dryRun bool
	force  bool
}

func newImportCmd(a *app) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "store every secret of a .env file",
		Long: `Stores each NAME=VALUE of a .env file. A name that is stored already keeps its value
unless --force is given. The file stays as it is; nbhush says what to do with it.`,
		Example: `  nbhush import .env
  nbhush import --dry-run .env     names only, nothing is stored`,
		Args: argRange(1, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = args[0]
			return runImport(cmd.Context(), a, o)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be stored")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the values of names that are stored already")
	return cmd
}

func runImport(ctx context.Context, a *app, o importOptions) error {
	values, err := readDotenv(o.file)
	if err != nil {
		return err
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

// maxImport is the largest .env file, in bytes.
const maxImport = 4 << 20

// errDotenv stands for every fault of a .env file: the parser's own words
// repeat the line, value and all.
var errDotenv = errors.New("not a .env file: a line is not NAME=VALUE")

func readDotenv(path string) (map[secret.Name]secret.Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer clear(b)
	if len(b) > maxImport {
		return nil, fmt.Errorf("%s is larger than %d bytes: not a .env file", path, maxImport)
	}
	parsed, err := godotenv.UnmarshalBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errDotenv)
	}
	values := make(map[secret.Name]secret.Value, len(parsed))
	for key, value := range parsed {
		name, err := secret.ParseName(key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		values[name] = secret.New([]byte(value))
	}
	return values, nil
}
