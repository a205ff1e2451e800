package main

import (
	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/kernelhook/startup"
)

func newIPythonCmd(a *app) *cobra.Command {
	var asJSON bool
	cmd := asGroup(&cobra.Command{
		Use:   "ipython",
		Short: "let plain IPython, and kernels of VS Code, ask for secrets",
		Long: `Puts a startup file into IPython's default profile, by which import nbhush and %hush
work in every session of IPython that does not run behind nbhush: in a terminal, and in
kernels that VS Code starts by itself. The nbhush.toml of the session's folder counts.

What such a session shows does not pass through nbhush: values are not taken out of its
output. A session that never asks pays nothing for it.`,
		Example: `  nbhush ipython enable
  nbhush ipython disable`,
	})
	sub := func(use, short string, run func(*app, startup.File) (string, error)) {
		c := &cobra.Command{
			Use: use, Short: short, Args: argRange(0, 0, "no arguments"),
			RunE: func(*cobra.Command, []string) error {
				f, err := a.startupFile()
				if err != nil {
					return err
				}
				said, err := run(a, f)
				switch {
				case err != nil:
					return err
				case asJSON:
					return a.printJSON(f.Status())
				}
				a.say("%s", said)
				return nil
			},
		}
		c.Flags().BoolVar(&asJSON, "json", false, "print the status as JSON")
		cmd.AddCommand(c)
	}
	sub("enable", "put the startup file there, or bring it up to date", runIPythonEnable)
	sub("disable", "take it away again", runIPythonDisable)
	sub("status", "say whether sessions of IPython know nbhush", runIPythonStatus)
	return cmd
}

func (a *app) startupFile() (startup.File, error) {
	dir, err := startup.FindDir(a.getenv)
	if err != nil {
		return startup.File{}, err
	}
	binary, err := ownPath()
	return startup.File{Dir: dir, Binary: binary}, err
}

func runIPythonEnable(_ *app, f startup.File) (string, error) {
	changed, err := f.Enable()
	if changed {
		return "sessions of IPython that start from now on know nbhush, by " + f.Path() + "; values are not taken out of what they show", err
	}
	return f.Path() + " was there already", err
}

func runIPythonDisable(_ *app, f startup.File) (string, error) {
	changed, err := f.Disable()
	if changed {
		return f.Path() + " is gone", err
	}
	return f.Path() + " was not there", err
}

func runIPythonStatus(_ *app, f startup.File) (string, error) {
	st := f.Status()
	switch {
	case st.Mend != "" && st.Enabled:
		return "on, of another version or for another nbhush: " + st.File + "; bring it up to date with: " + st.Mend, nil
	case st.Enabled:
		return "on: " + st.File, nil
	}
	return "off: " + st.Problem + "; " + st.Mend, nil
}
