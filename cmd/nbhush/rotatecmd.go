package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// alphabet of generated values: what needs quotes in no shell, URL or JSON.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Lengths of generated values. The shortest has 96 bits.
const (
	generatedLength = 32
	minGenerated    = 16
	maxGenerated    = 4096
)

type rotateOptions struct {
	name     secret.Name
	generate string
	from     string
	expires  string
}

func newRotateCmd(a *app) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "give a secret a new value; the old one can be restored",
		Long: `Replaces the value of a secret that exists. The new one is asked for without echo, read from
standard input, or made up: --generate makes 32 random characters, or as many as it says
(16 to 4096), of A-Z a-z 0-9 - and _, six bits each. It is not shown. With --from it is read
from where a reference says, with the settings of this project's nbhush.toml.

The former values stay in the encrypted store, ten of them: nbhush history shows their times and
nbhush restore brings one back. They stay known, too: what holds one is masked as before.`,
		Example: `  nbhush rotate OPENAI_API_KEY
  nbhush rotate --generate DB_PASSWORD
  nbhush rotate --generate=64 --expires 90d SIGNING_KEY
  nbhush rotate --from openbao://secret/team/db#password DB_PASSWORD`,
		Args: argRange(1, 1, "the NAME of one secret (never its value)"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.name, err = secret.ParseName(args[0]); err != nil {
				return err
			}
			expires, err := parseExpiry(o.expires, time.Now())
			if err != nil {
				return &usageError{cmd, err.Error()}
			}
			length := 0
			if o.generate != "" {
				if length, err = strconv.Atoi(o.generate); err != nil || length < minGenerated || length > maxGenerated {
					return &usageError{cmd, fmt.Sprintf("--generate takes a length from %d to %d", minGenerated, maxGenerated)}
				}
			}
			return runRotate(cmd.Context(), a, o, length, expires)
		},
	}
	cmd.Flags().StringVar(&o.generate, "generate", "", "make up a value of that `length`")
	cmd.Flags().Lookup("generate").NoOptDefVal = strconv.Itoa(generatedLength)
	cmd.Flags().StringVar(&o.from, "from", "", "read the value from where that `reference` says")
	cmd.MarkFlagsMutuallyExclusive("generate", "from")
	cmd.Flags().StringVar(&o.expires, "expires", "", "when the new value does: a `date` (2006-01-02), or a time from now (90d, 12h)")
	return cmd
}

func runRotate(ctx context.Context, a *app, o rotateOptions, length int, expires time.Time) error {
	name := o.name
	all, err := a.client().List(ctx)
	if err != nil {
		return err
	}
	there := false
	for _, s := range all {
		there = there || s.Name == string(name)
	}
	if !there {
		return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("no secret is called %s", name), Mend: "nbhush set " + string(name)}
	}
	var res api.SetResult
	if o.from != "" {
		res, err = a.rotateFrom(ctx, o, expires)
	} else {
		res, err = a.rotate(ctx, name, length, expires)
	}
	if err != nil {
		return err
	}
	if res.Warning != "" {
		a.warningf("%s: %s", name, res.Warning)
	}
	a.say("%s has a new value; the one before: nbhush restore %s", name, name)
	return nil
}

// rotateFrom has the agent read the value; a reference that is none is not repeated.
func (a *app) rotateFrom(ctx context.Context, o rotateOptions, expires time.Time) (res api.SetResult, err error) {
	if _, err := secret.ParseRef(o.from); err != nil {
		return res, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return res, err
	}
	return a.client().RotateFrom(ctx, o.name, api.RotateRequest{From: o.from, Dir: dir, Expires: expires})
}

func (a *app) rotate(ctx context.Context, name secret.Name, length int, expires time.Time) (res api.SetResult, err error) {
	v, err := a.newValue(name, length)
	if err != nil {
		return res, err
	}
	defer v.Wipe()
	return a.client().SetUntil(ctx, name, v, expires)
}

// newValue makes up a value of length characters, or asks for one where that is 0.
func (a *app) newValue(name secret.Name, length int) (secret.Value, error) {
	if length > 0 {
		return generate(length)
	}
	b, err := a.readSecret("new value of "+string(name), api.MaxValue)
	if err == nil && len(b) == 0 {
		err = errEmptyValue
	}
	return secret.New(b), err
}

