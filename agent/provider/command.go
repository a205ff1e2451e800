package provider

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// command is a program of the user's that prints a secret: pass, sops, gpg, op, bw.
type command struct {
	program string
	ask     func(q Query) (asked, error)
}

// asked is one call of a program. No argument holds a value.
type asked struct {
	args    []string
	env     []string // beside ours
	login   string   // the setting of a credential, and the variable in which this program alone takes it
	loginAs string
	parse   func([]byte) (Document, error)
	file    string // that must be there, or ""
	// says are words of the program's standard error that tell a Kind; nothing of it is repeated.
	says []saying
}

type saying struct {
	words string
	kind  Kind
	mend  string
}

const maxComplaint = 16 << 10

func (c command) Read(ctx context.Context, q Query) (Document, error) {
	a, err := c.ask(q)
	if err != nil {
		return Document{}, err
	}
	if a.file != "" {
		if st, err := os.Stat(a.file); err != nil || !st.Mode().IsRegular() {
			return Document{}, fail(Missing, "relative paths begin in the folder of nbhush.toml", "there is no such file")
		}
	}
	path, err := exec.LookPath(firstOf(q.Settings["program"], c.program))
	if err != nil {
		return Document{}, fail(Setup, "install it, or name its path: program = \"/…\" in [providers."+q.Ref.Scheme+"]", "there is no program %s on PATH", c.program)
	}
	env := append(os.Environ(), a.env...)
	if a.login != "" {
		v, err := q.Login(ctx, a.login)
		if err != nil {
			return Document{}, err
		}
		if v.Len() > 0 {
			env = append(env, a.loginAs+"="+string(bytes.TrimSpace(v.Reveal())))
			v.Wipe()
		}
	}
	out, err := run(ctx, path, a.args, env, q.Dir, a.says)
	defer clear(out)
	if err != nil {
		return Document{}, err
	}
	return a.parse(out)
}

// stamp changes when the file does that the program reads.
func (c command) stamp(q Query) string {
	a, err := c.ask(q)
	if err != nil || a.file == "" {
		return ""
	}
	st, err := os.Stat(a.file)
	if err != nil {
		return ""
	}
	return st.ModTime().String()
}

// run returns what the program printed, which the caller clears.
func run(ctx context.Context, path string, args, env []string, dir string, says []saying) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	group(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	cmd.WaitDelay = time.Second
	cmd.Env, cmd.Dir = env, dir
	out, words := &capped{max: MaxAnswer, full: cancel}, &capped{max: maxComplaint}
	cmd.Stdout, cmd.Stderr = out, words
	err := cmd.Run()
	switch {
	case out.over:
		clear(out.b)
		return nil, fail(TooLong, "", "its answer is longer than %d bytes", MaxAnswer)
	case ctx.Err() != nil:
		clear(out.b)
		return nil, fail(Unreachable, "run the program by hand once; it may be asking for something", "the program did not answer in time")
	case err == nil:
		return out.b, nil
	}
	clear(out.b)
	defer clear(words.b)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil, fail(Setup, "see whether it can be executed", "the program does not start")
	}
	text := strings.ToLower(string(words.b))
	for _, s := range says {
		if strings.Contains(text, s.words) {
			e := Failure(s.kind, ReasonNone)
			e.Mend = s.mend
			return nil, e
		}
	}
	return nil, fail(Failed, "run it by hand to see what it says", "the program ended with exit code %d", exit.ExitCode())
}

// capped keeps the beginning of what is written to it. full is called when there is more.
type capped struct {
	b    []byte
	max  int
	over bool
	full func()
}

func (c *capped) Write(b []byte) (int, error) {
	room := min(len(b), c.max-len(c.b))
	c.b = append(c.b, b[:room]...)
	if room < len(b) && !c.over {
		c.over = true
		if c.full != nil {
			c.full()
		}
	}
	return len(b), nil
}

// askPass: pass://NAME is the first line, as pass means it; #line2 … and #KEY,
// the lines "key: value" below it, are fields.
func askPass(q Query) (asked, error) {
	if strings.HasPrefix(q.Ref.Path, "-") {
		return asked{}, fail(Setup, "", "the name of a password does not begin with a hyphen")
	}
	a := asked{args: []string{"show", q.Ref.Path}, parse: parsePass, says: []saying{
		{"is not in the password store", Missing, ""},
		{"password store is empty", Missing, "pass init GPG-ID"},
		{"decryption failed", Denied, "unlock the key: gpg --card-status, or run pass show once in a terminal"},
		{"no secret key", Denied, "the key that it was encrypted for is not on this machine"},
	}}
	if dir := q.Settings["store"]; dir != "" {
		a.env = append(a.env, "PASSWORD_STORE_DIR="+q.file(dir))
	}
	return a, nil
}

func parsePass(b []byte) (Document, error) {
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	doc := Document{Value: secret.New(bytes.Clone(oneLine(first))), Fields: map[string]secret.Value{}}
	for i, line := range bytes.Split(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		doc.Fields["line"+itoa(i+2)] = secret.New(bytes.Clone(line))
		if key, v, ok := bytes.Cut(line, []byte(":")); ok && len(key) > 0 {
			doc.Fields[string(key)] = secret.New(bytes.Clone(bytes.TrimSpace(v)))
		}
	}
	return doc, nil
}

