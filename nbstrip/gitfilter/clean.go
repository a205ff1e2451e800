package gitfilter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip"
)

// Filter answers git. Its methods are for one goroutine at a time.
type Filter struct {
	Finder match.Finder
	// Strip, if set, makes the clean form of the file at path, as git knows it,
	// and asks the Finder in its own way. Otherwise nbstrip.Strip redacts.
	Strip func(ctx context.Context, path string, src []byte) ([]byte, error)
	// Restore, if set, makes of src, which git stores, what is checked out; on
	// any doubt, src. Otherwise files are checked out as they are stored.
	Restore func(ctx context.Context, path string, src []byte) []byte
	// Cleaned, if set, is told of each file that git gets the clean form of, after it was made.
	Cleaned func(path string, src []byte)
	// Report, if set, gets each *RefusedError and *WithheldError that the user
	// should read: one for each reason, however many files it concerns.
	Report func(error)

	// For tests; the zero value asks the operating system and git.
	reading func(context.Context) bool
	stored  func(ctx context.Context, path string, content []byte) bool

	reads    *bool           // what reading said
	down     error           // why the Finder answers nothing; git is not kept waiting for it twice
	reported map[string]bool // reasons
}

// RefusedError says that a notebook could not be checked and git was told to
// give up, so that it is not stored.
type RefusedError struct {
	Path string
	Err  error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%s is not stored: %v", e.Path, e.Err) }

// Unwrap returns why it could not be checked; its Hint, if any, is what mends it.
func (e *RefusedError) Unwrap() error { return e.Err }

// WithheldError says that a notebook could not be checked, and that git, which
// was only looking, was told that it is a binary file.
type WithheldError struct {
	Path string
	Err  error
}

func (e *WithheldError) Error() string {
	return fmt.Sprintf("%s counts as changed and is not shown: %v", e.Path, e.Err)
}

// Unwrap returns why it could not be checked; its Hint, if any, is what mends it.
func (e *WithheldError) Unwrap() error { return e.Err }

// withheld is what git gets to see of a file that could not be checked. The NUL
// makes it binary, so that its patch says that it differs and cannot be applied.
const withheld = "nbhush: this notebook could not be checked for secrets, so it is not shown\x00\n"

// Clean is the filter for one file, for git before 2.11 and for scripts: it
// writes the clean form of r's content to w. On an error nothing was written.
func (f *Filter) Clean(ctx context.Context, path string, r io.Reader, w io.Writer) error {
	src, err := io.ReadAll(io.LimitReader(r, maxContent+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(src) > maxContent {
		return &RefusedError{Path: path, Err: errContent}
	}
	out, err := f.clean(ctx, path, src)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// Smudge returns what is checked out for src: what Restore makes of it, if its
// clean form is src again. With anything else git would show a file that nobody touched as changed.
func (f *Filter) Smudge(ctx context.Context, path string, src []byte) []byte {
	if f.Restore == nil {
		return src
	}
	out := f.Restore(ctx, path, src)
	if bytes.Equal(out, src) {
		return src
	}
	if again, err := f.strip(ctx, path, out); err != nil || !bytes.Equal(again, src) {
		return src
	}
	return out
}

// clean returns what git should get for src. The error is a *RefusedError.
func (f *Filter) clean(ctx context.Context, path string, src []byte) ([]byte, error) {
	err := f.down
	if err == nil {
		var out []byte
		if out, err = f.strip(ctx, path, src); err == nil {
			if f.Cleaned != nil {
				f.Cleaned(path, src)
			}
			return out, nil
		}
		err = f.noteDown(ctx, err)
	}
	switch {
	case f.isStored(ctx, path, src):
		return src, nil
	case f.isReading(ctx):
		f.report(&WithheldError{Path: path, Err: err})
		return []byte(withheld), nil
	}
	return nil, &RefusedError{Path: path, Err: err}
}

// strip strips src. Git runs a filter at the top of the work tree, so that path leads to the file.
func (f *Filter) strip(ctx context.Context, path string, src []byte) ([]byte, error) {
	if f.Strip != nil {
		return f.Strip(ctx, path, src)
	}
	ignore, err := nbstrip.ReadIgnore(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	res, err := nbstrip.Strip(ctx, src, f.Finder, nbstrip.Options{Ignore: ignore})
	return res.Out, err
}

// noteDown finds out whether err is about this one file, or whether the Finder
// answers nothing at all; it returns the reason.
func (f *Filter) noteDown(ctx context.Context, err error) error {
	var unsafe *nbstrip.UnsafeError
	if errors.As(err, &unsafe) || f.Finder == nil {
		return err
	}
	if _, f.down = f.Finder.Find(ctx, []byte("nbhush")); f.down != nil {
		return f.down
	}
	return err
}

func (f *Filter) isStored(ctx context.Context, path string, src []byte) bool {
	if f.stored != nil {
		return f.stored(ctx, path, src)
	}
	return stored(ctx, path, src)
}

// Reading reports whether the command of git that filters is known to store
// nothing: it only looks.
func (f *Filter) Reading(ctx context.Context) bool { return f.isReading(ctx) }

func (f *Filter) isReading(ctx context.Context) bool {
	if f.reads == nil {
		if f.reading == nil {
			f.reading = callerReads
		}
		reads := f.reading(ctx)
		f.reads = &reads
	}
	return *f.reads
}

func (f *Filter) report(err error) {
	reason := errors.Unwrap(err).Error()
	if f.Report == nil || f.reported[reason] {
		return
	}
	if f.reported == nil {
		f.reported = map[string]bool{}
	}
	f.reported[reason] = true
	f.Report(err)
}
