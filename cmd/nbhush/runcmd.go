package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/nbhush/nbhush/kernelhook/kernelspec"
	"github.com/spf13/cobra"
)

type runOptions struct {
	argv    []string
	profile string
}

func newRunCmd(a *app) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run -- CMD [ARG…]",
		Short: "run a command with the secrets of nbhush.toml in its environment",
		Long: `Runs a command with every secret that the nbhush.toml of this folder (or one above it)
lists in its environment, and exits as the command does.

Where that file has profiles, the one of --profile counts, else that of NBHUSH_PROFILE, of
the git branch, or the default.`,
		Example: `  nbhush run --profile prod -- python train.py
  nbhush run -- papermill in.ipynb out.ipynb
  nbhush run -- python train.py`,
		Args: argRange(1, -1, "a command after --"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.argv = args
			return runRun(cmd.Context(), a, o)
		},
	}
	profileFlag(cmd, &o.profile)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// profileFlag adds --profile.
func profileFlag(cmd *cobra.Command, profile *string) {
	cmd.Flags().StringVar(profile, "profile", "", "the `profile` of nbhush.toml that counts")
}

func runRun(ctx context.Context, a *app, o runOptions) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	path, err := exec.LookPath(o.argv[0])
	if err != nil {
		return fmt.Errorf("run %s: %w", o.argv[0], errors.Unwrap(err))
	}
	values, err := a.clientIn(o.profile).GetAll(ctx, dir)
	if err != nil {
		return err
	}
	if filepath.Base(path) == "papermill" && noneWrapped(ctx, a) {
		a.warningf("papermill's kernels are not behind nbhush: what their cells print, values too, stands in the notebook; put them there with: nbhush kernels enable")
	}
	env := os.Environ()
	for name, v := range values {
		if bytes.IndexByte(v.Reveal(), 0) >= 0 {
			return fmt.Errorf("%s holds a NUL byte, which no environment can; use nbhush get %s", name, name)
		}
		env = append(env, string(name)+"="+string(v.Reveal()))
		v.Wipe()
	}
	return execute(path, o.argv, env, a.stdio)
}

// noneWrapped reports whether Jupyter has kernel specs and none is wrapped; false where
// they cannot be listed.
func noneWrapped(ctx context.Context, a *app) bool {
	k, err := a.kernels("")
	if err != nil {
		return false
	}
	specs, err := k.List(ctx)
	return err == nil && len(specs) > 0 && !slices.ContainsFunc(specs, kernelspec.Spec.Wrapped)
}
