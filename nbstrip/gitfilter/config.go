package gitfilter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// settings are what git needs to know, in the order of the file, with the
// program at %s. They stand in a block that an upgrade replaces whole, so what
// an older release wrote needs no listing.
var settings = []struct{ key, value string }{
	{"process", "%s git process"},
	{"clean", "%s git clean %%f"}, // git before 2.11
	{"smudge", "%s git smudge %%f"},
	// Without it, a filter that fails stores the notebook as it is.
	{"required", "true"},
}

// attributes is the line that sends notebooks through the filter. It sets
// nothing but filter: other lines' diff, merge and text for notebooks go on to count.
const attributes = "*.ipynb filter=nbhush\n"

// attributesDiff is the line that also has git diff show notebooks readably.
const attributesDiff = "*.ipynb filter=nbhush diff=nbhush\n"

// setting returns the value of a setting for the program.
func setting(value, program string) string {
	if !strings.Contains(value, "%s") {
		return value
	}
	return fmt.Sprintf(value, shellQuote(program))
}

const sectionHead = "[filter \"nbhush\"]\n"

// configBlock is the section in the syntax of git-config(1).
func configBlock(o Options) string {
	var b strings.Builder
	b.WriteString(sectionHead)
	for _, s := range settings {
		value := s.value
		if o.Restore {
			value = strings.NewReplacer("git process", "git process --restore", "git smudge", "git smudge --restore").Replace(value)
		}
		b.WriteString("\t" + s.key + " = " + configQuote(setting(value, o.Program)) + "\n")
	}
	if o.Diff {
		b.WriteString("[diff \"nbhush\"]\n\ttextconv = " + configQuote(setting("%s git textconv", o.Program)) + "\n")
	}
	return b.String()
}

// plain are the characters that a shell takes as they are.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-"

// shellQuote quotes a path for sh, which git runs filters by on every system.
func shellQuote(path string) string {
	path = filepath.ToSlash(path)
	if path != "" && strings.Trim(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// configQuote quotes a value for git's configuration file.
func configQuote(value string) string {
	if strings.ContainsAny(value, "\\\"\n\t;#'") || strings.TrimSpace(value) != value {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(value) + `"`
	}
	return value
}

// Options say whose git is meant.
type Options struct {
	// Global means this user's git; otherwise it is the repository of Dir.
	Global bool
	// Dir is a folder in the repository, absolute; it is not used for Global.
	Dir string
	// Program is the absolute path of nbhush.
	Program string
	// Force lets Install take notebooks over from another filter.
	Force bool
	// Diff makes git diff show notebooks by Filter.Textconv.
	Diff bool
	// Restore makes git put values back on checkout, by Filter.Restore.
	Restore bool
	// Getenv is os.Getenv outside of tests; git itself sees the process's environment.
	Getenv func(string) string
}

// places are the files in question; the first of each is written, all are cleaned up.
type places struct {
	top                string // of the work tree, local only
	config, attributes []string
	infoAttributes     string // local only
}

// find returns the files that git reads, git-config(1) FILES and gitattributes(5).
func find(ctx context.Context, o Options) (places, error) {
	if o.Global {
		return findGlobal(ctx, o)
	}
	top, err := git(ctx, o.Dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return places{}, notWorkTree(ctx, o.Dir, err)
	}
	p := places{top: filepath.FromSlash(top)}
	path := func(name string) (string, error) {
		s, err := git(ctx, p.top, "rev-parse", "--git-path", name)
		if err != nil {
			return "", err
		}
		if s = filepath.FromSlash(s); !filepath.IsAbs(s) {
			s = filepath.Join(p.top, s)
		}
		return s, nil
	}
	config, err := path("config")
	if err != nil {
		return places{}, err
	}
	if p.infoAttributes, err = path("info/attributes"); err != nil {
		return places{}, err
	}
	p.config = []string{config}
	p.attributes = []string{filepath.Join(p.top, ".gitattributes")}
	return p, nil
}

func findGlobal(ctx context.Context, o Options) (places, error) {
	user := o.Getenv("HOME")
	if user == "" {
		user, _ = os.UserHomeDir()
	}
	if user == "" {
		return places{}, errors.New("find git's global configuration: HOME is not set")
	}
	xdg := o.Getenv("XDG_CONFIG_HOME")
	if xdg == "" {
		xdg = filepath.Join(user, ".config")
	}
	plain, other := filepath.Join(user, ".gitconfig"), filepath.Join(xdg, "git", "config")
	p := places{config: []string{plain, other}}
	if !exists(plain) && exists(other) {
		p.config = []string{other, plain}
	}
	if file := o.Getenv("GIT_CONFIG_GLOBAL"); file != "" {
		if file == os.DevNull {
			return places{}, hinted{"git reads no global configuration: GIT_CONFIG_GLOBAL is " + file, "unset GIT_CONFIG_GLOBAL and try again", nil}
		}
		p.config = []string{file}
	}
	p.attributes = []string{filepath.Join(xdg, "git", "attributes")}
	for _, scope := range []string{"--global", "--system"} {
		file, err := git(ctx, user, "config", scope, "--includes", "--path", "--get", "core.attributesFile")
		if err != nil || file == "" {
			continue
		}
		if !filepath.IsAbs(file) {
			return places{}, hinted{fmt.Sprintf("core.attributesFile is %q, which is another file in every folder", file), "git config --global core.attributesFile " + shellQuote(p.attributes[0]), err}
		}
		p.attributes = append([]string{file}, p.attributes...)
		break
	}
	return p, nil
}

// notWorkTree says why there is no work tree, as far as the user can do something about it.
func notWorkTree(ctx context.Context, dir string, err error) error {
	if bare, bareErr := git(ctx, dir, "rev-parse", "--is-bare-repository"); bareErr == nil && bare == "true" {
		return hinted{dir + " is a bare repository: nothing is added there", "run it in a clone, or for this user: nbhush git install --global", err}
	}
	if strings.Contains(err.Error(), "dubious ownership") {
		return hinted{"git does not trust " + dir + ": it belongs to another user", "git config --global --add safe.directory " + shellQuote(dir), err}
	}
	if errors.Is(err, exec.ErrNotFound) {
		return err
	}
	return hinted{dir + " is in no git repository", "run it in one, or for this user: nbhush git install --global", err}
}

// hinted is an error with what mends it; cause may be nil.
type hinted struct {
	message, hint string
	cause         error
}

func (e hinted) Error() string { return e.message }
func (e hinted) Unwrap() error { return e.cause }

// Hint returns the next command.
func (e hinted) Hint() string { return e.hint }

// git runs git in dir and returns its output without the final newline.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", hinted{"git is not installed", "install git and try again", err}
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(words.String()))
	}
	eol := "\n"
	if runtime.GOOS == "windows" && strings.HasSuffix(string(out), "\r\n") {
		eol = "\r\n"
	}
	return strings.TrimSuffix(string(out), eol), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
