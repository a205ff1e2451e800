package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent"
	"github.com/nbhush/nbhush/agent/api"
)

func newAgentCmd(a *app) *cobra.Command {
	cmd := asGroup(&cobra.Command{
		Use:   "agent",
		Short: "the one process that keeps values",
		Long: `The agent starts by itself when something needs it and keeps the values in memory.
agent lock makes it forget them until agent unlock.`,
	})
	var asJSON, stdin bool
	sub := func(use, short string, do func(context.Context) (api.Status, error)) {
		c := &cobra.Command{
			Use: use, Short: short, Args: argRange(0, 0, "no arguments"),
			RunE: func(cmd *cobra.Command, _ []string) error {
				st, err := do(cmd.Context())
				if err != nil {
					return err
				}
				return a.printStatus(st, asJSON)
			},
		}
		c.Flags().BoolVar(&asJSON, "json", false, "print the state as JSON")
		if use == "unlock" {
			c.Flags().BoolVar(&stdin, "stdin", false, "read the passphrase of the vault from standard input")
		}
		cmd.AddCommand(c)
	}
	sub("start", "start the agent, if it does not run", func(ctx context.Context) (api.Status, error) { return runStart(ctx, a) })
	sub("status", "say what the agent holds; does not start it", a.runningClient().Status)
	sub("lock", "forget every value until unlock", a.runningClient().Lock)
	sub("unlock", "read the values again", func(ctx context.Context) (api.Status, error) { return runUnlock(ctx, a, stdin) })
	cmd.AddCommand(newAgentStopCmd(a), newAgentServeCmd(a), newAgentSocketCmd(a))
	return cmd
}

func newAgentStopCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "end the agent; it starts again when something needs it",
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := a.runningClient().Stop(cmd.Context())
			if errors.Is(err, &api.Error{Code: api.CodeAway}) {
				a.say("the agent does not run")
				return nil
			}
			if err == nil {
				a.say("the agent has ended")
			}
			return err
		},
	}
}

func newAgentServeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "be the agent, in the foreground", Hidden: true,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			looks, err := a.looks()
			if err != nil {
				return err
			}
			userHome, _ := os.UserHomeDir() // without one there are no credentials of programs to know
			err = agent.Serve(cmd.Context(), agent.Options{Home: a.home, Version: version, Looks: looks, UserHome: userHome})
			if errors.Is(err, agent.ErrRunning) {
				return nil
			}
			return err
		},
	}
}

// newAgentSocketCmd is for the Python beside Jupyter, which knows no path of ours.
func newAgentSocketCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "socket", Short: "print the path of the agent's socket", Hidden: true,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			a.printf("%s\n", a.home.Socket())
			return nil
		},
	}
}

func runStart(ctx context.Context, a *app) (api.Status, error) {
	c := a.client()
	if err := c.Up(ctx); err != nil {
		return api.Status{}, err
	}
	return c.Status(ctx)
}

// runUnlock tries without a passphrase first, since most stores need none.
func runUnlock(ctx context.Context, a *app, stdin bool) (api.Status, error) {
	st, err := a.client().Unlock(ctx, nil)
	if !errors.Is(err, &api.Error{Code: api.CodeLocked}) {
		return st, err
	}
	if !a.terminal(a.in) && !stdin {
		return st, &api.Error{Code: api.CodeLocked, Message: "the store is locked, and this is no terminal to ask for its passphrase on", Mend: "nbhush agent unlock --stdin"}
	}
	b, perr := a.readSecret("passphrase of the vault", api.MaxValue)
	if perr != nil {
		return st, perr
	}
	defer clear(b)
	return a.client().Unlock(ctx, b)
}

func (a *app) printStatus(st api.Status, asJSON bool) error {
	if asJSON {
		return a.printJSON(st)
	}
	state := "unlocked"
	if st.Locked {
		state = "locked"
	}
	a.printf("agent %s, pid %d, %s, up %s\n", st.Version, st.PID, state, time.Since(st.Started).Round(time.Second))
	a.printf("store %s, %s, %s\n", st.Store, plural(st.Secrets, "secret"), plural(st.Kernels, "kernel"))
	if st.Detail != "" {
		a.printf("%s\n", printable(st.Detail))
	}
	return nil
}
