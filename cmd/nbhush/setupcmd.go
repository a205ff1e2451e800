package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/store"
)

type setupOptions struct{ noGit, noJupyter, dryRun bool }

func newSetupCmd(a *app) *cobra.Command {
	var o setupOptions
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "set nbhush up for this user: store, Jupyter and git",
		Long: `Does what install.sh does after the build: chooses the store, runs jupyter enable and
git install --global. It can be run again at any time; uninstall takes it back.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runSetup(cmd.Context(), a, o) },
	}
	cmd.Flags().BoolVar(&o.noGit, "no-git", false, "leave git's settings alone")
	cmd.Flags().BoolVar(&o.noJupyter, "no-jupyter", false, "leave Jupyter's configuration alone")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done")
	return cmd
}

func runSetup(ctx context.Context, a *app, o setupOptions) error {
	if err := setupStore(ctx, a, o.dryRun); err != nil {
		return err
	}
	steps := []struct {
		skip bool
		args []string
	}{
		{o.noJupyter, []string{"jupyter", "enable"}},
		{o.noGit, []string{"git", "install", "--global"}},
	}
	for _, s := range steps {
		if s.skip {
			continue
		}
		if err := runSelf(ctx, a, o.dryRun, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// runSelf runs a command of nbhush in this process, or says that it would.
func runSelf(ctx context.Context, a *app, dryRun bool, args ...string) error {
	if dryRun {
		a.say("would run: %s", joinWords(append([]string{"nbhush"}, args...)))
		return nil
	}
	root := newRootCmd(a, args)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// setupStore chooses the store once: the keyring if one answers without asking
// anybody, else the vault.
func setupStore(ctx context.Context, a *app, dryRun bool) error {
	kind, err := store.Chosen(a.home.ConfigFile())
	if err != nil {
		return err
	}
	if kind != "" {
		a.say("secrets are kept in the %s, as chosen before", kind)
		return nil
	}
	kind, reason := a.bestStore(ctx)
	if dryRun {
		a.say("would keep secrets in the %s (%s)", kind, reason)
		return nil
	}
	if err := store.Choose(a.home.ConfigFile(), kind); err != nil {
		return err
	}
	a.say("secrets are kept in the %s (%s)", kind, reason)
	// An agent that runs already has read the store that counts without a choice.
	if _, err := a.runningClient().Stop(ctx); err != nil && !errors.Is(err, &api.Error{Code: api.CodeAway}) {
		return err
	}
	return nil
}

// bestStore is where secrets would be kept, and why.
func (a *app) bestStore(ctx context.Context) (kind, reason string) {
	if _, err := os.Stat(a.home.Vault()); err == nil {
		return store.KindVault, "it is there already"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := store.KeyringAnswers(ctx); err != nil {
		return store.KindVault, "keyring: " + err.Error()
	}
	return store.KindKeyring, "it answers"
}

// chooseStore makes the choice before the first secret, for those who did not
// run setup.
func (a *app) chooseStore(ctx context.Context) error {
	kind, err := store.Chosen(a.home.ConfigFile())
	if err != nil || kind != "" {
		return err
	}
	return setupStore(ctx, a, false)
}
