package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/cmd/internal/kernel"
)

// Exit codes of every command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitFound  = 3 // secrets were found
	exitAgent  = 4 // the agent is away or locked
)

// version is set by the linker: -X main.version=…
var version = "0.1.0-dev"

// app is what every command shares: the terminal, the environment and the
// places of files. It holds no state that changes.
type app struct {
	*ui
	home home.Home
}

// run parses argv, runs one command and returns the exit code. It owns the
// signals: the first one ends ctx, the second one ends the process.
func run(argv []string, std stdio, getenv func(string) string) int {
	u := &ui{stdio: std, getenv: getenv}
	if args, asNbstripout, ok := outputsArgs(argv); ok {
		return runOutputs(context.Background(), u, args, asNbstripout)
	}
	args := argv[1:]
	h, err := home.Find(getenv)
	if err != nil {
		u.fail(err)
		return exitFailed
	}
	a := &app{ui: u, home: h}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	switch {
	case len(args) > 0 && args[0] == "kernel": // the hook passes signals on to its kernel
	case len(args) > 0 && args[0] == "mask" && !u.terminal(u.in):
		// Ctrl-C is for the program before the pipe, which may have more to say.
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
		go stopOnSignal(ctx, stop, syscall.SIGTERM)
	default:
		go stopOnSignal(ctx, stop, os.Interrupt, syscall.SIGTERM) // beside the command, which would wait 0.15 ms for it
	}
	root := newRootCmd(a, args)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var code exitError
	if !errors.As(err, &code) || code.err != nil {
		u.failOr(err, "see: "+cmd.CommandPath()+" --help")
	}
	return exitCode(err)
}

// stopOnSignal calls stop at the first of the signals that ask this process to end.
func stopOnSignal(ctx context.Context, stop context.CancelFunc, which ...os.Signal) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, which...)
	defer signal.Stop(signals)
	select {
	case <-signals:
		stop()
	case <-ctx.Done():
	}
}

// exitError ends the process with a code; err, if any, is printed first.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// usageError says that the words of a command are off, and where the help is.
type usageError struct {
	cmd     *cobra.Command
	message string
}

func (e *usageError) Error() string { return e.message }

// Hint names the command's own help.
func (e *usageError) Hint() string { return "see: " + e.cmd.CommandPath() + " --help" }

func exitCode(err error) int {
	var code exitError
	var usage *usageError
	switch {
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, &api.Error{Code: api.CodeAway}), errors.Is(err, &api.Error{Code: api.CodeLocked}):
		return exitAgent
	}
	return exitFailed
}

// namedCommand is one of commands: its name, its group in the help, "" for a hidden one.
type namedCommand struct {
	name, group string
	build       func(*app) *cobra.Command
}

// commands returns all commands, in the order of the help.
func commands() []namedCommand {
	return []namedCommand{
		{"set", "secrets", newSetCmd},
		{"get", "secrets", newGetCmd},
		{"follow", "secrets", newFollowCmd},
		{"hold", "secrets", newHoldCmd},
		{"list", "secrets", newListCmd},
		{"rm", "secrets", newRmCmd},
		{"rotate", "secrets", newRotateCmd},
		{"history", "secrets", newHistoryCmd},
		{"restore", "secrets", newRestoreCmd},
		{"import", "secrets", newImportCmd},
		{"run", "secrets", newRunCmd},
		{"export", "secrets", newExportCmd},
		{"mask", "secrets", newMaskCmd},
		{"allow", "secrets", newAllowCmd},
		{"deny", "secrets", newDenyCmd},
		{"grants", "secrets", newGrantsCmd},
		{"revoke", "secrets", newRevokeCmd},
		{"explain", "secrets", newExplainCmd},
		{"audit", "secrets", newAuditCmd},
		{"jupyter", "jupyter", newJupyterCmd},
		{"kernels", "jupyter", newKernelsCmd},
		{"inject", "jupyter", newInjectCmd},
		{"ipython", "jupyter", newIPythonCmd},
		{"git", "files", newGitCmd},
		{"strip", "files", newStripCmd},
		{"scan", "files", newScanCmd},
		{"watch", "files", newWatchCmd},
		{"setup", "care", newSetupCmd},
		{"uninstall", "care", newUninstallCmd},
		{"demo", "care", newDemoCmd},
		{"doctor", "care", newDoctorCmd},
		{"agent", "care", newAgentCmd},
		{"store", "care", newStoreCmd},
		{"vault", "care", newVaultCmd},
		{"backup", "care", newBackupCmd},
		{"restore-backup", "care", newRestoreBackupCmd},
		{"sync", "care", newSyncCmd},
		{"version", "care", newVersionCmd},
		{"kernel", "", newKernelCmd},
		{"attach", "", newAttachCmd},
	}
}

