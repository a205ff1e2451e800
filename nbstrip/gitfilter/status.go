package gitfilter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"
)

// Status is what Inspect finds out.
type Status struct {
	Global     bool   `json:"global"`
	Installed  bool   `json:"installed"`  // the lines are in both files
	Config     string `json:"config"`     // file
	Attributes string `json:"attributes"` // file
	// Command is what git runs, from whichever file counts; "" if none is set.
	Command string `json:"command,omitempty"`
	// Works says that Command starts and speaks git's protocol.
	Works bool `json:"works"`
	// Problems are what stands in the way, for the user to read.
	Problems []string `json:"problems,omitempty"`
	// Others are the lines that set other things for notebooks.
	Others []Other `json:"others,omitempty"`
}

// Other is a line of an attributes file that sets filter, diff or merge for notebooks.
type Other struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Pattern   string `json:"pattern"`
	Attribute string `json:"attribute"`
	Value     string `json:"value"` // such as nbstripout, lfs, jupyternotebook
}

// Inspect looks at what is installed and tries it.
func Inspect(ctx context.Context, o Options) (Status, error) {
	p, err := find(ctx, o)
	if err != nil {
		return Status{}, err
	}
	s := Status{Global: o.Global, Config: p.config[0], Attributes: p.attributes[0]}
	config, attributes := holder(p.config), holder(p.attributes)
	s.Installed = config != "" && attributes != ""
	if config != "" {
		s.Config = config
	}
	if attributes != "" {
		s.Attributes = attributes
	}
	for _, file := range append(p.attributes, p.infoAttributes) {
		for _, other := range scanAttributes(file) {
			if other.Value != "nbhush" {
				s.Others = append(s.Others, other)
			}
		}
	}
	dir := p.top
	if dir == "" {
		dir = os.TempDir()
	}
	s.Command, _ = git(ctx, dir, "config", "--get", "filter.nbhush.process")
	s.check(ctx, dir)
	if s.Installed && p.top != "" {
		s.checkCovered(ctx, p.top)
	}
	return s, nil
}

// holder returns the first of the files that has the block.
func holder(files []string) string {
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if start, _, _, err := findBlock(b); err == nil && start >= 0 {
			return file
		}
	}
	return ""
}

// check tries the command. One that works may be another nbhush than this one.
func (s *Status) check(ctx context.Context, dir string) {
	if s.Command == "" {
		if s.Installed {
			s.problem("git does not read %s", s.Config)
		}
		return
	}
	if err := selfCheck(ctx, dir, s.Command); err != nil {
		s.problem("the filter does not work: %v", err)
	} else {
		s.Works = true
	}
	if required, _ := git(ctx, dir, "config", "--bool", "--get", "filter.nbhush.required"); required != "true" {
		s.problem("filter.nbhush.required is not true: git stores a notebook as it is when the filter fails")
	}
}

// checkCovered asks git which filter each notebook of the work tree goes through.
func (s *Status) checkCovered(ctx context.Context, top string) {
	list, err := git(ctx, top, "ls-files", "-z", "--", "*.ipynb")
	if err != nil {
		s.problem("%v", err)
		return
	}
	all, err := filters(ctx, top, probe+list)
	if err != nil {
		s.problem("%v", err)
		return
	}
	for i, f := range all {
		switch {
		case f.value == "nbhush":
		case i == 0:
			s.problem("notebooks go through %s, not nbhush", filterWords(f.value))
			return
		default:
			s.problem("%s goes through %s, not nbhush", f.name, filterWords(f.value))
		}
	}
}

// probe is a notebook that need not be there.
const probe = "nbhush-probe.ipynb\x00"

// Asked returns the filter that git asks for notebooks in dir, which is nbhush,
// another one, unset or unspecified; an error where there is no repository.
func Asked(ctx context.Context, dir string) (string, error) {
	all, err := filters(ctx, dir, probe)
	if err != nil || len(all) == 0 {
		return "", cmp.Or(err, errors.New("git check-attr says nothing"))
	}
	return all[0].value, nil
}

