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
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip"
	"github.com/nbhush/nbhush/nbstrip/wandb"
)

// maxScanned is the largest file that is searched in one piece, in bytes.
const maxScanned = 256 << 20

type scanOptions struct {
	wandb string
	json  bool
}

func newScanCmd(a *app) *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan --wandb DIR",
		Short: "look for secrets in runs of Weights & Biases that were not sent yet",
		Long: `Looks through every file below DIR, the wandb folder of a project or one offline run in it:
the log that wandb sync sends (config, history, summary, notes, output), and the
metadata, saved code, tables and logs beside it. Stored values are found in all their
encodings, and so is what looks like a secret. Names and places are printed, no
value; nothing is changed. A run with a secret in it should be deleted, not synced.`,
		Example: `  nbhush scan --wandb wandb
  nbhush scan --wandb wandb/offline-run-20260102_030405-abcd1234 --json`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.wandb == "" {
				return &usageError{cmd, "nbhush scan needs --wandb with the folder of the runs"}
			}
			return runScan(cmd.Context(), a, o)
		},
	}
	cmd.Flags().StringVar(&o.wandb, "wandb", "", "the folder of the runs, or of one")
	cmd.Flags().BoolVar(&o.json, "json", false, "print what was found as JSON")
	return cmd
}

// scanned is what scan says of one file.
type scanned struct {
	File     string        `json:"file"`
	Findings []scanFinding `json:"findings"`
	Error    string        `json:"error,omitempty"`
}

// scanFinding is one name in one place: a line of a text, a cell of a notebook, or
// a record of a run's log.
type scanFinding struct {
	Name   string `json:"name"`
	Line   int    `json:"line,omitempty"`   // from 1
	Record int    `json:"record,omitempty"` // from 1
	Offset int64  `json:"offset"`           // of the place, or of the record that holds it, in the file, in bytes
	Where  string `json:"where,omitempty"`
}

func (f scanFinding) String() string {
	if f.Record > 0 {
		where := f.Where
		if where != "" {
			where += ", "
		}
		return fmt.Sprintf("%s, in %srecord %d (byte %d)", f.Name, where, f.Record, f.Offset)
	}
	if f.Line > 0 {
		return fmt.Sprintf("%s, in line %d", f.Name, f.Line)
	}
	return fmt.Sprintf("%s, at byte %d", f.Name, f.Offset)
}

