package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

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
	root := newRootCmd(a)
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
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	kind, reason := store.KindKeyring, "it answers"
	if err := store.KeyringAnswers(ctx); err != nil {
		kind, reason = store.KindVault, err.Error()
	}
	if dryRun {
		a.say("would keep secrets in the %s (keyring: %s)", kind, reason)
		return nil
	}
	if err := store.Choose(a.home.ConfigFile(), kind); err != nil {
		return err
	}
	a.say("secrets are kept in the %s (keyring: %s)", kind, reason)
	return nil
}