func generate(length int) (secret.Value, error) {
	b := make([]byte, length)
	for i := range b {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return secret.Value{}, err
		}
		b[i] = alphabet[n.Int64()]
	}
	return secret.New(b), nil
}

// parseExpiry returns the time that s means: a date, whose day still counts, or
// a time from now. An empty s is never.
func parseExpiry(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.Atoi(n); err == nil && days > 0 && days < 100*366 {
			return now.AddDate(0, 0, days), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Second), nil
	}
	return time.Time{}, fmt.Errorf("--expires %q is no date and no time from now", s)
}

// soon is how long before its end a value is warned of.
const soon = 14 * 24 * time.Hour

// expiry says that a value expires soon or did, else "".
func expiry(at, now time.Time) string {
	switch d := at.Sub(now); {
	case at.IsZero() || d > soon:
		return ""
	case d > 0:
		return fmt.Sprintf("expires on %s, in %s", at.Local().Format(time.DateOnly), span(d))
	default:
		return fmt.Sprintf("expired on %s, %s ago", at.Local().Format(time.DateOnly), span(-d))
	}
}

func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d < day {
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d/day), "day")
}

func newHistoryCmd(a *app) *cobra.Command {
	var asJSON, forget bool
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "show when a secret had which version, never a value",
		Long: `Shows the current version of a secret and up to ten former ones, those of a removed secret too.
Long values leave fewer: two are always kept, and more only up to 256 KiB.

Former values are masked in outputs and files as the current one is. --forget wipes them; from
then on they are neither known nor restorable. (The generation of the file before this one,
encrypted as well, holds them until the next change; files of nbhush sync and nbhush backup
hold them for ever, and the next sync brings them back.)`,
		Args: argRange(1, 1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := secret.ParseName(args[0])
			if err != nil {
				return err
			}
			if forget {
				if err := a.client().Forget(cmd.Context(), name); err != nil {
					return err
				}
				a.say("forgot the former values of %s", name)
				return nil
			}
			return runHistory(cmd.Context(), a, name, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the versions as JSON")
	cmd.Flags().BoolVar(&forget, "forget", false, "wipe the former values")
	return cmd
}

func runHistory(ctx context.Context, a *app, name secret.Name, asJSON bool) error {
	list, err := a.client().History(ctx, name)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(list)
	}
	a.printf("%-7s  %-19s  %s\n", "VERSION", "SINCE", "NOTE")
	for _, v := range list {
		note := expiry(v.Expires, time.Now())
		if v.Number == 0 {
			note = strings.TrimSuffix("current, "+note, ", ")
		}
		a.printf("%s\n", strings.TrimRight(fmt.Sprintf("%-7d  %-19s  %s", v.Number, v.Since.Local().Format(time.DateTime), note), " "))
	}
	return nil
}

func newRestoreCmd(a *app) *cobra.Command {
	number := 1
	cmd := &cobra.Command{
		Use:   "restore NAME",
		Short: "bring a former value of a secret back",
		Long: `Makes a former value the current one again: the one before, or the --version that nbhush history
shows. What is current now becomes a former one. A secret that was removed comes back as well.`,
		Args: argRange(1, 1, "the NAME of one secret"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := secret.ParseName(args[0])
			if err != nil {
				return err
			}
			return runRestore(cmd.Context(), a, name, number)
		},
	}
	cmd.Flags().IntVar(&number, "version", 1, "the `number` of the version, as history shows it")
	return cmd
}

func runRestore(ctx context.Context, a *app, name secret.Name, number int) error {
	list, err := a.client().History(ctx, name)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.Number != number || number == 0 {
			continue
		}
		res, err := a.client().Restore(ctx, name, v.Since)
		if err != nil {
			return err
		}
		a.say("%s has the value again that it had on %s, in the %s", name, v.Since.Local().Format(time.DateTime), res.Store)
		return nil
	}
	return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("%s has no former version %d", name, number), Mend: "nbhush history " + string(name)}
}
