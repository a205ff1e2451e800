package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

type setOptions struct {
	name secret.Name
	json bool

	expires string    // as it was given
	at      time.Time // what that means
}

func newSetCmd(a *app) *cobra.Command {
	var o setOptions
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "store a secret",
		Long: `Stores a secret in the keyring or the vault. The value is asked for without echo,
or read from standard input (one final newline is left out). It is never an
argument: arguments are seen by every process of the machine.

A running Python kernel has the new value before its next cell, in its environment and in
the variables of %hush; every kernel has it at its next nbhush get.`,
		Example: `  nbhush set OPENAI_API_KEY
  pass show openai | nbhush set OPENAI_API_KEY`,
		Args: argRange(1, 1, "the NAME of one secret (never its value)"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.name, err = secret.ParseName(args[0]); err != nil {
				return err
			}
			if o.at, err = parseExpiry(o.expires, time.Now()); err != nil {
				return &usageError{cmd, err.Error()}
			}
			return runSet(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.expires, "expires", "", "when the value does: a `date` (2006-01-02), or a time from now (90d, 12h)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func runSet(ctx context.Context, a *app, o setOptions) error {
	b, err := a.readSecret("value of "+string(o.name), api.MaxValue)
	if err != nil {
		return err
	}
	v := secret.New(b)
	defer v.Wipe()
	if v.Len() == 0 {
		return errEmptyValue
	}
	if err := a.chooseStore(ctx); err != nil {
		return err
	}
	res, err := a.client().SetUntil(ctx, o.name, v, o.at)
	if err != nil {
		return err
	}
	if res.Warning != "" {
		a.warningf("%s: %s", o.name, res.Warning)
	}
	if o.json {
		return a.printJSON(res)
	}
	word := "stored"
	if res.Replaced {
		word = "replaced"
	}
	a.say("%s %s in the %s", word, o.name, res.Store)
	return nil
}

var errEmptyValue = errors.New("the value is empty; nothing was stored")
