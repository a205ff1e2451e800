package provider

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// MaxValue is the longest value, and MaxAnswer the longest answer that holds
// some, in bytes.
const (
	MaxValue  = 1 << 20
	MaxAnswer = 4 << 20
)

// Provider reads what one reference names, but for its field. It is safe for
// concurrent use, and ends soon after ctx does. Errors are an *Error.
type Provider interface {
	Read(ctx context.Context, q Query) (Document, error)
}

// renewer is a Provider whose leases can be made longer.
type renewer interface {
	Renew(ctx context.Context, q Query, l Lease) (Lease, error)
}

// Query is one question.
type Query struct {
	Ref      secret.Ref
	Settings map[string]string        // of [providers.NAME]; credentials among them are references
	Dir      string                   // of the nbhush.toml; relative paths begin here
	Env      func(name string) string // the environment that the asking program was started with

	login func(ctx context.Context, key string) (secret.Value, error)
}

// Setting returns the option of the reference or else the setting called key.
func (q Query) Setting(key string) string {
	if v := q.Ref.Option(key); v != "" && key != "address" && key != "ca" {
		return v
	}
	return q.Settings[key]
}

// Login returns the credential called key, which the caller wipes; empty where
// the settings do not name one.
func (q Query) Login(ctx context.Context, key string) (secret.Value, error) {
	if q.Settings[key] == "" || q.login == nil {
		return secret.Value{}, nil
	}
	return q.login(ctx, key)
}

// file returns path, below Dir if it is relative; ~ is the user's home.
func (q Query) file(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(homeDir(), rest)
	}
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(q.Dir, path)
}

func homeDir() string {
	home, _ := os.UserHomeDir()
	return home
}

// Document is what a Provider found: a value, or fields, or both. It belongs to
// who asked, who wipes it.
type Document struct {
	Value  secret.Value
	Fields map[string]secret.Value
	Lease  Lease
}

// Lease says how long a document holds. The zero Lease says nothing.
type Lease struct {
	ID        string
	For       time.Duration
	Renewable bool
}

// Wipe wipes every value of d.
func (d Document) Wipe() {
	d.Value.Wipe()
	for _, v := range d.Fields {
		v.Wipe()
	}
}

// pick returns the value that a reference with this field means; name is that
// of the secret. The value is still the document's.
func (d Document) pick(field string, name secret.Name) (secret.Value, *Error) {
	if field != "" {
		if v, ok := d.Fields[field]; ok {
			return v, nil
		}
		return secret.Value{}, &Error{Kind: Missing, What: "there is no such field", Mend: "look at the part after # in the reference"}
	}
	switch {
	case d.Value.Len() > 0:
		return d.Value, nil
	case len(d.Fields) == 1:
		for _, v := range d.Fields {
			return v, nil
		}
	}
	if v, ok := d.Fields[string(name)]; ok {
		return v, nil
	}
	if len(d.Fields) == 0 {
		return secret.Value{}, &Error{Kind: Missing, What: "it is empty"}
	}
	return secret.Value{}, &Error{Kind: Missing, What: fmt.Sprintf("it has %d fields", len(d.Fields)), Mend: "name one at the end of the reference: #FIELD"}
}

// Kind is the class of an Error.
type Kind string

// The kinds.
const (
	Denied      Kind = "denied"
	Missing     Kind = "missing"
	Throttled   Kind = "throttled"
	Unreachable Kind = "unreachable" // no connection, no TLS, or no answer in time
	Malformed   Kind = "malformed"   // half an answer, or one that is not understood
	TooLong     Kind = "too-long"
	Failed      Kind = "failed" // the other side says that the fault is its own
	Setup       Kind = "setup"  // a program or a setting is missing
)

// Error is one line about one reference. It never holds a value.
type Error struct {
	Ref        secret.Ref
	Kind       Kind
	What       string        // in our own words
	Mend       string        // what to do
	RetryAfter time.Duration // that the other side asked for

	reason int // of reasons
}

func (e *Error) Error() string {
	if e.Ref.IsZero() {
		return e.What
	}
	return fmt.Sprintf("%s: %s: %s", e.Ref.Scheme, e.Ref, e.What)
}

// Hint says what to do.
func (e *Error) Hint() string {
	if e.Mend != "" {
		return e.Mend
	}
	switch e.Kind {
	case Denied:
		return "log in again, or ask who runs it for the right to read this secret"
	case Missing:
		return "look at the reference in nbhush.toml, then run: nbhush allow"
	case Throttled:
		return "wait a little; with a longer ttl in nbhush.toml it is asked less often"
	case Unreachable:
		return "check the address, the network and the certificate; stale = \"1h\" in nbhush.toml bridges an outage"
	case Setup:
		return "see the providers in the README"
	}
	return "try again; if it stays so, ask who runs it"
}

// passing reports whether the same question may soon have another answer.
func (k Kind) passing() bool {
	return k == Throttled || k == Unreachable || k == Malformed || k == Failed || k == TooLong
}

func fail(kind Kind, mend, format string, args ...any) *Error {
	return &Error{Kind: kind, What: fmt.Sprintf(format, args...), Mend: mend}
}

// about returns err as an *Error about ref. What no provider made an *Error of
// has words that may come from elsewhere, which are left out.
func about(ref secret.Ref, err error) *Error {
	e, ok := err.(*Error) //nolint:errorlint // a wrapped one has words around it that are not ours
	if !ok {
		e = fail(Failed, "", "it did not work")
	}
	made := *e
	made.Ref = ref
	return &made
}

// builtin are the providers of this package by the scheme of their references,
// each with the time that its values are kept where no lease says so.
func builtin(r *Resolver) map[string]known {
	bao := &openbao{}
	sdk := &helper{program: func() (string, error) { return r.findHelper("nbhush-providers") }}
	files, asked := time.Duration(0), 5*time.Minute
	return map[string]known{
		"store":      {storeProvider{r.o.Stored}, files},
		"env":        {envProvider{}, files},
		"file":       {fileProvider{read: readWhole}, files},
		"docker":     {fileProvider{read: readWhole, below: "/run/secrets"}, files},
		"dotenv":     {fileProvider{read: readDotenv}, files},
		"json":       {fileProvider{read: readJSON}, files},
		"yaml":       {fileProvider{read: readYAML}, files},
		"ini":        {fileProvider{read: readINI}, files},
		"kaggle":     {fileProvider{read: readJSON, fixed: kaggleFiles}, files},
		"netrc":      {netrcProvider{}, files},
		"wandb":      {netrcProvider{host: "api.wandb.ai"}, files},
		"openbao":    {bao, asked},
		"vault":      {bao, asked},
		"databricks": {databricks{}, asked},
		"pass":       {command{program: "pass", ask: askPass}, asked},
		"sops":       {command{program: "sops", ask: askSops}, asked},
		"gpg":        {command{program: "gpg", ask: askGPG}, asked},
		"op":         {command{program: "op", ask: askOnePassword}, asked},
		"bitwarden":  {command{program: "bw", ask: askBitwarden}, asked},
		"keychain":   {command{program: "security", ask: askKeychain}, asked},
		"aws-sm":     {sdk, asked},
		"aws-ssm":    {sdk, asked},
		"gcp":        {sdk, asked},
		"azure":      {sdk, asked},
	}
}

// known is a Provider and how long its values are kept.
type known struct {
	Provider
	keep time.Duration
}

// Schemes returns the names of the providers that need no settings, sorted.
func Schemes() []string {
	return slices.Sorted(maps.Keys(builtin(New(Options{}))))
}
