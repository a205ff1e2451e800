// Command nbhush-hook is `nbhush kernel`, without the rest of nbhush: one of it runs
// beside every kernel, for as long as that does. nbhush becomes it when Jupyter
// starts a kernel, and nobody else has to.
//
//	nbhush-hook -f CONNECTION_FILE [--profile PROFILE] -- KERNEL…
//
// The nbhush beside it is started where no agent runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nbhush/nbhush/cmd/internal/kernel"
)

// version is set by the linker: -X main.version=…
var version = "0.1.0-dev"

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var o kernel.Options
	flags := flag.NewFlagSet("nbhush-hook", flag.ContinueOnError)
	flags.StringVar(&o.ConnectionFile, "f", "", "Jupyter's connection `file`")
	flags.StringVar(&o.Profile, "profile", "", "the `profile` of the project's nbhush.toml, else NBHUSH_PROFILE")
	asked := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *asked:
		fmt.Println("nbhush-hook", version)
		return 0
	}
	o.Argv = flags.Args()
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	code, err := kernel.Run(context.Background(), o, filepath.Join(filepath.Dir(self), "nbhush"), os.Stdout, os.Stderr)
	if err != nil {
		return fail(err)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "nbhush: error: %v\n", err)
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(os.Stderr, "nbhush: hint: %s\n", h.Hint())
	}
	return 1
}