func runScan(ctx context.Context, a *app, o scanOptions) error {
	files, err := runFiles(o.wandb)
	if err != nil {
		return err
	}
	s := scanner{finder: a.finder()}
	results, found, failed := []scanned{}, false, false
	for _, file := range files {
		findings, err := s.file(ctx, file)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && exitCode(err) == exitAgent {
			return err // nothing else can be found either
		}
		if err == nil && len(findings) == 0 {
			continue
		}
		r := scanned{File: file, Findings: findings}
		switch {
		case err != nil && o.json:
			r.Error = err.Error()
		case err != nil:
			a.fail(fmt.Errorf("scan %s: %w", file, err))
		}
		found, failed = found || len(findings) > 0, failed || err != nil
		if r.Findings == nil {
			r.Findings = []scanFinding{}
		}
		results = append(results, r)
		for _, f := range findings {
			if !o.json {
				a.printLine("%s: %s", printable(file), printable(f.String()))
			}
		}
	}
	if o.json {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	switch {
	case found:
		if !o.json {
			a.hintf("delete these runs instead of syncing them; of what was synced already, change the value: nbhush rotate NAME")
		}
		return exitError{code: exitFound}
	case failed:
		return exitError{code: exitFailed}
	}
	if !o.json {
		a.say("no secrets in %d files", len(files))
	}
	return nil
}

// noRunError says that a folder holds no run.
type noRunError struct{ dir string }

func (e *noRunError) Error() string { return "there is no run of wandb in " + e.dir }
func (e *noRunError) Hint() string {
	return "give the folder that holds offline-run-…, as in: nbhush scan --wandb wandb"
}

// runFiles returns the files below dir, in which there is a log of a run. Links are
// not followed: wandb's lead to what is there anyway.
func runFiles(dir string) (files []string, err error) {
	logs := 0
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if st.IsDir() {
		dir += string(filepath.Separator) // so that a link as dir itself is followed
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
			if filepath.Ext(path) == ".wandb" {
				logs++
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if logs == 0 {
		return nil, &noRunError{dir}
	}
	return files, nil
}

// scanner looks for secrets in files.
type scanner struct{ finder match.Finder }

func (s scanner) file(ctx context.Context, path string) ([]scanFinding, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if filepath.Ext(path) == ".wandb" {
		return s.log(ctx, f)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxScanned+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxScanned {
		return nil, fmt.Errorf("larger than %d bytes, not searched", maxScanned)
	}
	if filepath.Ext(path) == ".ipynb" {
		return s.notebook(ctx, b)
	}
	return s.text(ctx, b)
}

// log looks through the log of a run. Its strings are searched many at a time, as
// asking for each would take far longer.
func (s scanner) log(ctx context.Context, r io.Reader) ([]scanFinding, error) {
	b := logBatch{scanner: s}
	_, err := wandb.Read(r, func(r wandb.Record) error {
		wandb.Texts(r.Bytes, func(x wandb.Text) { b.add(r, x) })
		if len(b.text) < batchLen {
			return nil
		}
		return b.flush(ctx)
	})
	// What is damaged was searched as far as it is there: such is the end of a run that was killed.
	return b.findings, errors.Join(err, b.flush(ctx))
}

// batchLen is about how much of a log is searched at a time, in bytes.
const batchLen = 256 << 10

// logBatch are strings of a log that are searched together.
type logBatch struct {
	scanner
	text     []byte
	places   []logPlace
	findings []scanFinding
}

// logPlace is what begins at byte start of a batch.
type logPlace struct {
	start  int
	record int
	offset int64
	where  string // "" for a whole record
	key    []byte
}

// between keeps what is found from reaching from one string to the next.
const between = "\n\x00\n"

func (b *logBatch) add(r wandb.Record, x wandb.Text) {
	b.places = append(b.places, logPlace{len(b.text), r.Index + 1, r.Offset, x.Where, bytes.Clone(x.Key)})
	if len(x.Key) > 0 && !bytes.Equal(x.Key, x.Text) { // which says what the value is
		b.text = append(append(b.text, x.Key...), ": "...)
	}
	b.text = append(append(b.text, x.Text...), between...)
}

func (b *logBatch) flush(ctx context.Context) error {
	found, err := b.finder.Find(ctx, b.text)
	at := 0
	for _, span := range found.Spans {
		for at+1 < len(b.places) && b.places[at+1].start <= span.Start {
			at++
		}
		p := b.places[at]
		if p.where == "" && isLook(span.Name) { // which needs text alone
			continue
		}
		f := scanFinding{Name: span.Name, Record: p.record, Offset: p.offset, Where: p.where}
		if len(p.key) > 0 {
			key, e := b.hidden(ctx, p.key)
			err = errors.Join(err, e)
			f.Where += " " + string(key)
		}
		known := func(o scanFinding) bool {
			return o.Name == f.Name && o.Record == f.Record && (o.Where == f.Where || f.Where == "")
		}
		if !slices.ContainsFunc(b.findings, known) {
			b.findings = append(b.findings, f)
		}
	}
	clear(b.text)
	b.text, b.places = b.text[:0], b.places[:0]
	return err
}

// hidden returns text without what is found in it.
func (s scanner) hidden(ctx context.Context, text []byte) ([]byte, error) {
	r, err := s.finder.Find(ctx, text)
	if err != nil {
		return nil, err
	}
	return match.Replace(nil, text, r.Spans), nil
}

// isLook reports whether name is of something that only looks like a secret.
func isLook(name string) bool { return strings.Contains(name, "-") }

// text looks through a text, or through data, in which only stored values count. A
// line of a text says a name once.
func (s scanner) text(ctx context.Context, b []byte) (findings []scanFinding, err error) {
	data := bytes.IndexByte(b[:min(len(b), 8<<10)], 0) >= 0
	r, err := s.finder.Find(ctx, b)
	line, at := 1, 0
	for _, span := range r.Spans {
		if data && isLook(span.Name) {
			continue
		}
		f := scanFinding{Name: span.Name, Offset: int64(span.Start)}
		if !data {
			line += bytes.Count(b[at:span.Start], []byte("\n"))
			at, f.Line = span.Start, line
		}
		again := func(o scanFinding) bool { return o.Line > 0 && o.Line == f.Line && o.Name == f.Name }
		if !slices.ContainsFunc(findings, again) {
			findings = append(findings, f)
		}
	}
	return findings, err
}

// notebook looks through a notebook as strip does.
func (s scanner) notebook(ctx context.Context, b []byte) (findings []scanFinding, err error) {
	res, err := nbstrip.Strip(ctx, b, s.finder, nbstrip.Options{})
	var unsafe *nbstrip.UnsafeError
	if errors.As(err, &unsafe) {
		return s.text(ctx, b)
	}
	lines := []int{0}
	for i, c := range b {
		if c == '\n' {
			lines = append(lines, i+1)
		}
	}
	for _, f := range res.Findings {
		findings = append(findings, scanFinding{Name: f.Name, Line: f.Line, Offset: int64(lines[min(f.Line, len(lines))-1]), Where: string(f.Where)})
	}
	return findings, err
}