type attribute struct{ name, value string }

// filters asks git for the filter of files, which have a NUL behind each name.
func filters(ctx context.Context, dir, files string) (all []attribute, err error) {
	cmd := exec.CommandContext(ctx, "git", "check-attr", "-z", "--stdin", "filter")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(files)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git check-attr: %w", err)
	}
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+2 < len(fields); i += 3 {
		all = append(all, attribute{fields[i], fields[i+2]})
	}
	return all, nil
}

func filterWords(value string) string {
	if value == "unspecified" || value == "unset" {
		return "no filter"
	}
	return "the filter " + value
}

func (s *Status) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

// scanAttributes returns the lines of an attributes file, less the block, that
// set a filter, diff or merge for notebooks. A file that cannot be read has none.
func scanAttributes(file string) []Other {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var others []Other
	for i, line := range bytes.Split(b, []byte("\n")) {
		words := strings.Fields(string(line))
		if len(words) < 2 || strings.HasPrefix(words[0], "#") || !coversNotebooks(words[0]) {
			continue
		}
		for _, word := range words[1:] {
			if name, value, ok := strings.Cut(word, "="); ok && (name == "filter" || name == "diff" || name == "merge") {
				others = append(others, Other{File: file, Line: i + 1, Pattern: words[0], Attribute: name, Value: value})
			}
		}
	}
	return others
}

// coversNotebooks reports whether a pattern is about notebooks: roughly, since
// only check-attr knows, but enough to name the line.
func coversNotebooks(pattern string) bool {
	if strings.Contains(pattern, "ipynb") {
		return true
	}
	ok, err := path.Match(path.Base(strings.Trim(pattern, `"`)), "x.ipynb")
	return ok && err == nil
}

// selfCheck runs the command the way git does and has it clean an empty notebook.
func selfCheck(ctx context.Context, dir, command string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// As an alias of git it is run by the shell that git itself would take.
	cmd := exec.CommandContext(ctx, "git", "-c", "alias.nbhush-check=!"+command, "nbhush-check")
	cmd.Dir = dir
	var words bytes.Buffer
	cmd.Stderr = &words
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = converse(out, in)
	_ = in.Close()
	if wait := cmd.Wait(); wait != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(words.String()), "\n")
		return fmt.Errorf("%w: %s", wait, first)
	}
	return err
}

var errAnswer = errors.New("unexpected answer")

// converse is git's side of the protocol, for one empty notebook.
func converse(r io.Reader, w io.Writer) error {
	const empty = `{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}`
	p := newPackets(r, w)
	for _, step := range []struct{ send, want []string }{
		{[]string{"git-filter-client", "version=2"}, []string{"git-filter-server", "version=2"}},
		{[]string{"capability=clean", "capability=smudge"}, []string{"capability=clean", "capability=smudge"}},
		{[]string{"command=clean", "pathname=nbhush-check.ipynb"}, nil},
	} {
		if err := p.writeList(step.send...); err != nil {
			return err
		}
		if step.want == nil {
			break
		}
		if err := p.w.Flush(); err != nil {
			return err
		}
		got, err := p.list()
		if err != nil {
			return eofIsShort(err)
		}
		if strings.Join(got, "\n") != strings.Join(step.want, "\n") {
			return errAnswer
		}
	}
	if err := p.writeContent([]byte(empty)); err != nil {
		return err
	}
	if err := p.w.Flush(); err != nil {
		return err
	}
	status, err := p.list()
	if err != nil {
		return eofIsShort(err)
	}
	got, err := p.content(nil)
	if err != nil {
		return err
	}
	if len(status) != 1 || status[0] != "status=success" || string(got) != empty {
		return errAnswer
	}
	_, err = p.list()
	return eofIsShort(err)
}
