package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/inject"
)

type getOptions struct {
	name    secret.Name
	profile string
}

func newGetCmd(a *app) *cobra.Command {
	var o getOptions
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "print a secret",
		Long: `Prints a secret's value to standard output; a newline is added on a terminal only.

In a notebook of any language, nbhush get asks on behalf of the kernel: it has
what this project's nbhush.toml lists and nbhush allow approved, and the value
is taken out of what the cell shows.`,
		Example: `  curl -H "Authorization: Bearer $(nbhush get API_TOKEN)" https://…   (in a script)
  key <- system2("nbhush", c("get", "API_TOKEN"), stdout = TRUE)      (in an R notebook)`,
		Args: argRange(1, 1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.name, err = secret.ParseName(args[0]); err != nil {
				return err
			}
			return runGet(cmd.Context(), a, o)
		},
	}
	profileFlag(cmd, &o.profile)
	return cmd
}

// newFollowCmd is what the hook has a kernel of another language call between two cells.
func newFollowCmd(a *app) *cobra.Command {
	short := "print what NAME has to be in this kernel's environment; a kernel behind nbhush calls this"
	return forKernels(a, "follow", short, func(ctx context.Context, endpoint, token, name string) (secret.Value, error) {
		now := secret.New([]byte(a.getenv(name)))
		v, same, err := inject.Follow(ctx, endpoint, token, name, now)
		if same {
			return now, err
		}
		return v, err
	})
}

// newHoldCmd is what nbhush inject has a kernel of another language call.
func newHoldCmd(a *app) *cobra.Command {
	return forKernels(a, "hold", "print the value of NAME for this kernel's environment, where it is followed", inject.Hold)
}

// forKernels returns a command for code that nbhush sends, which prints what ask has from the kernel's endpoint.
func forKernels(a *app, verb, short string, ask func(ctx context.Context, endpoint, token, name string) (secret.Value, error)) *cobra.Command {
	return &cobra.Command{
		Use:    verb + " NAME",
		Short:  short,
		Hidden: true,
		Args:   argRange(1, 1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := ask(cmd.Context(), a.getenv("NBHUSH_ENDPOINT"), a.getenv("NBHUSH_TOKEN"), args[0])
			if err != nil {
				return err
			}
			defer v.Wipe()
			_, err = a.out.Write(v.Reveal())
			return err
		},
	}
}

func runGet(ctx context.Context, a *app, o getOptions) error {
	v, err := a.value(ctx, o.name, o.profile)
	if err != nil {
		return err
	}
	defer v.Wipe()
	if _, err := a.out.Write(v.Reveal()); err != nil {
		return err
	}
	if a.terminal(a.out) {
		a.printf("\n")
	}
	return nil
}

// value asks through the kernel's own endpoint inside a kernel, else at the agent.
func (a *app) value(ctx context.Context, name secret.Name, profile string) (secret.Value, error) {
	if endpoint := a.getenv("NBHUSH_ENDPOINT"); endpoint != "" {
		values, err := inject.Ask(ctx, endpoint, a.getenv("NBHUSH_TOKEN"), []string{api.JoinName(profile, string(name))})
		if err != nil {
			return secret.Value{}, err
		}
		return values[0], nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return secret.Value{}, err
	}
	values, err := a.clientIn(profile).Get(ctx, []secret.Name{name}, dir)
	return values[name], err
}
