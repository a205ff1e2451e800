package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

type uninstallOptions struct{ purge, dryRun bool }

func newUninstallCmd(a *app) *cobra.Command {
	var o uninstallOptions
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "put every file back as it was before setup; the secrets stay",
		Args:  argRange(0, 0, "no arguments"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return runUninstall(cmd.Context(), a, o) },
	}
	cmd.Flags().BoolVar(&o.purge, "purge", false, "remove the secrets and all state too")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done")
	return cmd
}

func runUninstall(ctx context.Context, a *app, o uninstallOptions) error {
	for _, args := range [][]string{
		{"git", "uninstall", "--global"},
		{"kernels", "disable"},
		{"jupyter", "disable"},
		{"ipython", "disable"},
	} {
		if err := runSelf(ctx, a, o.dryRun, args...); err != nil {
			return err
		}
	}
	if o.purge {
		if err := purgeSecrets(ctx, a, o.dryRun); err != nil {
			return err
		}
	}
	if err := runSelf(ctx, a, o.dryRun, "agent", "stop"); err != nil {
		return err
	}
	return removeState(a, o)
}

// purgeSecrets removes the secrets one by one, since a keyring's items lie in
// no file of ours.
func purgeSecrets(ctx context.Context, a *app, dryRun bool) error {
	secrets, err := a.client().List(ctx)
	if err != nil {
		return err
	}
	for _, s := range secrets {
		if dryRun {
			a.say("would remove %s from the %s", s.Name, s.Store)
			continue
		}
		if _, err := a.client().Delete(ctx, secret.Name(s.Name)); err != nil && !errors.Is(err, &api.Error{Code: api.CodeNotFound}) {
			return err
		}
	}
	return nil
}

// removeState removes what can be made again; with purge, everything.
func removeState(a *app, o uninstallOptions) error {
	dirs := []string{a.home.Cache, a.home.Run}
	if o.purge {
		dirs = append(dirs, a.home.Config, a.home.Data, a.home.State)
	}
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); err != nil {
			continue
		}
		if o.dryRun {
			a.say("would remove %s", dir)
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		a.say("removed %s", dir)
	}
	return nil
}

// joinWords shows a command as one would type it.
func joinWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`*?") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
