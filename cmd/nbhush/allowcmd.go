package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
)

type allowOptions struct {
	dir  string
	list bool
	json bool
	rule ruleOptions
}

func newAllowCmd(a *app) *cobra.Command {
	var o allowOptions
	cmd := &cobra.Command{
		Use:   "allow [DIR]",
		Short: "let this project's kernels have the names in its nbhush.toml",
		Long: `Approves the nbhush.toml of DIR (or of this folder, or of one above it) as it is now: the
kernels that start below it get the names that it lists. When the file changes,
it has to be approved again.

With --name, one notebook may have one more name, though no nbhush.toml lists it. With --profile, it
may have what the nbhush.toml lists in a profile that asks first. Neither is asked for then.`,
		Example: `  nbhush allow
  nbhush allow --list
  nbhush allow --name API_TOKEN --notebook analysis.ipynb --until 2027-01-31
  nbhush allow --profile prod --notebook nightly.ipynb`,
		Args: argRange(0, 1, "one DIR at the most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = dirArg(args)
			if o.rule.used() {
				return runRule(cmd, a, args, o, false)
			}
			if o.list {
				return runAllowList(cmd.Context(), a, o)
			}
			return runAllow(cmd.Context(), a, o)
		},
	}
	cmd.Flags().BoolVar(&o.list, "list", false, "list what is approved")
	o.rule.flags(cmd)
	cmd.Flags().BoolVar(&o.rule.once, "once", false, "for one get, with --name")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func newDenyCmd(a *app) *cobra.Command {
	var o allowOptions
	cmd := &cobra.Command{
		Use:   "deny [DIR|FILE]",
		Short: "take the approval of a project's nbhush.toml back",
		Long: `Takes the approval of the nbhush.toml of DIR, or of FILE, back, also of one that is gone. Kernels that run lose what they had by it before
their next cell; those of Java, Go, Julia and Scala when they end.

With --name, no kernel may have that name, or none of one notebook, and nobody is asked for it:
a denial counts more than any nbhush.toml and any grant.`,
		Example: `  nbhush deny
  nbhush deny --name PROD_PASSWORD
  nbhush deny --undo --name PROD_PASSWORD`,
		Args: argRange(0, 1, "one DIR at the most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = dirArg(args)
			if o.rule.used() {
				return runRule(cmd, a, args, o, true)
			}
			return runDeny(cmd.Context(), a, o)
		},
	}
	o.rule.flags(cmd)
	cmd.Flags().BoolVar(&o.rule.undo, "undo", false, "take a denial of --name back")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

func dirArg(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return "."
}

func runAllow(ctx context.Context, a *app, o allowOptions) error {
	req, cfg, err := readProject(o.dir)
	if err != nil {
		return err
	}
	allowed, err := a.client().Allow(ctx, req.Path, req.Hash)
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(allowed)
	}
	if len(cfg.Names()) == 0 {
		a.warningf("%s lists no names", req.Path)
		return nil
	}
	for _, profile := range profiles(cfg) {
		if profile == "" {
			a.say("kernels below %s may have %s", filepath.Dir(req.Path), nameList(cfg.NamesIn("")))
			a.sayFrom(cfg, "")
			continue
		}
		also := ""
		if cfg.Profiles[profile].Asks {
			also = ", after you are asked in each session"
		}
		a.say("kernels below %s may have, in the profile %s, %s%s", filepath.Dir(req.Path), profile, nameList(cfg.NamesIn(profile)), also)
		a.sayFrom(cfg, profile)
	}
	if len(cfg.Rules) > 0 {
		a.say("%s may take some of it away: nbhush explain NAME", plural(len(cfg.Rules), "rule"))
	}
	return a.warnMissing(ctx, slices.DeleteFunc(allowed.Names, func(name string) bool { return !fromStore(cfg, secret.Name(name)) }))
}

// profiles returns those that can be on; "" is none.
func profiles(cfg *policy.Config) []string {
	if cfg.Default != "" {
		return cfg.Known()
	}
	return append([]string{""}, cfg.Known()...)
}

// nameList joins names.
func nameList(names []secret.Name) string {
	if len(names) == 0 {
		return "none"
	}
	text := make([]string, len(names))
	for i, name := range names {
		text[i] = string(name)
	}
	return strings.Join(text, ", ")
}

// fromStore reports whether the value of name comes from the store, under its
// own name, in some profile.
func fromStore(cfg *policy.Config, name secret.Name) bool {
	for _, profile := range profiles(cfg) {
		if s, listed := cfg.In(profile, name); listed && s.From.IsZero() {
			return true
		}
	}
	return false
}

// sayFrom says where values come from, and which addresses and programs get this
// user's credentials: that, too, is approved.
func (a *app) sayFrom(cfg *policy.Config, profile string) {
	for _, name := range cfg.NamesIn(profile) {
		s, _ := cfg.In(profile, name)
		from := s.From
		if from.IsZero() || profile != "" && cfg.Default == "" && from == cfg.Secrets[name].From { // said before
			continue
		}
		where := ""
		settings := cfg.Providers[from.Scheme]
		if address := settings["address"]; address != "" {
			where = ", asked at " + printable(address)
		}
		if program := settings["program"]; program != "" {
			where += ", by the program " + printable(program)
		}
		if kind := cmp.Or(settings["type"], from.Scheme); !slices.Contains(policy.Providers, kind) {
			where += ", by the program nbhush-provider-" + printable(kind)
		}
		a.say("%s comes from %s%s", name, printable(from.String()), where)
	}
}

// warnMissing names what is approved but not stored yet.
func (a *app) warnMissing(ctx context.Context, names []string) error {
	secrets, err := a.client().List(ctx)
	if err != nil {
		return err
	}
	stored := make(map[string]bool, len(secrets))
	for _, s := range secrets {
		stored[s.Name] = true
	}
	for _, name := range names {
		if !stored[name] {
			a.warningf("%s is not stored yet", name)
			a.hintf("store it with: nbhush set %s", name)
		}
	}
	return nil
}

func runDeny(ctx context.Context, a *app, o allowOptions) error {
	own, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	base := filepath.Base(own)
	isFile := base == policy.FileName || base == policy.SecretspecName
	if !isFile {
		own = filepath.Join(own, policy.FileName)
	}
	// What was approved right there comes first, gone or not: the file above may be another's.
	path := own
	was, err := a.client().Deny(ctx, path)
	if !isFile && errors.Is(err, &api.Error{Code: api.CodeNotFound}) {
		found, missing := findProject(o.dir)
		if missing != nil {
			return missing
		}
		if found != own {
			path = found
			was, err = a.client().Deny(ctx, path)
		}
	}
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(was)
	}
	a.say("%s is no longer approved; kernels that run lose its names before their next cell", path)
	return nil
}

