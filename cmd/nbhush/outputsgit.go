package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip/outputs"
)

// readGitKeys adds the keys that git's configuration names. git is asked only
// if one of its files may have something to say, since a process takes longer than all the rest.
func (u *ui) readGitKeys(ctx context.Context, o *outputsOptions) {
	if dir, err := os.Getwd(); err == nil && !outputs.MayHaveKeys(u.getenv, dir, os.ReadFile) {
		return
	}
	args := append([]string{"config"}, o.scope(false)...)
	out, err := exec.CommandContext(ctx, "git", append(args, "--null", "--get-regexp", `^filter\.nbstripout\.(extrakeys|keepmetadatakeys)$`)...).Output()
	if err != nil {
		return
	}
	last := map[string][]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		last[key] = strings.Fields(value)
	}
	o.ExtraKeys = append(last["filter.nbstripout.extrakeys"], o.ExtraKeys...)
	o.KeepKeys = append(last["filter.nbstripout.keepmetadatakeys"], o.KeepKeys...)
}

// scope is the argument of git config for the flags; local is nbstripout's for what it sets.
func (o *outputsOptions) scope(local bool) []string {
	switch {
	case o.system:
		return []string{"--system"}
	case o.global:
		return []string{"--global"}
	case local:
		return []string{"--local"}
	}
	return nil
}

// runFilterSettings is nbstripout's --install, --uninstall, --is-installed and --status.
func runFilterSettings(ctx context.Context, u *ui, o outputsOptions) int {
	s := filterSettings{ctx: ctx, ui: u, o: o}
	switch {
	case o.install:
		return s.code("Installation failed", s.install())
	case o.uninstall:
		return s.code("Uninstall failed", s.uninstall())
	}
	return s.status()
}

type filterSettings struct {
	ctx context.Context
	ui  *ui
	o   outputsOptions
}

func (s *filterSettings) code(what string, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, exec.ErrNotFound):
		s.ui.errorf("%s: git is not on path", what)
	case errors.As(err, new(*exec.ExitError)):
		s.ui.errorf("%s: not a git repository", what)
	default:
		s.ui.errorf("%s: %v", what, err)
	}
	return exitFailed
}

func (s *filterSettings) git(args ...string) (string, error) {
	out, err := exec.CommandContext(s.ctx, "git", args...).Output()
	return strings.TrimRight(string(out), "\r\n"), err
}

func (s *filterSettings) config(args ...string) (string, error) {
	return s.git(append(append([]string{"config"}, s.o.scope(true)...), args...)...)
}

// attributeLines are nbstripout's, and how the line of one kind begins.
var attributeLines = []struct{ begin, line string }{
	{"*.ipynb filter", "*.ipynb filter=nbstripout\n"},
	{"*.zpln filter", "*.zpln filter=nbstripout\n"},
	{"*.ipynb diff", "*.ipynb diff=ipynb\n"},
}

