package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/kernelhook/kernelspec"
	"github.com/nbhush/nbhush/nbstrip/jupyter"
)

type jupyterOptions struct{ json bool }

func newJupyterCmd(a *app) *cobra.Command {
	var o jupyterOptions
	cmd := asGroup(&cobra.Command{
		Use:   "jupyter",
		Short: "let Jupyter start every kernel behind nbhush, and save no value",
		Long: `Puts a kernel provisioner and a server extension, which takes values out of notebooks
before they are saved, into this user's Jupyter configuration: a marked block in
jupyter_config.py, jupyter_server_config.d/nbhush.json, a folder of Python files and a
page extension (labextensions/nbhush-save) that says what a save took out; no pip and no
kernel spec touched. Servers see it when they start next; disable puts all
back to the byte.

Programs that use Jupyter's libraries read no configuration (nbclient, papermill,
VS Code): for them there is nbhush kernels enable, or in a shell of their own

  PYTHONPATH=FOLDER JUPYTER_DEFAULT_PROVISIONER_NAME=nbhush papermill in.ipynb out.ipynb

with the FOLDER that nbhush jupyter status names. NBHUSH=off in the environment
of Jupyter, or in a kernel spec, starts kernels without nbhush.`,
		Example: `  nbhush jupyter enable
  nbhush jupyter status`,
	})
	sub := func(use, short string, run func(*app, kernelspec.Provisioner, jupyterOptions) error) {
		c := &cobra.Command{
			Use: use, Short: short, Args: argRange(0, 0, "no arguments"),
			RunE: func(*cobra.Command, []string) error {
				p, err := a.provisioner()
				if err != nil {
					return err
				}
				return run(a, p, o)
			},
		}
		c.Flags().BoolVar(&o.json, "json", false, "print the status as JSON")
		cmd.AddCommand(c)
	}
	sub("enable", "put both into Jupyter's configuration, or bring them up to date", runJupyterEnable)
	sub("disable", "take them out again", runJupyterDisable)
	sub("status", "say whether kernels start behind nbhush and saves are checked", runJupyterStatus)
	return cmd
}

// provisioner is the provisioner of this user's Jupyter.
func (a *app) provisioner() (kernelspec.Provisioner, error) {
	dirs, err := kernelspec.FindDirs(a.getenv)
	if err != nil {
		return kernelspec.Provisioner{}, err
	}
	binary, err := ownPath()
	if err != nil {
		return kernelspec.Provisioner{}, err
	}
	return kernelspec.Provisioner{Dirs: dirs, Folder: a.home.Jupyter(), Binary: binary, Version: version}, nil
}

// extension is the server extension that belongs to p.
func extension(p kernelspec.Provisioner) jupyter.Extension {
	return jupyter.Extension{Config: p.Dirs.Config, Data: p.Dirs.Data, Folder: p.Folder, Binary: p.Binary}
}

// jupyterStatus is what jupyter status --json prints.
type jupyterStatus struct {
	kernelspec.ProvisionerStatus
	Save jupyter.Status `json:"save"`
}

func statusOf(p kernelspec.Provisioner) jupyterStatus {
	return jupyterStatus{p.Status(), extension(p).Status()}
}

// ownPath is the path by which others should start this program: the one that
// the user named or that PATH has, since it may be a link that outlives an upgrade.
func ownPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if named, err := exec.LookPath(os.Args[0]); err == nil && sameFile(named, self) {
		return filepath.Abs(named)
	}
	return self, nil
}

func runJupyterEnable(a *app, p kernelspec.Provisioner, o jupyterOptions) error {
	changed, err := p.Enable()
	if err != nil {
		return err
	}
	saves, err := extension(p).Enable()
	if err != nil {
		return err
	}
	changed = changed || saves
	st := statusOf(p)
	if o.json {
		return a.printJSON(st)
	}
	word := "enabled"
	if !changed {
		word = "was enabled already"
	}
	a.say("the provisioner %s in %s", word, st.Config)
	if changed {
		a.hintf("servers that run now start kernels behind nbhush, and check what they save, after a restart")
	}
	a.warnChosen(st.ProvisionerStatus)
	return nil
}

func (a *app) warnChosen(st kernelspec.ProvisionerStatus) {
	if len(st.Chosen) > 0 {
		a.warningf("another default provisioner is set in %s: where Jupyter reads that, it wins", strings.Join(st.Chosen, ", "))
	}
}

func runJupyterDisable(a *app, p kernelspec.Provisioner, o jupyterOptions) error {
	saves, err := extension(p).Disable()
	if err != nil {
		return err
	}
	changed, err := p.Disable()
	if err != nil {
		return err
	}
	changed = changed || saves
	st := statusOf(p)
	switch {
	case o.json:
		return a.printJSON(st)
	case changed:
		a.say("the provisioner is out of %s", st.Config)
	default:
		a.say("the provisioner was not in %s", st.Config)
	}
	return nil
}

func runJupyterStatus(a *app, p kernelspec.Provisioner, o jupyterOptions) error {
	st := statusOf(p)
	if o.json {
		return a.printJSON(st)
	}
	state := "off"
	switch {
	case st.Enabled && st.Stale:
		state = "on, of another version or for another nbhush"
	case st.Enabled:
		state = "on"
	}
	a.printf("provisioner %s\nconfig %s\nfolder %s\n", state, printable(st.Config), printable(st.Folder))
	if st.Binary != "" {
		a.printf("nbhush %s, %s\n", printable(st.Version), printable(st.Binary))
	}
	if st.Save.Enabled {
		a.printf("saves checked\n")
	}
	mends := map[string]bool{}
	for _, s := range []struct{ problem, mend string }{{st.Problem, st.Mend}, {st.Save.Problem, st.Save.Mend}} {
		if s.problem != "" {
			a.say("%s", s.problem)
		}
		if s.mend != "" && !mends[s.mend] {
			mends[s.mend] = true
			a.hintf("%s", s.mend)
		}
	}
	a.warnChosen(st.ProvisionerStatus)
	return nil
}

// checkProvisioner is doctor's.
func checkProvisioner(_ context.Context, a *app) finding {
	p, err := a.provisioner()
	if err != nil {
		return failed(err, "")
	}
	st := p.Status()
	switch {
	case !st.Enabled:
		return warn(st.Mend, "kernels start without nbhush: %s", st.Problem)
	case len(st.Chosen) > 0:
		return warn("", "%s names another default provisioner, which wins", strings.Join(st.Chosen, ", "))
	case st.Stale:
		return warn(st.Mend, "%s is of nbhush %s, for %s", st.Folder, st.Version, st.Binary)
	}
	switch s := extension(p).Status(); {
	case !s.Enabled:
		return warn(s.Mend, "%s", s.Problem)
	case s.Stale:
		return warn(s.Mend, "the files that check saves, in %s, are of another nbhush", st.Folder)
	}
	return ok("in %s", st.Config)
}
