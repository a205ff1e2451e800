package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook"
)

type kernelOptions struct {
	connectionFile string
	profile        string
	argv           []string
}

func newKernelCmd(a *app) *cobra.Command {
	var o kernelOptions
	cmd := &cobra.Command{
		Use:    "kernel -f CONNECTION_FILE -- KERNEL…",
		Short:  "run a kernel behind the hook; Jupyter calls this",
		Hidden: true,
		Args:   argRange(1, -1, "the kernel's own command after --"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.argv = args
			return runKernel(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVarP(&o.connectionFile, "file", "f", "", "Jupyter's connection file")
	cmd.Flags().StringVar(&o.profile, "profile", "", "the `profile` of the project's nbhush.toml, else NBHUSH_PROFILE")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// runKernel joins the hook with this user's agent.
func runKernel(ctx context.Context, a *app, o kernelOptions) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	settings, err := readKernelSettings(a.home.ConfigFile())
	if err != nil {
		a.warningf("%v", err) // the kernel runs all the same
	}
	env := os.Environ()
	if o.profile != "" {
		env = append(slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, envProfile+"=") }), envProfile+"="+o.profile)
	}
	exit, err := kernelhook.Run(ctx, kernelhook.Options{
		Spelled:        settings.Spelled,
		OtherUsers:     settings.OtherUsers,
		ConnectionFile: o.connectionFile,
		Argv:           o.argv,
		Env:            env,
		Dir:            dir,
		RunDir:         a.home.Run,
		Epoch:          filepath.Join(a.home.Run, api.EpochFile),
		Stdout:         a.out,
		Stderr:         a.err,
		Connect: func(ctx context.Context) (kernelhook.Agent, error) {
			c := a.client()
			c.Shares = true
			s, err := c.Stream(ctx)
			if err != nil {
				return nil, err
			}
			return hookAgent{s}, nil
		},
	})
	if err != nil {
		return err
	}
	if code := exit.Leave(); code != 0 {
		return exitError{code: code}
	}
	return nil
}

// kernelSettings are those of the user's settings that a hook heeds.
type kernelSettings struct {
	Spelled    bool `toml:"redact_spelled"`
	OtherUsers bool `toml:"kernel_other_users"`
}

func readKernelSettings(path string) (s kernelSettings, err error) {
	err = readSettings(path, &s)
	return s, err
}

// hookAgent is a stream as the hook knows it: names come from a running cell as
// plain strings and are checked here.
type hookAgent struct{ *client.Stream }

func (h hookAgent) Get(ctx context.Context, name string) (secret.Value, error) {
	_, plain := api.SplitName(name)
	if _, err := secret.ParseName(plain); err != nil {
		return secret.Value{}, err
	}
	return h.Stream.Get(ctx, secret.Name(name))
}

func (h hookAgent) Consent(ctx context.Context, name string, answer api.Answer, client int) (secret.Value, error) {
	return h.Stream.Consent(ctx, secret.Name(name), answer, client)
}

func (h hookAgent) Again(ctx context.Context, name string, times int) error {
	return h.Stream.Again(ctx, secret.Name(name), times)
}

func (h hookAgent) Names(ctx context.Context) ([]string, error) {
	names, err := h.Stream.Names(ctx)
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return list, err
}
