package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

type explainOptions struct {
	name                                secret.Name
	notebook, profile, kernel, language string
	json                                bool
}

func newExplainCmd(a *app) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "say whether a kernel may have a secret, and which rule decides",
		Long: `Says what a kernel of this folder would be told that asked for NAME: allow, ask or deny; the rule
that decides, with its file and line; which profile is on, and why; where the value would come from; and
the command that changes the verdict. A rule about notebooks or kernels takes away where it is not known
which one asks: name it with --notebook and --kernel.`,
		Example: `  nbhush explain DB --notebook analysis.ipynb
  nbhush explain DB --profile prod --kernel ir --language R`,
		Args: argRange(1, 1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.name, err = secret.ParseName(args[0]); err != nil {
				return err
			}
			return runExplain(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.notebook, "notebook", "", "the notebook's `FILE`")
	f.StringVar(&o.kernel, "kernel", "", "the `name` of the kernelspec")
	f.StringVar(&o.language, "language", "", "the kernelspec's `language`")
	profileFlag(cmd, &o.profile)
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func runExplain(ctx context.Context, a *app, o explainOptions) error {
	rule := ruleOptions{notebook: o.notebook}
	notebook, err := rule.path(true)
	if err != nil {
		return err
	}
	dir := filepath.Dir(notebook)
	if notebook == "" {
		if dir, err = os.Getwd(); err != nil {
			return err
		}
	}
	e, err := a.client().Explain(ctx, api.ExplainRequest{
		Name: string(o.name), Dir: dir, Notebook: notebook, Profile: o.profile, Env: a.getenv(envProfile), Kernel: o.kernel, Language: o.language,
	})
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(e)
	}
	line := func(what, format string, args ...any) { a.printf("%-9s"+format+"\n", append([]any{what}, args...)...) }
	line(e.Verdict, "%s", printable(e.Reason))
	if e.Rule != "" {
		line("rule", "%s", printable(e.Rule))
	}
	if len(e.Known) > 0 {
		line("profile", "%s", printable(strings.TrimPrefix(e.Profile.Profile+", "+e.By, ", ")))
	}
	from := e.From
	if from == "store" && !e.Stored {
		from = "store, which has no such secret"
	}
	line("from", "%s", printable(from))
	if e.Mend != "" {
		line("hint", "%s", printable(e.Mend))
	}
	return nil
}

// sayProfile says on a terminal which profile is on in this folder, if any.
func (a *app) sayProfile(ctx context.Context) {
	dir, err := os.Getwd()
	if err != nil || !a.terminal(a.err) {
		return
	}
	e, err := a.client().Explain(ctx, api.ExplainRequest{Dir: dir, Env: a.getenv(envProfile)})
	if err == nil && e.Profile.Profile != "" {
		a.say("profile %s, %s", e.Profile.Profile, e.By)
	}
}

// checkProfile adds to text, which is good news of a project, the profile that is on.
func (a *app) checkProfile(ctx context.Context, dir, text string) finding {
	e, err := a.client().Explain(ctx, api.ExplainRequest{Dir: dir, Env: a.getenv(envProfile)})
	switch {
	case err != nil:
		return failed(err, "")
	case len(e.Known) == 0:
		return ok("%s", text)
	case e.Profile.Profile == "":
		return ok("%s; no profile is on: nothing chooses one of %s", text, strings.Join(e.Known, ", "))
	}
	return ok("%s; profile %s, %s", text, e.Profile.Profile, e.By)
}
