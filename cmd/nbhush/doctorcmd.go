package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/socket"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/nbstrip/gitfilter"
)

func newDoctorCmd(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "check every part, and say what mends it",
		Long: `Checks every part that nbhush needs, from the store to git's filter. Exits with 1 when a
check found an error; warnings and notes do not count.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), a, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

// Levels of a finding.
const (
	levelOK      = "ok"
	levelInfo    = "info"
	levelWarning = "warning"
	levelError   = "error"
)

// finding is the result of one check.
type finding struct {
	Check string `json:"check"`
	Level string `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

func ok(format string, args ...any) finding {
	return finding{Level: levelOK, Text: fmt.Sprintf(format, args...)}
}

func info(hint, format string, args ...any) finding {
	return finding{Level: levelInfo, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func warn(hint, format string, args ...any) finding {
	return finding{Level: levelWarning, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// failed is the finding of a check that met err.
func failed(err error, hint string) finding {
	return finding{Level: levelError, Text: err.Error(), Hint: cmp.Or(hintOf(err), hint)}
}

// checks are all that doctor looks at, in the order of how things depend on each other.
var checks = []struct {
	name string
	do   func(context.Context, *app) finding
}{
	{"program", checkProgram},
	{"folders", checkFolders},
	{"store", checkStore},
	{"agent", checkAgent},
	{"secrets", checkSecrets},
	{"audit log", checkAudit},
	{"Jupyter", checkJupyter},
	{"provisioner", checkProvisioner},
	{"kernelspecs", checkKernelspecs},
	{"IPython", checkIPython},
	{"git", checkGit},
	{"git filter", checkGitFilter},
	{"shared edits", checkSharedEdits},
	{"project", checkProject},
}

func runDoctor(ctx context.Context, a *app, asJSON bool) error {
	findings := make([]finding, 0, len(checks))
	bad := 0
	for _, c := range checks {
		f := c.do(ctx, a)
		f.Check = c.name
		if f.Level == levelError {
			bad++
		}
		findings = append(findings, f)
		if !asJSON {
			a.printFinding(f)
		}
	}
	if asJSON {
		if err := a.printJSON(findings); err != nil {
			return err
		}
	}
	if bad > 0 {
		return exitError{code: exitFailed}
	}
	return nil
}

func (a *app) printFinding(f finding) {
	level := fmt.Sprintf("%-7s", f.Level)
	if a.terminal(a.out) && a.getenv("NO_COLOR") == "" {
		color := map[string]string{levelOK: "32", levelInfo: "36", levelWarning: "33", levelError: "31"}[f.Level]
		level = "\x1b[" + color + "m" + level + "\x1b[0m"
	}
	a.printf("%s  %-12s %s\n", level, f.Check, printable(f.Text))
	if f.Hint != "" {
		a.printf("%-21s  -> %s\n", "", printable(f.Hint))
	}
}

func checkProgram(ctx context.Context, _ *app) finding {
	self, err := os.Executable()
	if err != nil {
		return failed(err, "")
	}
	onPath, err := exec.LookPath("nbhush")
	if err != nil {
		return warn(fmt.Sprintf("export PATH=%q:$PATH", filepath.Dir(self)), "nbhush %s, but it is not on PATH", version)
	}
	if !sameFile(onPath, self) {
		return warn("remove one of the two", "this is %s, but PATH finds %s first", self, onPath)
	}
	if hook := hookProgram(); hook != "" {
		out, err := exec.CommandContext(ctx, hook, "--version").Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != "nbhush-hook "+version {
			return warn("./install.sh", "nbhush %s, and kernels run behind another version, %s", version, hook)
		}
	}
	return ok("nbhush %s, %s", version, self)
}

func sameFile(a, b string) bool {
	sa, errA := os.Stat(a)
	sb, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// checkFolders looks at what other users could reach.
func checkFolders(_ context.Context, a *app) finding {
	if err := socket.CheckDir(a.home.Run); err != nil && !errors.Is(err, os.ErrNotExist) {
		return failed(err, "have it removed, or set XDG_RUNTIME_DIR to a folder of your own, for what starts Jupyter, too")
	}
	for _, dir := range []string{a.home.Run, a.home.Data, a.home.State} {
		st, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return failed(err, "")
		}
		if st.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
			return failed(fmt.Errorf("other users can look into %s", dir), "chmod 700 "+joinWords([]string{dir}))
		}
	}
	return ok("only this user can look into them")
}

func checkStore(ctx context.Context, a *app) finding {
	kind, err := store.Chosen(a.home.ConfigFile())
	if err != nil {
		return failed(err, "mend "+a.home.ConfigFile())
	}
	switch kind {
	case "":
		return info("nbhush setup", "no store was chosen yet; the first nbhush set chooses one")
	case store.KindKeyring:
		if err := store.KeyringAnswers(ctx); err != nil {
			return failed(fmt.Errorf("the keyring was chosen, but: %w", err), "unlock the keyring, then: nbhush agent unlock")
		}
	}
	return ok("%s", kind)
}

func checkAgent(ctx context.Context, a *app) finding {
	st, err := runStart(ctx, a)
	switch {
	case err != nil:
		return failed(err, "nbhush agent start; its log is "+a.home.AgentLog())
	case st.Version != version:
		return warn("nbhush agent stop; it starts again by itself", "the agent is version %s, this is %s", st.Version, version)
	case st.Locked:
		return warn("nbhush agent unlock", "locked: %s", st.Detail)
	}
	return ok("answers, pid %d, %s known", st.PID, plural(st.Known, "value"))
}

func checkSecrets(ctx context.Context, a *app) finding {
	secrets, err := a.client().List(ctx)
	if err != nil {
		return failed(err, "nbhush agent unlock")
	}
	for _, s := range secrets {
		if note := expiry(s.Expires, time.Now()); note != "" {
			return warn("nbhush rotate "+s.Name, "%s %s", s.Name, note)
		}
		if s.Warning != "" {
			return warn("use a longer value: nbhush set "+s.Name, "%s: %s", s.Name, s.Warning)
		}
	}
	if len(secrets) == 0 {
		return info("nbhush set NAME", "none yet")
	}
	return ok("%d", len(secrets))
}

func checkAudit(ctx context.Context, a *app) finding {
	n, unchecked, err := a.verifyAudit(ctx)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return info("", "empty")
	case err != nil:
		return failed(err, "keep a copy of "+a.home.Audit()+" and find out who changed it")
	case unchecked != nil:
		return info(hintOf(unchecked), "%s, the chain holds; whether its end is there was not checked: %v", plural(n, "line"), unchecked)
	}
	return ok("%s, the chain holds", plural(n, "line"))
}

func checkJupyter(_ context.Context, _ *app) finding {
	path, err := exec.LookPath("jupyter")
	if err != nil {
		return info("pip install jupyterlab", "there is no Jupyter on PATH; it may live in a virtual environment")
	}
	return ok("%s", path)
}

// checkIPython looks at the startup file, which nobody has to have.
func checkIPython(_ context.Context, a *app) finding {
	f, err := a.startupFile()
	if err != nil {
		return failed(err, "")
	}
	st := f.Status()
	switch {
	case st.Enabled && st.Stale:
		return warn(st.Mend, "%s is of another version, or for another nbhush", st.File)
	case st.Enabled:
		return ok("sessions in a terminal and kernels of VS Code know nbhush")
	}
	if _, err := os.Lstat(st.File); err == nil {
		return warn(st.Mend, "%s", st.Problem)
	}
	return info(st.Mend, "sessions in a terminal, and kernels that VS Code starts by itself, do not know nbhush")
}

func checkGit(ctx context.Context, _ *app) finding {
	out, err := exec.CommandContext(ctx, "git", "version").Output()
	if err != nil {
		return info("install git", "there is no git on PATH")
	}
	return ok("%s", strings.TrimSpace(string(out)))
}

func checkGitFilter(ctx context.Context, a *app) finding {
	dir, err := os.Getwd()
	if err != nil {
		return failed(err, "")
	}
	self, err := os.Executable()
	if err != nil {
		return failed(err, "")
	}
	o := gitfilter.Options{Global: true, Dir: dir, Program: self, Getenv: a.getenv}
	st, err := gitfilter.Inspect(ctx, o)
	if err != nil {
		return failed(err, "nbhush git status")
	}
	switch {
	case len(st.Problems) > 0:
		return warn("nbhush git status --global", "%s", st.Problems[0])
	case !st.Installed:
		return info("nbhush git install --global", "not installed for this user; repositories may have it")
	case !st.Works:
		return failed(fmt.Errorf("git's command does not answer: %s", st.Command), "nbhush git install --global")
	}
	// A repository may say another filter, and git asks one for each file.
	if filter, err := gitfilter.Asked(ctx, dir); err == nil {
		switch filter {
		case "nbhush":
		case "nbstripout":
			return warn("nbhush nbstripout --uninstall, and [strip.outputs] in nbhush.toml if nbhush's filter is to take outputs out, too",
				"installed for this user, but notebooks here go through nbstripout, which looks for no secrets")
		default:
			return warn("nbhush git status", "installed for this user, but git does not ask it for notebooks here (filter: %s)", filter)
		}
	}
	return ok("installed for this user and answers")
}

// checkSharedEdits looks for the files in which jupyter-collaboration keeps what
// was typed, before anything could be taken out of it.
func checkSharedEdits(ctx context.Context, _ *app) finding {
	const name = ".jupyter_ystore.db"
	list, err := gitOutput(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":(top,glob)**/"+name)
	file, _, _ := strings.Cut(string(list), "\x00")
	switch {
	case err != nil:
		return ok("no git repository here that could store them")
	case file == "":
		return ok("git stores no %s", name)
	}
	if _, err := gitOutput(ctx, "ls-files", "--error-unmatch", "--", ":(top)"+file); err == nil {
		return warn("git rm --cached "+file+", and name it in .gitignore", "git keeps %s, which holds what was typed, secrets too", file)
	}
	return warn("echo "+name+" >> .gitignore", "%s holds what was typed, secrets too, and git does not ignore it", file)
}

func checkProject(ctx context.Context, a *app) finding {
	dir, err := os.Getwd()
	if err != nil {
		return failed(err, "")
	}
	path, err := policy.Find(dir)
	if err != nil {
		return failed(err, "")
	}
	if path == "" {
		return info((&noProjectError{dir}).Hint(), "no %s here or above, so kernels that start here get no secrets", policy.FileName)
	}
	cfg, hash, err := policy.Load(path)
	if err != nil {
		return failed(err, "mend "+path)
	}
	all, err := a.client().Allowed(ctx)
	if err != nil {
		return failed(err, "")
	}
	for _, al := range all {
		if al.Path == path && al.Hash == hash {
			return a.checkProfile(ctx, dir, fmt.Sprintf("%s lists %s, approved", path, plural(len(cfg.Names()), "name")))
		}
	}
	return warn("nbhush allow", "%s is not approved as it is now", path)
}