func runAllowList(ctx context.Context, a *app, o allowOptions) error {
	all, err := a.client().Allowed(ctx)
	if err != nil {
		return err
	}
	if o.json {
		if all == nil {
			all = []api.Allowed{}
		}
		return a.printJSON(all)
	}
	for _, al := range all {
		a.printf("%s\t%s\n", cell(al.Path), strings.Join(al.Names, " "))
	}
	return nil
}

func findProject(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	path, err := policy.Find(dir)
	if err == nil && path == "" {
		err = &noProjectError{dir}
	}
	return path, err
}

// noProjectError says that there is nothing to approve.
type noProjectError struct{ dir string }

func (e *noProjectError) Error() string {
	return fmt.Sprintf("there is no %s in %s or above", policy.FileName, e.dir)
}

// Hint shows the whole file.
func (e *noProjectError) Hint() string {
	return `list the names that this project needs: printf '[secrets]\nOPENAI_API_KEY = {}\n' > ` + policy.FileName
}

// readProject reads the nbhush.toml that counts for dir and says what to
// approve: the bytes that were read here, not what the file holds later.
func readProject(dir string) (api.AllowRequest, *policy.Config, error) {
	path, err := findProject(dir)
	if err != nil {
		return api.AllowRequest{}, nil, err
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return api.AllowRequest{}, nil, err
	}
	cfg, err := policy.ParseFile(path, src)
	if err != nil {
		return api.AllowRequest{}, nil, fmt.Errorf("%s: %w", path, err)
	}
	return api.AllowRequest{Path: path, Hash: policy.Hash(src)}, cfg, nil
}
