package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/kernelhook/kernelspec"
)

type kernelsOptions struct {
	names   []string
	jupyter string
	json    bool
}

func newKernelsCmd(a *app) *cobra.Command {
	var o kernelsOptions
	cmd := asGroup(&cobra.Command{
		Use:   "kernels",
		Short: "wrap kernel specs, for what reads no Jupyter configuration",
		Long: `Puts nbhush before the command of kernel specs, for nbclient and papermill as
libraries, VS Code, Positron and Zed. JupyterLab and its like need it not: see
nbhush jupyter. A kernel is never started behind nbhush twice.

The kernel.json is changed in its place and nothing else in it; the original is kept
beside it, and disable puts it back to the byte. A spec that is not yours, or that
other users share, gets one of the same name in your own folder before it.`,
		Example: `  nbhush kernels list
  nbhush kernels enable python3
  nbhush kernels enable --jupyter ~/env/bin/jupyter
  nbhush kernels disable`,
	})
	sub := func(use, short string, args cobra.PositionalArgs, run func(context.Context, *app, kernelspec.Kernels, kernelsOptions) error) {
		c := &cobra.Command{
			Use: use, Short: short, Args: args,
			RunE: func(cmd *cobra.Command, args []string) error {
				o.names = args
				k, err := a.kernels(o.jupyter)
				if err != nil {
					return err
				}
				return run(cmd.Context(), a, k, o)
			},
		}
		c.Flags().StringVar(&o.jupyter, "jupyter", "", "the jupyter, or the python, whose kernels are meant (default: jupyter on PATH)")
		c.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
		cmd.AddCommand(c)
	}
	names := argRange(0, -1, "")
	sub("enable [NAME…]", "wrap the specs called NAME, or all", names, runKernelsEnable)
	sub("disable [NAME…]", "put the specs called NAME back, or all that were wrapped", names, runKernelsDisable)
	sub("list", "list the kernel specs and what starts them behind nbhush", argRange(0, 0, "no arguments"), runKernelsList)
	return cmd
}

// kernels are the kernel specs of a Jupyter; jupyter is "" for the one on PATH.
func (a *app) kernels(jupyter string) (kernelspec.Kernels, error) {
	p, err := a.provisioner()
	if err != nil {
		return kernelspec.Kernels{}, err
	}
	if strings.ContainsRune(jupyter, filepath.Separator) {
		if jupyter, err = filepath.Abs(jupyter); err != nil {
			return kernelspec.Kernels{}, err
		}
	}
	return kernelspec.Kernels{
		Jupyter: jupyter, Dirs: p.Dirs, Binary: p.Binary,
		Record: filepath.Join(a.home.Data, "kernels.json"),
	}, nil
}

func runKernelsEnable(ctx context.Context, a *app, k kernelspec.Kernels, o kernelsOptions) error {
	done, err := k.Enable(ctx, o.names)
	if perr := a.printOutcomes(done, o.json); err == nil {
		err = perr
	}
	if err != nil {
		return err
	}
	return skipped(done, o.names, "wrapped")
}

// skipped makes an error of a spec that was named and left as it is.
func skipped(done []kernelspec.Outcome, names []string, what string) error {
	for _, d := range done {
		if d.Did == kernelspec.DidSkip && len(names) > 0 {
			return fmt.Errorf("kernel spec %s was not %s", d.Name, what)
		}
	}
	return nil
}

func runKernelsDisable(ctx context.Context, a *app, k kernelspec.Kernels, o kernelsOptions) error {
	done, err := k.Disable(ctx, o.names)
	if perr := a.printOutcomes(done, o.json); err == nil {
		err = perr
	}
	if err != nil {
		return err
	}
	if len(done) == 0 && !o.json {
		a.say("no kernel spec was wrapped")
	}
	return skipped(done, o.names, "put back")
}

func (a *app) printOutcomes(done []kernelspec.Outcome, asJSON bool) error {
	if asJSON {
		if done == nil {
			done = []kernelspec.Outcome{}
		}
		return a.printJSON(done)
	}
	for _, d := range done {
		switch {
		case d.Did == kernelspec.DidSkip:
			a.warningf("kernel spec %s skipped: %s", d.Name, d.Why)
		case d.Why != "":
			a.warningf("kernel spec %s %s: %s", d.Name, d.Did, d.Why)
		default:
			a.say("kernel spec %s %s: %s", d.Name, d.Did, d.File)
		}
	}
	return nil
}

// listedKernel is a line of kernels list.
type listedKernel struct {
	kernelspec.Spec
	Hooked string `json:"hooked"` // spec, provisioner or no
}

func (a *app) listKernels(ctx context.Context, k kernelspec.Kernels) ([]listedKernel, error) {
	specs, err := k.List(ctx)
	if err != nil {
		return nil, err
	}
	p, err := a.provisioner()
	if err != nil {
		return nil, err
	}
	on := p.Status().Enabled
	all := []listedKernel{}
	for _, s := range specs {
		l := listedKernel{s, "no"}
		switch {
		case s.Wrapped():
			l.Hooked = "spec"
		case on && s.Provisioner == "":
			l.Hooked = "provisioner"
		}
		all = append(all, l)
	}
	return all, nil
}

func runKernelsList(ctx context.Context, a *app, k kernelspec.Kernels, o kernelsOptions) error {
	all, err := a.listKernels(ctx, k)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "NAME\tLANGUAGE\tHOOKED BY\tFILE\tNOTE\n")
	for _, l := range all {
		file, note := l.File, l.Problem
		if file == "" {
			file = "(no file)"
		}
		if l.Gone {
			note = "its nbhush is not there; mend it with: nbhush kernels enable " + l.Name
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(l.Name), printable(l.Language), l.Hooked, printable(file), printable(note))
	}
	return w.Flush()
}

// checkKernelspecs is doctor's: specs that cannot start, and specs that were
// installed after the others were wrapped.
func checkKernelspecs(ctx context.Context, a *app) finding {
	k, err := a.kernels("")
	if err != nil {
		return failed(err, "")
	}
	all, err := a.listKernels(ctx, k)
	if err != nil {
		return info("nbhush kernels list --jupyter PATH", "%v", err)
	}
	var gone, wrapped, bare []string
	for _, l := range all {
		switch {
		case l.Gone:
			gone = append(gone, l.Name)
		case l.Wrapped():
			wrapped = append(wrapped, l.Name)
		case l.Problem == "":
			bare = append(bare, l.Name)
		}
	}
	switch {
	case len(gone) > 0:
		return finding{
			Level: levelError, Text: "these start an nbhush that is not there: " + strings.Join(gone, ", "),
			Hint: "nbhush kernels enable " + strings.Join(gone, " "),
		}
	case len(wrapped) == 0:
		return info("for VS Code, nbclient and papermill: nbhush kernels enable", "%s, none wrapped", plural(len(all), "kernel spec"))
	case len(bare) > 0:
		return warn("nbhush kernels enable "+strings.Join(bare, " "), "not wrapped, as others are: %s", strings.Join(bare, ", "))
	}
	return ok("wrapped: %s", strings.Join(wrapped, ", "))
}
