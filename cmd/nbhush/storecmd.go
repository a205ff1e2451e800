package main

import (
	"github.com/spf13/cobra"
)

func newStoreCmd(a *app) *cobra.Command {
	cmd := asGroup(&cobra.Command{
		Use:   "store",
		Short: "where the secrets are: the keyring or the vault",
	})
	cmd.AddCommand(&cobra.Command{
		Use:   "move keyring|vault",
		Short: "carry all secrets to the other store",
		Long: `Copies every secret, compares, changes the settings, and then removes what the old store holds. A move
that is interrupted is done to its end by the next agent. A value that the new store had under the
same name becomes a former one: see nbhush history.

The key of the vault goes along, since former values stay in an encrypted file either way. A
passphrase of the vault (nbhush vault passwd) ends with the move: the keyring has a lock of its own.`,
		Args: argRange(1, 1, "keyring or vault"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.client().Move(cmd.Context(), args[0]); err != nil {
				return err
			}
			st, err := runStart(cmd.Context(), a)
			if err == nil {
				a.say("%s in the %s", plural(st.Secrets, "secret"), st.Store)
			}
			return err
		},
	})
	return cmd
}
