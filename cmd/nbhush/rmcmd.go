package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/secret"
)

type rmOptions struct {
	names  []secret.Name
	forget bool
}

func newRmCmd(a *app) *cobra.Command {
	var o rmOptions
	cmd := &cobra.Command{
		Use:   "rm NAME…",
		Short: "remove secrets from the store",
		Long: `Removes secrets from the keyring or the vault. Their values stay in the encrypted
history, where nbhush restore finds them, and are still taken out of outputs and files.
--forget wipes them there too; from then on they are not known, except to
kernels that run now, which lose the secret as nbhush deny --help says. Files of nbhush
sync and nbhush backup still hold them, and the next sync brings them back.`,
		Args: argRange(1, -1, "the NAME of a secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				name, err := secret.ParseName(arg)
				if err != nil {
					return err
				}
				o.names = append(o.names, name)
			}
			return runRm(cmd.Context(), a, o)
		},
	}
	cmd.Flags().BoolVar(&o.forget, "forget", false, "wipe the values from the history as well")
	return cmd
}

func runRm(ctx context.Context, a *app, o rmOptions) error {
	for _, name := range o.names {
		s, err := a.client().Delete(ctx, name)
		if err != nil {
			return err
		}
		a.say("removed %s from the %s", name, s.Store)
		if o.forget {
			if err := a.client().Forget(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}