func (s *filterSettings) install() error {
	program, err := ownPath()
	if err != nil {
		return err
	}
	command := `"` + filepath.ToSlash(program) + `" nbstripout`
	clean := command
	if quick := filepath.Join(filepath.Dir(program), "nbhush-outputs"); isProgram(quick) {
		clean = `"` + filepath.ToSlash(quick) + `"` // for git before 2.11: it starts in a third of the time
	}
	for _, set := range [][2]string{
		{"filter.nbstripout.process", command + " --process"},
		{"filter.nbstripout.clean", clean},
		{"filter.nbstripout.smudge", "cat"},
		{"filter.nbstripout.required", "true"},
		{"diff.ipynb.textconv", command + " -t"},
	} {
		if _, err := s.config(set[0], set[1]); err != nil {
			return err
		}
	}
	file, err := s.attributesFile()
	if err != nil {
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text := string(old)
	for _, l := range attributeLines {
		if strings.Contains(string(old), l.begin) {
			continue
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text += l.line
	}
	return s.writeAttributes(file, string(old), text)
}

func isProgram(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

func (s *filterSettings) uninstall() error {
	if _, err := s.git("rev-parse", "--git-dir"); err != nil && !s.o.global && !s.o.system && s.o.attributes == "" {
		return err
	}
	for _, key := range []string{"process", "clean", "smudge", "required"} {
		_, _ = s.config("--unset", "filter.nbstripout."+key) // which may not be set
	}
	_, _ = s.config("--remove-section", "diff.ipynb")
	file, err := s.attributesFile()
	if err != nil {
		return err
	}
	old, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var text strings.Builder
	for line := range strings.Lines(string(old)) {
		if !isOurLine(line) {
			text.WriteString(line)
		}
	}
	return s.writeAttributes(file, string(old), text.String())
}

func isOurLine(line string) bool {
	for _, l := range attributeLines {
		if strings.HasPrefix(line, l.begin) {
			return true
		}
	}
	return false
}

func (s *filterSettings) writeAttributes(file, old, text string) error {
	if old == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // as git makes them
		return err
	}
	return savefile.Write(file, []byte(text), 0o644)
}

// attributesFile is the file for the flags, nbstripout's table of configuration files.
func (s *filterSettings) attributesFile() (string, error) {
	home := s.ui.getenv("HOME")
	switch file := s.o.attributes; {
	case strings.HasPrefix(file, "~/"):
		return filepath.Join(home, file[2:]), nil
	case file != "":
		return file, nil
	case s.o.system:
		if file, err := s.config("--path", "core.attributesFile"); err == nil && file != "" {
			return file, nil
		}
		return s.systemAttributes()
	case s.o.global:
		if file, err := s.config("--path", "core.attributesFile"); err == nil && file != "" {
			return file, nil
		}
		xdg := s.ui.getenv("XDG_CONFIG_HOME")
		if xdg == "" {
			xdg = filepath.Join(home, ".config")
		}
		return filepath.Join(xdg, "git", "attributes"), nil
	}
	return s.git("rev-parse", "--git-path", "info/attributes")
}

// systemAttributes is the file beside the configuration of the system.
func (s *filterSettings) systemAttributes() (string, error) {
	out, err := s.git("config", "--system", "--list", "--show-origin")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(out, "\t")
	return filepath.Join(filepath.Dir(strings.TrimPrefix(first, "file:")), "gitattributes"), nil
}

// status prints what nbstripout prints; the code is 1 where the filter is not set.
func (s *filterSettings) status() int {
	verbose := s.o.status
	say := func(format string, args ...any) {
		if verbose {
			s.ui.printf(format, args...)
		}
	}
	where := "system-wide"
	switch {
	case s.o.global:
		where = "globally"
	case !s.o.system:
		dir, err := s.git("rev-parse", "--absolute-git-dir")
		if err != nil {
			return exitFailed
		}
		where = "in repository '" + filepath.Dir(filepath.FromSlash(dir)) + "'"
	}
	clean, err1 := s.config("filter.nbstripout.clean")
	smudge, err2 := s.config("filter.nbstripout.smudge")
	diff, err3 := s.config("diff.ipynb.textconv")
	attributes, diffs := s.attributesSet()
	if errors.Join(err1, err2, err3) != nil || strings.HasSuffix(attributes, "unspecified") {
		say("nbstripout is not installed %s\n", where)
		return exitFailed
	}
	keys, _ := s.config("filter.nbstripout.extrakeys")
	say("nbstripout is installed %s\n\nFilter:\n  clean = %s\n  smudge = %s\n  diff= %s\n  extrakeys= %s\n", where, clean, smudge, diff, strings.TrimSpace(keys))
	say("\nAttributes:\n  %s\n\nDiff Attributes:\n  %s\n", attributes, diffs)
	return exitOK
}

// attributesSet returns what says that notebooks go through the filter.
func (s *filterSettings) attributesSet() (filter, diff string) {
	if !s.o.global && !s.o.system {
		filter, _ = s.git("check-attr", "filter", "--", "*.ipynb")
		diff, _ = s.git("check-attr", "diff", "--", "*.ipynb")
		return filter, diff
	}
	file, err := s.attributesFile()
	if err != nil {
		return "", ""
	}
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "filter") {
			filter += line
		}
		if strings.Contains(line, "diff") {
			diff += line
		}
	}
	return strings.TrimSpace(filter), strings.TrimSpace(diff)
}