// newRootCmd returns the command that args are for, with all others below it where
// args begin with the name of none: to build them all takes 0.15 ms.
func newRootCmd(a *app, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "nbhush",
		Short: "secrets for notebooks: there by name, never in a file",
		Long: `nbhush gives Jupyter kernels their secrets by name and takes the values out of
everything that is shown, saved or committed.`,
		Example: `  nbhush set OPENAI_API_KEY      store a secret; it asks without echo
  nbhush allow                   approve the names in this project's nbhush.toml
  nbhush demo                    see the whole thing work, in a temporary place
  nbhush doctor                  check every part`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.PersistentPreRunE = noEmptyFlags
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd, err.Error()}
	})
	root.AddGroup(
		&cobra.Group{ID: "secrets", Title: "Secrets:"},
		&cobra.Group{ID: "jupyter", Title: "Notebooks and kernels:"},
		&cobra.Group{ID: "files", Title: "Files and git:"},
		&cobra.Group{ID: "care", Title: "Care:"},
	)
	all := commands()
	one := len(args) > 0 && slices.ContainsFunc(all, func(c namedCommand) bool { return c.name == args[0] })
	for _, c := range all {
		if !one || c.name == args[0] {
			cmd := c.build(a)
			cmd.GroupID = c.group
			root.AddCommand(cmd)
		}
	}
	root.CompletionOptions.DisableDefaultCmd = one
	asGroup(root)
	return root
}

// noEmptyFlags refuses a flag about secrets that is empty, as a variable of a script is that
// nobody set: allow --until "" would be for ever, deny --notebook "" for all of them. An
// empty profile is that of the folder.
func noEmptyFlags(cmd *cobra.Command, _ []string) (err error) {
	top := cmd
	for top.HasParent() && top.Parent().HasParent() {
		top = top.Parent()
	}
	if top.GroupID != "secrets" {
		return nil
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" && f.Name != "profile" {
			err = &usageError{cmd, "--" + f.Name + " is empty"}
		}
	})
	return err
}

// asGroup makes cmd, which only has subcommands, print its help without
// arguments and refuse words that name none of them.
func asGroup(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		message := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			message += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return &usageError{cmd, message}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// argRange is the Args of a command that takes min to max arguments (max < 0:
// any number), called what in the message.
func argRange(min, max int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return &usageError{cmd, cmd.CommandPath() + " needs " + what}
		case max >= 0 && len(args) > max:
			// What is too much is not repeated: people type a value there.
			if max > 0 {
				what += " and nothing after it"
			}
			return &usageError{cmd, cmd.CommandPath() + " takes " + what}
		}
		return nil
	}
}

// client returns a client of this user's agent; it starts the agent on demand.
func (a *app) client() *client.Client {
	return &client.Client{Env: a.getenv(envProfile), Expires: func(name secret.Name, at time.Time) {
		if note := expiry(at, time.Now()); note != "" {
			a.warningf("%s %s; a new value: nbhush rotate %s", name, note, name)
		}
	}}
}

const envProfile = kernel.EnvProfile

// clientIn is client for values in a profile, "" being that of the folder. On a
// terminal it says which one is on.
func (a *app) clientIn(profile string) *client.Client {
	c := a.client()
	c.Profile = profile
	if a.terminal(a.err) {
		c.On = func(on api.Profile) { a.say("profile %s, %s", on.Profile, on.By) }
	}
	return c
}

// printJSON writes v to stdout as indented JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// runningClient returns a client that does not start the agent: for questions
// about the agent itself, which should not change the answer.
func (a *app) runningClient() *client.Client { return &client.Client{NoStart: true} }
