package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip/gitfilter"
	"github.com/nbhush/nbhush/nbstrip/notebook"
	"github.com/nbhush/nbhush/nbstrip/outputs"
	"github.com/nbhush/nbhush/nbstrip/rules"
)

// collectAbove is the memory, in bytes, from which one notebook's garbage is collected.
const collectAbove = 256 << 20

// nbstripoutVersion is the version of nbstripout whose ways are kept.
const nbstripoutVersion = "0.9.1"

// outputsOptions are those of nbstripout.
type outputsOptions struct {
	outputs.Options
	files    []string
	leaveOut []string // patterns of files and folders

	dryRun, verify, textconv, force, unixNewlines    bool
	install, uninstall, isInstalled, status, version bool
	global, system, help, process                    bool
	attributes, python                               string
	asNbstripout                                     bool // called by that name: what is written has nbstripout's form, and the system's line ends
}

// outputsArgs returns the arguments for runOutputs if the command line asks for
// that: a link called nbstripout, nbhush nbstripout, or nbhush strip --outputs.
// It is looked at before there are any commands, since git may start it for every file.
func outputsArgs(argv []string) (args []string, asNbstripout, ok bool) {
	name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	switch args := argv[1:]; {
	case name == "nbstripout":
		return args, true, true
	case len(args) > 0 && args[0] == "nbstripout":
		return args[1:], true, true
	case len(args) > 0 && args[0] == "strip":
		args, _, _ := cutWord(args[1:], "--")
		if i := slices.Index(args, "--outputs"); i >= 0 {
			return slices.Delete(slices.Clone(argv[2:]), i, i+1), false, true
		}
	}
	return nil, false, false
}

func cutWord(args []string, word string) (before, after []string, found bool) {
	if i := slices.Index(args, word); i >= 0 {
		return args[:i], args[i+1:], true
	}
	return args, nil, false
}

// runOutputs is nbstripout: it returns the exit code.
func runOutputs(ctx context.Context, u *ui, args []string, asNbstripout bool) int {
	o := outputsOptions{asNbstripout: asNbstripout}
	if err := o.parse(args); err != nil {
		fmt.Fprintf(u.err, "%s: error: %s\n", o.name(), printable(err.Error()))
		u.hintf("see: %s --help", o.name())
		return exitUsage
	}
	switch {
	case o.help:
		u.printf("%s", outputsHelp())
		return exitOK
	case o.version:
		u.printf("%s\n", nbstripoutVersion)
		return exitOK
	case o.install || o.uninstall || o.isInstalled || o.status:
		return runFilterSettings(ctx, u, o)
	}
	u.readGitKeys(ctx, &o)
	for _, key := range o.InvalidKeys() {
		fmt.Fprintf(u.err, "Ignoring invalid extra key `%s`\n", printable(key))
	}
	if o.process {
		return outputsProcess(ctx, u, o)
	}
	changed, err := stripOutputs(ctx, u, o)
	if err != nil {
		fmt.Fprintf(u.err, "%s\n", printable(err.Error()))
		return exitFailed
	}
	if o.verify && changed {
		return exitFailed
	}
	return exitOK
}

// outputsProcess serves git, so that not every file starts a process.
func outputsProcess(ctx context.Context, u *ui, o outputsOptions) int {
	stripper := outputs.New(o.Options)
	f := gitfilter.Filter{
		Strip: func(_ context.Context, path string, src []byte) ([]byte, error) {
			if rules.LeftOut(o.leaveOut, path) {
				return src, nil
			}
			out, _, err := o.strip(stripper, src)
			var broken *notebook.NotNotebookError
			if errors.As(err, &broken) { // such as one with a merge conflict: it has no outputs
				return src, nil
			}
			return out, err
		},
		Report: u.fail,
	}
	if err := f.Process(ctx, u.in, u.out); err != nil {
		u.fail(err)
		return exitFailed
	}
	return exitOK
}

func (o *outputsOptions) name() string {
	if o.asNbstripout {
		return "nbstripout"
	}
	return "nbhush strip --outputs"
}

// stripOutputs goes over the files, or standard input where there are none.
func stripOutputs(ctx context.Context, u *ui, o outputsOptions) (changed bool, err error) {
	if len(o.files) == 0 || len(o.files) == 1 && o.files[0] == "-" {
		return stripOutputsStdin(u, o)
	}
	files, err := o.expand()
	if err != nil {
		return false, err
	}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return changed, err
		}
		did, err := stripOutputsFile(u, o, file)
		if err != nil {
			return changed, inItsWords(err, fmt.Sprintf("in '%s'", file), file)
		}
		changed = changed || did
	}
	return changed, nil
}

