package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// ruleOptions say what is allowed or denied beside an nbhush.toml.
type ruleOptions struct {
	name, notebook, until, profile string
	undo, once                     bool
}

func (o *ruleOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.name, "name", "", "the `NAME` of one secret")
	cmd.Flags().StringVar(&o.notebook, "notebook", "", "the notebook's `FILE`, with --name")
	cmd.Flags().StringVar(&o.until, "until", "", "the last `DATE`, such as 2027-01-31, or a time as in RFC 3339, with --name")
	cmd.Flags().StringVar(&o.profile, "profile", "", "only in this `profile` of the project; without --name, all that it lists there")
}

func (o *ruleOptions) used() bool {
	return o.name != "" || o.notebook != "" || o.until != "" || o.undo || o.once || o.profile != ""
}

// path returns the absolute path of the notebook. It must be there, unless what
// was said of it is taken back: a wrong path would do nothing, and not say so.
func (o *ruleOptions) path(mustBe bool) (string, error) {
	if o.notebook == "" {
		return "", nil
	}
	if mustBe {
		if st, err := os.Stat(o.notebook); err != nil {
			return "", err
		} else if !st.Mode().IsRegular() {
			return "", fmt.Errorf("%s is not a notebook", o.notebook)
		}
	}
	return filepath.Abs(o.notebook)
}

// parseUntil returns the end of a day here, or the time that is written.
func parseUntil(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil && day.Year() < 9999 { // as JSON has no year after it
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no date such as 2027-01-31", text)
	}
	return at, nil
}

// runRule is nbhush allow and nbhush deny with --name.
func runRule(cmd *cobra.Command, a *app, args []string, o allowOptions, deny bool) error {
	r := o.rule
	switch {
	case r.name == "" && (r.profile == "" || deny || r.once):
		return &usageError{cmd, "--notebook, --until, --once and --undo need --name"}
	case len(args) > 0 || o.list:
		return &usageError{cmd, "--name goes with no DIR and no --list"}
	case r.notebook == "" && !deny:
		return &usageError{cmd, "--name needs --notebook; what a whole project may have is listed in nbhush.toml"}
	case r.undo && r.until != "":
		return &usageError{cmd, "--undo goes with no --until"}
	}
	var name secret.Name
	var err error
	if r.name != "" {
		if name, err = secret.ParseName(r.name); err != nil {
			return err
		}
	}
	path, err := r.path(!r.undo)
	if err != nil {
		return err
	}
	if r.undo {
		return revoke(cmd.Context(), a, api.RevokeRequest{Name: string(name), Notebook: path, Deny: true, Profile: r.profile}, o.json)
	}
	until, err := parseUntil(r.until)
	if err != nil {
		return &usageError{cmd, err.Error()}
	}
	made, err := a.client().AddRule(cmd.Context(), api.Rule{
		Name: string(name), Deny: deny, Notebook: path, Until: until, Profile: r.profile, Once: r.once,
	})
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(made)
	}
	a.say("%s", sentence(made))
	if deny || r.profile != "" { // where that takes it from, its nbhush.toml says
		return nil
	}
	return a.warnMissing(cmd.Context(), []string{made.Name})
}

// sentence says a rule in words.
func sentence(r api.Rule) string {
	may := "may have "
	if r.Deny {
		may = "may not have "
	}
	return place(r) + " " + may + what(r) + ending(r)
}

// what says which secrets a rule is about.
func what(r api.Rule) string {
	switch {
	case r.Name == "":
		return "all of the profile " + r.Profile
	case r.Profile != "":
		return r.Name + " in the profile " + r.Profile
	}
	return r.Name
}

func place(r api.Rule) string {
	switch {
	case r.Kernel != 0 && r.Notebook != "":
		return fmt.Sprintf("kernel %d of %s", r.Kernel, r.Notebook)
	case r.Kernel != 0:
		return fmt.Sprintf("kernel %d", r.Kernel)
	case r.Notebook != "":
		return r.Notebook
	}
	return "all kernels"
}

func ending(r api.Rule) string {
	end := ""
	if r.Once {
		end = " once"
	}
	if !r.Until.IsZero() {
		end += " until " + r.Until.Local().Format(time.DateTime)
	}
	return end
}

func newGrantsCmd(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "list what was allowed and denied by name",
		Long: `Lists what you answered when a notebook asked, and what nbhush allow and nbhush deny
said with --name: verdict, name, for what, until when. What an nbhush.toml lists is shown by
nbhush allow --list.`,
		Example: "  nbhush grants",
		Args:    argRange(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runGrants(cmd.Context(), a, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func runGrants(ctx context.Context, a *app, asJSON bool) error {
	list, err := a.client().Rules(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(list)
	}
	for _, r := range list {
		verdict := "allow"
		if r.Deny {
			verdict = "deny"
		}
		a.printf("%s\t%s\t%s\t%s\n", verdict, cmp.Or(r.Name, "*"), cell(in(r)), strings.TrimPrefix(ending(r), " "))
	}
	return nil
}

// in is the place of a rule, and its profile.
func in(r api.Rule) string {
	if r.Profile == "" {
		return place(r)
	}
	return place(r) + ", profile " + r.Profile
}

func newRevokeCmd(a *app) *cobra.Command {
	var notebook, profile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke [NAME]",
		Short: "take back what was granted of a secret",
		Long: `Takes back what you granted of NAME when notebooks asked, or with nbhush allow --name: for all
notebooks and kernels, or those of one notebook. Kernels that run lose the value as nbhush deny
--help says, unless an approved nbhush.toml lists it. With --profile alone, what you granted of the
whole profile.`,
		Example: `  nbhush revoke API_TOKEN
  nbhush revoke API_TOKEN --notebook analysis.ipynb
  nbhush revoke --profile prod`,
		Args: argRange(0, 1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.RevokeRequest{Profile: profile}
			if len(args) == 0 && profile == "" {
				return &usageError{cmd, "nbhush revoke needs the NAME of one secret, or --profile"}
			}
			if len(args) > 0 {
				name, err := secret.ParseName(args[0])
				if err != nil {
					return err
				}
				q.Name = string(name)
			}
			o := ruleOptions{notebook: notebook}
			var err error
			if q.Notebook, err = o.path(false); err != nil {
				return err
			}
			return revoke(cmd.Context(), a, q, asJSON)
		},
	}
	cmd.Flags().StringVar(&notebook, "notebook", "", "only what was granted to this `FILE` and its kernels")
	cmd.Flags().StringVar(&profile, "profile", "", "only what was granted in this `profile`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func revoke(ctx context.Context, a *app, q api.RevokeRequest, asJSON bool) error {
	was, err := a.client().Revoke(ctx, q)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(was)
	}
	for _, r := range was {
		a.say("no longer said: %s", sentence(r))
	}
	return nil
}
