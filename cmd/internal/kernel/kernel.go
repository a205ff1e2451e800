// Package kernel is `nbhush kernel`: it runs a kernel behind the hook with what is
// this user's, the agent, the settings and the home.
//
//	Jupyter ── nbhush kernel -f FILE -- KERNEL… ── exec ──> nbhush-hook, the same arguments
//	                     │                                       │
//	        Windows, or no nbhush-hook beside it ── Run ─────────┘
//
// A hook runs for as long as its kernel does, so it is worth a program of its own,
// without what only commands and the agent need.
package kernel

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook"
)

// EnvProfile names the profile that counts where no flag does.
const EnvProfile = "NBHUSH_PROFILE"

// Options are the arguments of the command.
type Options struct {
	ConnectionFile string   // Jupyter's
	Profile        string   // of the project's nbhush.toml; "" is EnvProfile's, else the folder's own
	Argv           []string // the kernel's own command
}

// Args returns o as arguments of nbhush-hook.
func (o Options) Args() []string {
	args := []string{"-f", o.ConnectionFile}
	if o.Profile != "" {
		args = append(args, "--profile", o.Profile)
	}
	return append(append(args, "--"), o.Argv...)
}

// Run runs the kernel until it ends and returns the exit code to end with, or ends
// this process by the signal that ended the kernel. It changes this process, as
// kernelhook.Run does. Nbhush is the path of that program, "" for this one.
func Run(ctx context.Context, o Options, nbhush string, stdout, stderr io.Writer) (int, error) {
	dir, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	h, err := home.Find(os.Getenv)
	if err != nil {
		return 0, err
	}
	settings, err := readSettings(h.ConfigFile())
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "nbhush: warning: %v\n", err) // the kernel runs all the same
	}
	env := os.Environ()
	if o.Profile != "" {
		env = append(slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, EnvProfile+"=") }), EnvProfile+"="+o.Profile)
	}
	agent := &client.Client{Program: nbhush, Env: os.Getenv(EnvProfile), Shares: true}
	exit, err := kernelhook.Run(ctx, kernelhook.Options{
		Program:        nbhush,
		Spelled:        settings.Spelled,
		OtherUsers:     settings.OtherUsers,
		ConnectionFile: o.ConnectionFile,
		Argv:           o.Argv,
		Env:            env,
		Dir:            dir,
		RunDir:         h.Run,
		Epoch:          filepath.Join(h.Run, api.EpochFile),
		Stdout:         stdout,
		Stderr:         stderr,
		Connect: func(ctx context.Context) (kernelhook.Agent, error) {
			s, err := agent.Stream(ctx)
			if err != nil {
				return nil, err
			}
			return Agent{s}, nil
		},
	})
	if err != nil {
		return 0, err
	}
	return exit.Leave(), nil
}

// settings are those of the user's settings that a hook heeds.
type settings struct {
	Spelled    bool `toml:"redact_spelled"`
	OtherUsers bool `toml:"kernel_other_users"`
}

func readSettings(path string) (s settings, err error) {
	err = home.ReadSettings(path, &s)
	return s, err
}

// Agent is a stream as the hook knows it: names come from a running cell as
// plain strings and are checked here.
type Agent struct{ *client.Stream }

// Get returns one value, which the caller wipes.
func (h Agent) Get(ctx context.Context, name string) (secret.Value, error) {
	_, plain := api.SplitName(name)
	if _, err := secret.ParseName(plain); err != nil {
		return secret.Value{}, err
	}
	return h.Stream.Get(ctx, secret.Name(name))
}

// Consent tells what the user answered, and returns the value if that was a yes.
func (h Agent) Consent(ctx context.Context, name string, answer api.Answer, client int) (secret.Value, error) {
	return h.Stream.Consent(ctx, secret.Name(name), answer, client)
}

// Again tells that a value was served again.
func (h Agent) Again(ctx context.Context, name string, times int) error {
	return h.Stream.Again(ctx, secret.Name(name), times)
}

// Names returns the names that this kernel may have.
func (h Agent) Names(ctx context.Context) ([]string, error) {
	names, err := h.Stream.Names(ctx)
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return list, err
}
