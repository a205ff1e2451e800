package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nbhush/nbhush/nbstrip/outputs"
)

// outputsFlag is one of nbstripout's flags.
type outputsFlag struct {
	long  string
	short byte
	value string // what it takes, "" for nothing; with … as many words as follow
	help  string
	set   func(o *outputsOptions, value string) error
}

func on(field func(*outputsOptions) *bool) func(*outputsOptions, string) error {
	return func(o *outputsOptions, _ string) error {
		*field(o) = true
		return nil
	}
}

func list(field func(*outputsOptions) *[]string) func(*outputsOptions, string) error {
	return func(o *outputsOptions, value string) error {
		*field(o) = append(*field(o), strings.Fields(value)...)
		return nil
	}
}

func word(field func(*outputsOptions) *string) func(*outputsOptions, string) error {
	return func(o *outputsOptions, value string) error {
		*field(o) = value
		return nil
	}
}

// outputsFlags is the one place that knows them: the parser and the help read it.
func outputsFlags() []outputsFlag {
	return []outputsFlag{
		{"dry-run", 0, "", "only print which notebooks would be stripped", on(func(o *outputsOptions) *bool { return &o.dryRun })},
		{"verify", 0, "", "the same, and exit with 1 if there are any", on(func(o *outputsOptions) *bool { return &o.verify })},
		{"keep-count", 0, "", "keep execution counts and prompt numbers", on(func(o *outputsOptions) *bool { return &o.KeepCount })},
		{"keep-output", 0, "", "keep outputs", on(func(o *outputsOptions) *bool { return &o.KeepOutput })},
		{"keep-id", 0, "", "keep the ids of cells; otherwise they are numbered", on(func(o *outputsOptions) *bool { return &o.KeepID })},
		{
			"drop-output-type", 0, "TYPE…", "types of outputs to drop though outputs are kept, such as error or stream:stderr",
			list(func(o *outputsOptions) *[]string { return &o.DropTypes }),
		},
		{"keep-output-type", 0, "TYPE…", "types of outputs to keep", list(func(o *outputsOptions) *[]string { return &o.KeepTypes })},
		{
			"extra-keys", 0, "KEYS", "more metadata to strip, with blanks between: metadata.foo cell.metadata.bar",
			list(func(o *outputsOptions) *[]string { return &o.ExtraKeys }),
		},
		{"keep-metadata-keys", 0, "KEYS", "metadata to keep", list(func(o *outputsOptions) *[]string { return &o.KeepKeys })},
		{"only-metadata-keys", 0, "KEYS", "all metadata to keep: metadata.foo cell.metadata.bar", list(func(o *outputsOptions) *[]string { return &o.OnlyKeys })},
		{"leave-out", 0, "PATTERN…", "files and folders to leave alone", list(func(o *outputsOptions) *[]string { return &o.leaveOut })},
		{"drop-empty-cells", 0, "", "drop cells whose source is empty or white space", on(func(o *outputsOptions) *bool { return &o.DropEmptyCells })},
		{"strip-empty-cells", 0, "", "an older name of --drop-empty-cells", on(func(o *outputsOptions) *bool { return &o.DropEmptyCells })},
		{"drop-tagged-cells", 0, "TAGS", "drop cells that have one of the tags", list(func(o *outputsOptions) *[]string { return &o.DropTags })},
		{"strip-init-cells", 0, "", "strip the outputs of cells with init_cell, too", on(func(o *outputsOptions) *bool { return &o.StripInitCells })},
		{"max-size", 0, "SIZE", "keep outputs of at most so many characters: 50, 10k, 1M", func(o *outputsOptions, value string) (err error) {
			o.MaxSize, err = outputs.ParseSize(value)
			return err
		}},
		{"mode", 'm', "MODE", "jupyter or zeppelin", func(o *outputsOptions, value string) error {
			if value != "jupyter" && value != "zeppelin" {
				return fmt.Errorf("%q is neither jupyter nor zeppelin", value)
			}
			o.Zeppelin = value == "zeppelin"
			return nil
		}},
		{"force", 'f', "", "also files that end neither in .ipynb nor in .zpln", on(func(o *outputsOptions) *bool { return &o.force })},
		{"textconv", 't', "", "print the stripped files, change nothing", on(func(o *outputsOptions) *bool { return &o.textconv })},
		{"unix-newlines", 0, "", "make all ends of lines LF", on(func(o *outputsOptions) *bool { return &o.unixNewlines })},
		{"install", 0, "", "set the git filter called nbstripout", on(func(o *outputsOptions) *bool { return &o.install })},
		{"uninstall", 0, "", "take it out", on(func(o *outputsOptions) *bool { return &o.uninstall })},
		{"is-installed", 0, "", "exit with 0 if it is set, with 1 if not", on(func(o *outputsOptions) *bool { return &o.isInstalled })},
		{"status", 0, "", "say what is set", on(func(o *outputsOptions) *bool { return &o.status })},
		{"attributes", 0, "FILE", "attributes file to set it in", word(func(o *outputsOptions) *string { return &o.attributes })},
		{"global", 0, "", "for this user", on(func(o *outputsOptions) *bool { return &o.global })},
		{"system", 0, "", "for this machine", on(func(o *outputsOptions) *bool { return &o.system })},
		{"python", 0, "PATH", "accepted for nbstripout's sake: no Python runs", word(func(o *outputsOptions) *string { return &o.python })},
		{"version", 0, "", "print the version of nbstripout whose ways are kept", on(func(o *outputsOptions) *bool { return &o.version })},
		{"process", 0, "", "be git's long-running filter", on(func(o *outputsOptions) *bool { return &o.process })},
		{"help", 'h', "", "print this", on(func(o *outputsOptions) *bool { return &o.help })},
	}
}

