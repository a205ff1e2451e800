package nbstrip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// Strip takes what f finds out of the notebook src. It never changes src and
// may be called by many goroutines.
//
// A src that is no readable notebook is text: when f finds nothing in it, Out
// is src, otherwise the error is an *UnsafeError. An error of f comes back
// wrapped; nothing is known about src then.
func Strip(ctx context.Context, src []byte, f match.Finder, o Options) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	s := newSearcher(ctx, f, len(src))
	nb, err := notebook.ScanTexts(src, s.add)
	hits, findErr := s.finish(nb)
	var broken *notebook.NotNotebookError
	switch {
	case errors.As(err, &broken):
		return checkText(ctx, src, f, o, broken)
	case err != nil:
		return Result{}, err
	case findErr != nil:
		return Result{}, findErr
	}
	if hits = o.except(nb, hits); len(hits) == 0 {
		return Result{Out: src}, nil
	}
	labels, err := s.labels(hits)
	if err != nil {
		return Result{}, err
	}
	r := redaction{nb: nb, src: src, options: o, labels: labels, names: newRenames(nb, hits)}
	return r.redact(hits), nil
}

// StripFile strips the notebook at path in place. It writes only when
// something changed, by way of a temporary file, and keeps the file's mode. A
// file that somebody else changed in between is left alone, with
// savefile.ErrChanged. A symbolic link is followed.
func StripFile(ctx context.Context, path string, f match.Finder, o Options) (Result, error) {
	src, was, err := read(path)
	if err != nil {
		return Result{}, err
	}
	if o.Ignore == nil {
		if o.Ignore, err = ReadIgnore(filepath.Dir(path)); err != nil {
			return Result{}, fmt.Errorf("strip %s: %w", path, err)
		}
	}
	res, err := Strip(ctx, src, f, o)
	if err != nil {
		return Result{}, fmt.Errorf("strip %s: %w", path, err)
	}
	if !res.Changed() {
		return res, nil
	}
	if err := savefile.Swap(path, res.Out, was); err != nil {
		return Result{}, fmt.Errorf("strip %s: %w", path, err)
	}
	return res, nil
}

// read returns the content of the file at path and what the file was before it was read.
func read(path string) ([]byte, os.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }()
	was, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !was.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("strip %s: not a regular file", path)
	}
	src := make([]byte, was.Size())
	if _, err := io.ReadFull(file, src); err != nil {
		return nil, nil, fmt.Errorf("strip %s: %w", path, savefile.ErrChanged)
	}
	return src, was, nil
}
