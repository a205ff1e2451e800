package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/secret"
)

type rmOptions struct{ names []secret.Name }

func newRmCmd(a *app) *cobra.Command {
	var o rmOptions
	return &cobra.Command{
		Use:   "rm NAME…",
		Short: "remove secrets from the store",
		Long: `Removes secrets from the keyring or the vault. From then on their values are no
longer known, so they are no longer taken out of outputs and files either, except in
kernels that run now. Python kernels lose them before their next cell.`,
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
}

func runRm(ctx context.Context, a *app, o rmOptions) error {
	for _, name := range o.names {
		s, err := a.client().Delete(ctx, name)
		if err != nil {
			return err
		}
		a.say("removed %s from the %s", name, s.Store)
	}
	return nil
}