// parse reads args as Python's argparse does: flags and files in any order,
// flags cut short as long as one is meant, letters in clusters.
func (o *outputsOptions) parse(args []string) error {
	flags := outputsFlags()
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			o.files = append(o.files, args...)
			args = nil
		case strings.HasPrefix(arg, "--"):
			args, err = o.parseLong(flags, arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = o.parseShort(flags, arg[1:], args)
		default:
			o.files = append(o.files, arg)
		}
		if err != nil {
			return err
		}
	}
	return o.check()
}

func (o *outputsOptions) check() error {
	tasks := 0
	for _, set := range []bool{o.dryRun, o.install, o.uninstall, o.isInstalled, o.status, o.version} {
		if set {
			tasks++
		}
	}
	switch {
	case tasks > 1:
		return errors.New("only one of --dry-run, --install, --uninstall, --is-installed, --status and --version may stand")
	case o.global && o.system, o.python != "" && (o.global || o.system):
		return errors.New("only one of --global, --system and --python may stand")
	}
	o.dryRun = o.dryRun || o.verify
	return nil
}

func (o *outputsOptions) parseLong(flags []outputsFlag, arg string, rest []string) ([]string, error) {
	name, value, attached := strings.Cut(arg, "=")
	var meant []outputsFlag
	for _, f := range flags {
		if f.long == name {
			meant = []outputsFlag{f}
			break
		}
		if strings.HasPrefix(f.long, name) {
			meant = append(meant, f)
		}
	}
	if len(meant) != 1 {
		return nil, fmt.Errorf("unknown or ambiguous flag --%s", name)
	}
	f := meant[0]
	switch {
	case f.value == "" && attached:
		return nil, fmt.Errorf("--%s takes no value", f.long)
	case f.value == "":
		return rest, f.set(o, "")
	case attached:
		return rest, o.setTo(f, value)
	}
	return o.takeValues(f, rest)
}

func (o *outputsOptions) parseShort(flags []outputsFlag, letters string, rest []string) ([]string, error) {
	for i := range len(letters) {
		f := flagOf(flags, letters[i])
		switch {
		case f == nil:
			return nil, fmt.Errorf("unknown flag -%c", letters[i])
		case f.value == "":
			if err := f.set(o, ""); err != nil {
				return nil, err
			}
			continue
		case i+1 < len(letters):
			return rest, o.setTo(*f, strings.TrimPrefix(letters[i+1:], "="))
		}
		return o.takeValues(*f, rest)
	}
	return rest, nil
}

func flagOf(flags []outputsFlag, letter byte) *outputsFlag {
	for i := range flags {
		if flags[i].short == letter {
			return &flags[i]
		}
	}
	return nil
}

// takeValues sets f to the next word or, if it takes many, to all words before the next flag.
func (o *outputsOptions) takeValues(f outputsFlag, rest []string) ([]string, error) {
	n := 0
	for n < len(rest) && (len(rest[n]) < 2 || rest[n][0] != '-') && (n == 0 || strings.HasSuffix(f.value, "…")) {
		if err := o.setTo(f, rest[n]); err != nil {
			return nil, err
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("--%s needs %s", f.long, f.value)
	}
	return rest[n:], nil
}

func (o *outputsOptions) setTo(f outputsFlag, value string) error {
	if err := f.set(o, value); err != nil {
		return fmt.Errorf("--%s: %w", f.long, err)
	}
	return nil
}

// outputsHelp is the help for people; it begins with examples.
func outputsHelp() string {
	var b strings.Builder
	b.WriteString(`Takes outputs, counts and passing metadata out of notebooks, with nbstripout's flags.
It looks for no secrets: nbhush strip without --outputs and the git filter do.

Examples:
  nbhush strip --outputs analysis.ipynb      in place; folders and patterns, too
  nbhush strip --outputs --verify .          only say which; exits with 1 if there are any
  nbhush strip --outputs < in.ipynb > out.ipynb
  ln -s "$(command -v nbhush-outputs)" ~/.local/bin/nbstripout      by its name, in its form too

Flags:
`)
	for _, f := range outputsFlags() {
		name := "--" + f.long
		if f.short != 0 {
			name = "-" + string(f.short) + ", " + name
		}
		fmt.Fprintf(&b, "  %-31s %s\n", strings.TrimSpace(name+" "+f.value), f.help)
	}
	return b.String()
}