// outputsError is an error in nbstripout's words.
type outputsError struct {
	words string
	err   error
}

func (e *outputsError) Error() string { return e.words + e.err.Error() }
func (e *outputsError) Unwrap() error { return e.err }

// inItsWords says what went wrong with the file, which is where says.
func inItsWords(err error, where, file string) error {
	words := outputs.Words(err, where, file)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("file not found")
	}
	return &outputsError{words, err}
}

func stripOutputsStdin(u *ui, o outputsOptions) (bool, error) {
	// One notebook, and then the process ends: to collect what is left of it took
	// more than to strip it. Large ones get a limit that they fit in.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(collectAbove)
	src, err := readAll(u.in)
	if err != nil {
		return false, err
	}
	if 3*len(src) > collectAbove {
		debug.SetMemoryLimit(3 * int64(len(src)))
	}
	out, changed, err := o.strip(outputs.New(o.Options), src)
	if err != nil {
		return false, inItsWords(err, "on stdin", "stdin")
	}
	switch {
	case !o.dryRun:
		_, err = u.out.Write(out)
	case changed:
		u.printf("Dry run: would have stripped input from stdin\n")
	}
	return changed, err
}

// readAll reads a regular file in one piece.
func readAll(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if f, ok := r.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() && st.Size() < 1<<31 {
			b.Grow(int(st.Size()) + bytes.MinRead)
		}
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

func stripOutputsFile(u *ui, o outputsOptions, file string) (bool, error) {
	st, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	out, changed, err := o.strip(outputs.New(o.Options), src)
	if err != nil {
		return false, err
	}
	switch {
	case o.dryRun:
		if changed {
			u.printf("Dry run: would have stripped %s\n", file)
		}
	case o.textconv:
		_, err = u.out.Write(out)
	case changed:
		err = savefile.Swap(file, out, st)
	}
	return changed, err
}

// strip returns src as it is to be written, and whether that is more than
// another form: a file with nothing to strip is left alone.
func (o *outputsOptions) strip(s *outputs.Stripper, src []byte) (out []byte, changed bool, err error) {
	if out, err = s.Strip(src); err != nil {
		return nil, false, err
	}
	changed = !bytes.Equal(src, out)
	if o.asNbstripout {
		formed, added := s.Form(out)
		out, changed = formed, changed || added
	}
	return o.lineEnds(out), changed, nil
}

// lineEnds returns out with the ends of lines that are asked for. None of them
// is inside of a string, where they are escaped.
func (o *outputsOptions) lineEnds(out []byte) []byte {
	if !o.asNbstripout && !o.unixNewlines {
		return out
	}
	if bytes.Contains(out, []byte("\r\n")) {
		out = bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n"))
	}
	if runtime.GOOS == "windows" && !o.unixNewlines {
		out = bytes.ReplaceAll(out, []byte("\n"), []byte("\r\n"))
	}
	return out
}

// expand returns the files meant: patterns that no shell expanded and, below
// folders, all notebooks. Other files are passed over unless forced.
func (o *outputsOptions) expand() ([]string, error) {
	var files []string
	for _, arg := range o.files {
		names := []string{arg}
		if _, err := os.Lstat(arg); err != nil && strings.ContainsAny(arg, "*?[") {
			if found, err := filepath.Glob(arg); err == nil && len(found) > 0 {
				names = found
			}
		}
		for _, name := range names {
			if st, err := os.Stat(name); err == nil && st.IsDir() {
				below, err := o.notebooksBelow(name)
				if err != nil {
					return nil, err
				}
				files = append(files, below...)
			} else if rules.LeftOut(o.leaveOut, filepath.ToSlash(name)) {
				continue
			} else if o.force || isNotebook(name) {
				files = append(files, name)
			}
		}
	}
	return files, nil
}

func isNotebook(name string) bool {
	return strings.HasSuffix(name, ".ipynb") || strings.HasSuffix(name, ".zpln")
}

// notebooksBelow returns the notebooks in dir and below, but for hidden folders, as .git and .ipynb_checkpoints are.
func (o *outputsOptions) notebooksBelow(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case rules.LeftOut(o.leaveOut, filepath.ToSlash(path)):
		case d.Type().IsRegular() && isNotebook(path):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}
