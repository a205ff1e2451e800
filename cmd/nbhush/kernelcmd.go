package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/cmd/internal/kernel"
)

func newKernelCmd(a *app) *cobra.Command {
	var o kernel.Options
	cmd := &cobra.Command{
		Use:    "kernel -f CONNECTION_FILE -- KERNEL…",
		Short:  "run a kernel behind the hook; Jupyter calls this",
		Hidden: true,
		Args:   argRange(1, -1, "the kernel's own command after --"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Argv = args
			return runKernel(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVarP(&o.ConnectionFile, "file", "f", "", "Jupyter's connection file")
	cmd.Flags().StringVar(&o.Profile, "profile", "", "the `profile` of the project's nbhush.toml, else NBHUSH_PROFILE")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// runKernel becomes nbhush-hook, which takes less memory beside each kernel. Where
// it cannot, this process is the hook.
func runKernel(ctx context.Context, a *app, o kernel.Options) error {
	if hook := hookProgram(); hook != "" {
		_ = execute(hook, append([]string{hook}, o.Args()...), os.Environ(), a.stdio)
	}
	code, err := kernel.Run(ctx, o, "", a.out, a.err)
	if err == nil && code != 0 {
		return exitError{code: code}
	}
	return err
}

// hookProgram returns the path of nbhush-hook, "" where this program does its work.
func hookProgram() string {
	self, err := os.Executable()
	hook := filepath.Join(filepath.Dir(self), "nbhush-hook")
	if err != nil || !execs || !isProgram(hook) {
		return ""
	}
	return hook
}