// askSops: sops://FILE#a.b. The user's sops finds its keys: age, KMS, PGP.
func askSops(q Query) (asked, error) {
	file := q.file(q.Ref.Path)
	a := asked{file: file, says: []saying{
		{"no matching creation rules", Setup, ""},
		{"sops metadata not found", Malformed, "it is not encrypted: sops encrypt -i FILE, or read it with " + FormatOf(file) + "://"},
		{"failed to get the data key", Denied, "none of the keys that it is encrypted for is here: age_key_file = \"~/…\" in [providers.sops]"},
		{"could not decrypt", Denied, ""},
		{"mac mismatch", Malformed, "the file was changed by hand after it was encrypted"},
	}}
	if key := q.Settings["age_key_file"]; key != "" {
		a.env = append(a.env, "SOPS_AGE_KEY_FILE="+q.file(key))
	}
	// Values come as JSON, whatever the file is, but for one that is binary.
	switch ext := FormatOf(file); {
	case ext != "dotenv" || strings.Contains(strings.ToLower(file), ".env"):
		a.args, a.parse = []string{"decrypt", "--output-type", "json", file}, readJSON
	default:
		a.args, a.parse = []string{"decrypt", file}, readWhole
	}
	return a, nil
}

// askGPG: gpg://FILE, and gpg://FILE.env.gpg#KEY by the name of what is inside,
// which is how BlackBox keeps files.
func askGPG(q Query) (asked, error) {
	file := q.file(q.Ref.Path)
	inner := strings.TrimSuffix(strings.TrimSuffix(file, ".gpg"), ".asc")
	a := asked{file: file, args: []string{"--batch", "--quiet", "--no-tty", "--decrypt", "--", file}, says: []saying{
		{"no secret key", Denied, "the key that it was encrypted for is not on this machine"},
		{"bad passphrase", Denied, ""},
		{"no valid openpgp data", Malformed, ""},
		{"decryption failed", Denied, "run gpg --decrypt once in a terminal, which asks for the passphrase"},
	}}
	format := firstOf(q.Setting("format"), FormatOf(inner))
	a.parse = func(b []byte) (Document, error) {
		doc, _ := readWhole(b)
		doc.Fields, _ = ParseFile(format, b) // where it is none of these, it has no fields
		return doc, nil
	}
	if home := q.Settings["home"]; home != "" {
		a.env = append(a.env, "GNUPGHOME="+q.file(home))
	}
	return a, nil
}

// askOnePassword: op://VAULT/ITEM/[SECTION/]FIELD, as 1Password writes it itself.
func askOnePassword(q Query) (asked, error) {
	place, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(q.Ref.String(), "ref+"), q.Ref.Scheme+"://"), "#")
	a := asked{args: []string{"read", "--no-newline", "op://" + place}, parse: readWhole, login: "token", loginAs: "OP_SERVICE_ACCOUNT_TOKEN", says: []saying{
		{"isn't an item", Missing, ""},
		{"isn't a vault", Missing, ""},
		{"could not find", Missing, ""},
		{"does not have a field", Missing, ""},
		{"not currently signed in", Denied, "op signin, or a service account: token = \"store://NAME\" in [providers.op]"},
		{"authorization", Denied, "op signin"},
		{"too many requests", Throttled, ""},
		{"no such host", Unreachable, ""},
		{"certificate", Unreachable, ""},
	}}
	if account := q.Settings["account"]; account != "" {
		a.args = append(a.args, "--account", account)
	}
	return a, nil
}

// askBitwarden: bitwarden://ITEM, by name or id, is its password; fields of the
// login and of one's own are fields, as is notes.
func askBitwarden(q Query) (asked, error) {
	if strings.HasPrefix(q.Ref.Path, "-") {
		return asked{}, fail(Setup, "", "the name of an item does not begin with a hyphen")
	}
	return asked{args: []string{"get", "item", q.Ref.Path, "--nointeraction"}, parse: parseBitwarden, login: "session", loginAs: "BW_SESSION", says: []saying{
		{"not found", Missing, ""},
		{"more than one result", Setup, "name the item by its id"},
		{"vault is locked", Denied, "bw unlock --raw | nbhush set BW_SESSION, and session = \"store://BW_SESSION\" in [providers.bitwarden]"},
		{"not logged in", Denied, "bw login"},
		{"rate limit", Throttled, ""},
	}}, nil
}

// askKeychain: keychain://SERVICE/ACCOUNT of macOS.
func askKeychain(q Query) (asked, error) {
	service, account, ok := strings.Cut(q.Ref.Path, "/")
	args := []string{"find-generic-password", "-w", "-s", service}
	if ok {
		args = append(args, "-a", account)
	}
	return asked{args: args, parse: readWhole, says: []saying{
		{"could not be found", Missing, ""},
		{"interaction is not allowed", Denied, "unlock the keychain: security unlock-keychain"},
	}}, nil
}
