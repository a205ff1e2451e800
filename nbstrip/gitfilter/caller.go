package gitfilter

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// callerReads reports whether the git command that started this process is
// known to store no file of the work tree as an object.
func callerReads(ctx context.Context) bool {
	args, ok := gitArgs()
	return ok && readsOnly(args, func(name string) string { return alias(ctx, name) })
}

// gitArgs returns the arguments of the nearest git process above this one.
// Between them there is at most a shell, which git runs filters by.
func gitArgs() ([]string, bool) {
	pid := os.Getppid()
	for range 4 {
		args, parent, err := inspect(pid)
		if err != nil || len(args) == 0 {
			return nil, false
		}
		name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
		if name == "git" {
			return args[1:], true
		}
		if sub, ok := strings.CutPrefix(name, "git-"); ok {
			return append([]string{sub}, args[1:]...), true
		}
		pid = parent
	}
	return nil, false
}

// alias returns what the user's alias called name stands for, "" if there is none.
func alias(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", "config", "--get", "alias."+name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// options are those of a command with which it still only reads. An argument
// that only might be the value of an option is looked at as an option, too.
type options struct {
	any        bool     // every argument is fine
	noPath     bool     // an argument that is no option makes it store
	short      string   // letters
	shortValue string   // letters whose value, if any, is the rest of the word
	shortNext  string   // letters whose value is the rest of the word or the next one
	long       []string // words without a value
	longValue  []string // words whose value follows = or is the next word
	longMaybe  []string // words with or without =value
}

var (
	anyArgs  = options{any: true}
	diffArgs = options{
		short: "puwbzRsc", shortValue: "UMCSGDBO",
		long: words("cached staged merge-base name-only name-status quiet exit-code raw numstat shortstat summary patch " +
			"no-patch patch-with-stat patch-with-raw no-ext-diff no-textconv minimal patience histogram no-renames check " +
			"full-index compact-summary no-prefix default-prefix ignore-all-space ignore-space-change ignore-space-at-eol " +
			"ignore-cr-at-eol ignore-blank-lines function-context no-color no-indent-heuristic indent-heuristic no-abbrev " +
			"cc ours theirs base no-relative pickaxe-all"),
		longMaybe: words("stat color word-diff ignore-submodules submodule find-renames find-copies abbrev unified " +
			"diff-filter inter-hunk-context relative src-prefix dst-prefix diff-algorithm ws-error-highlight dirstat"),
	}
	// --merge and --conflict make checkout store the local changes first.
	checkoutArgs = options{
		short: "qftdl", shortValue: "bBcC",
		long: words("quiet force no-track detach progress no-progress guess no-guess ours theirs discard-changes " +
			"ignore-skip-worktree-bits overwrite-ignore no-overwrite-ignore no-recurse-submodules overlay no-overlay " +
			"ignore-other-worktrees"),
		longMaybe: words("track orphan create force-create recurse-submodules"),
	}
)

// reads holds the commands that store nothing with the options listed. What is
// not here counts as storing: merge and rebase, for one, add what rerere resolved.
var reads = map[string]options{
	"annotate":   anyArgs,
	"blame":      anyArgs,
	"describe":   anyArgs,
	"grep":       anyArgs,
	"log":        anyArgs,
	"ls-files":   anyArgs,
	"rm":         anyArgs,
	"show":       anyArgs,
	"status":     anyArgs,
	"diff":       diffArgs,
	"diff-files": diffArgs,
	"diff-index": diffArgs,
	"checkout":   checkoutArgs,
	"switch":     checkoutArgs,
	"restore": {
		short: "qSW", shortValue: "s",
		long:      words("quiet progress no-progress staged worktree ours theirs ignore-unmerged overlay no-overlay"),
		longMaybe: words("source"),
	},
	"reset": {short: "q", long: words("quiet no-quiet hard soft mixed keep merge refresh no-refresh")},
	// Without -a and paths, commit stores the index.
	"commit": {
		noPath: true, short: "qvsne", shortValue: "Su", shortNext: "mFCct",
		long: words("amend no-edit edit quiet verbose signoff no-verify allow-empty allow-empty-message status no-status " +
			"reset-author gpg-sign no-gpg-sign no-post-rewrite"),
		longValue: words("message file author date fixup squash cleanup reuse-message reedit-message template trailer"),
		longMaybe: words("gpg-sign"),
	},
	"update-index": {short: "q", long: words("refresh really-refresh unmerged ignore-missing ignore-submodules"), noPath: true},
}

func words(s string) []string { return strings.Fields(s) }

// Options of git itself, before the command.
var (
	gitFlags = words("-p -P --paginate --no-pager --bare --no-replace-objects --literal-pathspecs --glob-pathspecs " +
		"--noglob-pathspecs --icase-pathspecs --no-optional-locks --no-lazy-fetch --no-advice")
	gitValues = words("-C -c --git-dir --work-tree --namespace --super-prefix --config-env --attr-source --exec-path")
)

// readsOnly decides on the arguments of git. alias says what a word that is no
// command stands for.
func readsOnly(args []string, alias func(string) string) bool {
	for range 8 { // aliases of aliases
		name, rest, ok := command(args)
		if !ok {
			return false
		}
		if o, known := reads[name]; known {
			return o.allow(rest)
		}
		// A shell alias runs a git of its own, which would have been the nearest.
		text := alias(name)
		if text == "" || strings.ContainsAny(text, "!'\"\\") {
			return false
		}
		args = append(strings.Fields(text), rest...)
	}
	return false
}

// command splits the arguments of git into the command and its own arguments.
func command(args []string) (name string, rest []string, ok bool) {
	for i := 0; i < len(args); i++ {
		word, _, attached := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(word, "-"):
			return args[i], args[i+1:], true
		case slices.Contains(gitFlags, args[i]):
		case attached && slices.Contains(gitValues, word):
		case slices.Contains(gitValues, args[i]):
			i++
		default:
			return "", nil, false
		}
	}
	return "", nil, false
}

// allow reports whether all args are among the options.
func (o options) allow(args []string) bool {
	if o.any {
		return true
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return !o.noPath || i == len(args)-1
		case len(arg) > 1 && arg[0] == '-':
			ok, takesNext := o.allowOption(arg)
			if !ok {
				return false
			}
			if takesNext {
				i++
			}
		case o.noPath:
			return false
		}
	}
	return true
}

func (o options) allowOption(arg string) (ok, takesNext bool) {
	word, isLong := strings.CutPrefix(arg, "--")
	if !isLong {
		return o.allowShort(arg[1:])
	}
	name, _, attached := strings.Cut(word, "=")
	switch {
	case slices.Contains(o.longValue, name):
		return true, !attached
	case attached:
		return slices.Contains(o.longMaybe, name), false
	}
	return slices.Contains(o.long, name) || slices.Contains(o.longMaybe, name), false
}

// allowShort looks at a cluster of letters; what follows a letter with a value is the value.
func (o options) allowShort(letters string) (ok, takesNext bool) {
	for i, c := range letters {
		switch {
		case strings.ContainsRune(o.short, c):
		case strings.ContainsRune(o.shortValue, c):
			return true, false
		case strings.ContainsRune(o.shortNext, c):
			return true, i == len(letters)-1
		default:
			return false, false
		}
	}
	return true, false
}
