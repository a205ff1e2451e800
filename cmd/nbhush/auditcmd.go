package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/audit"
)

type auditOptions struct {
	name, notebook, since string
	follow, json          bool
}

func newAuditCmd(a *app) *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "show who asked for which secret and what came of it",
		Long: `Shows the audit log: each time that a secret was asked for, stored or removed, what was allowed
and denied, and by which process, kernel and notebook. It holds names, never values.`,
		Example: `  nbhush audit --since 24h
  nbhush audit --name 'OPENAI_*' --notebook 'train*.ipynb'
  nbhush audit --follow --json
  nbhush audit verify`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			keep, err := o.filter(time.Now())
			if err != nil {
				return &usageError{cmd, err.Error()}
			}
			return runAudit(cmd.Context(), a, o, keep)
		},
	}
	cmd.Flags().StringVar(&o.name, "name", "", "only entries about names that match this `pattern`")
	cmd.Flags().StringVar(&o.notebook, "notebook", "", "only entries of notebooks whose path or file name matches this `pattern`")
	cmd.Flags().StringVar(&o.since, "since", "", "only entries since then: a `time` ago (90m, 24h, 7d), or a date (2006-01-02)")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	cmd.Flags().BoolVar(&o.json, "json", false, "print each entry as it is in the log, a line of JSON")
	cmd.AddCommand(newAuditVerifyCmd(a), newAuditAcceptCmd(a))
	return cmd
}

func newAuditVerifyCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "check that no line was changed, taken out, moved or cut off",
		Long: `Follows the chain of hashes through every file of the log, and asks the agent whether the log still
holds what was its end when that was last remembered, in the encrypted store: a second
after an entry, 50 ms after 64 of them, and when the agent ends. What came after that can be cut off unseen.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, unchecked, err := a.verifyAudit(cmd.Context())
			if errors.Is(err, fs.ErrNotExist) {
				if h, e := a.runningClient().AuditHead(cmd.Context()); e == nil && h.Seq > 0 {
					return fmt.Errorf("the audit log is gone: %s ended with entry %d; go on without it with: nbhush audit accept", a.home.Audit(), h.Seq)
				}
				return fmt.Errorf("there is no audit log: %s begins when the agent first starts", a.home.Audit())
			}
			if err != nil {
				return err
			}
			if unchecked != nil {
				a.printf("%d entries, each follows the one before: %s\n", n, a.home.Audit())
				return fmt.Errorf("whether the log's end and its older files are there was not checked: %w", unchecked)
			}
			a.printf("%d entries, whole: %s\n", n, a.home.Audit())
			return nil
		},
	}
}

// verifyAudit is audit.VerifyTo with what the agent remembers, or why it does not say
// that. The chain is looked at first, as it is before the agent starts.
func (a *app) verifyAudit(ctx context.Context) (n int, unchecked, err error) {
	if n, err = audit.Verify(a.home.Audit()); err != nil {
		return n, nil, err
	}
	head, err := a.client().AuditHead(ctx)
	if err != nil {
		return n, err, nil //nolint:nilerr // it is handed on
	}
	_, err = audit.VerifyTo(a.home.Audit(), audit.Head(head))
	return n, nil, err
}

func newAuditAcceptCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "accept",
		Short: "go on with the log as it is, after verify found that its end is missing",
		Long: `Makes the agent remember the end of the log as it is now. That you did so is an entry of the log. A
line that was changed in its middle stays a finding.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.client().AcceptAudit(cmd.Context())
			if err == nil {
				a.say("the log ends with entry %d", h.Seq)
			}
			return err
		},
	}
}

func runAudit(ctx context.Context, a *app, o auditOptions, keep func(audit.Entry) bool) error {
	shown := 0
	visit := func(e audit.Entry) error {
		if !keep(e) {
			return nil
		}
		if shown++; o.json {
			return json.NewEncoder(a.out).Encode(e)
		}
		if shown == 1 {
			a.printf("%-19s  %-14s  %-24s  %s\n", "TIME", "DID", "NAME", "WHO")
		}
		a.printf("%s\n", strings.TrimRight(auditLine(e), " "))
		return nil
	}
	if o.follow {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
		return audit.Follow(ctx, a.home.Audit(), visit)
	}
	if err := audit.Read(a.home.Audit(), visit); err != nil {
		return err
	}
	if shown == 0 {
		a.say("no entry")
	}
	return nil
}

// auditLine shows an entry in columns, the last of which is as long as it is.
func auditLine(e audit.Entry) string {
	did := string(e.Op)
	switch e.Verdict {
	case audit.Denied:
		did += " (denied)"
	case audit.Failed:
		did += " (error)"
	}
	var who []string
	if e.Who.PID != 0 { // a hook does not always know who asked
		who = append(who, filepath.Base(e.Who.Exe)+"["+strconv.Itoa(e.Who.PID)+"]")
	}
	if e.Who.Kernel != "" {
		who = append(who, "kernel "+e.Who.Kernel)
	}
	if e.Who.Notebook != "" {
		who = append(who, e.Who.Notebook)
	}
	if e.Reason != "" {
		who = append(who, "("+e.Reason+")")
	}
	return fmt.Sprintf("%s  %-14s  %-24s  %s", e.Time.Local().Format(time.DateTime), did, e.Name, printable(strings.Join(who, " ")))
}

// filter returns what says whether an entry is asked for.
func (o auditOptions) filter(now time.Time) (func(audit.Entry) bool, error) {
	for _, pattern := range []string{o.name, o.notebook} {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("%q is no pattern", pattern)
		}
	}
	since, err := parseSince(o.since, now)
	if err != nil {
		return nil, err
	}
	return func(e audit.Entry) bool {
		return !e.Time.Before(since) && (o.name == "" || matches(o.name, string(e.Name))) &&
			(o.notebook == "" || matches(o.notebook, e.Who.Notebook) || matches(o.notebook, path.Base(filepath.ToSlash(e.Who.Notebook))))
	}, nil
}

func matches(pattern, s string) bool {
	ok, _ := path.Match(pattern, s) // checked by filter
	return ok && s != ""
}

// parseSince returns the time that s means: a duration before now, or a date.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.Atoi(n); err == nil && days >= 0 {
			return now.AddDate(0, 0, -days), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is no time and no duration", s)
}
