package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// followPause is how long Follow waits before it looks again.
const followPause = 100 * time.Millisecond

// Read calls visit for each entry of the log at path, in order, until visit
// returns an error, which it returns. It does not follow the chain: see Verify.
// A line that is no entry is a *DamagedError. Without a log there is no entry.
func Read(path string, visit func(Entry) error) error {
	files, err := openAll(path)
	if err != nil {
		return err
	}
	defer closeAll(files)
	for _, f := range files {
		r := reader{path: f.Name(), file: f}
		if err := r.more(visit); err != nil {
			return err
		}
	}
	return nil
}

// Follow is Read that waits for further entries until ctx ends, and goes on with
// the next file of the log's name when the one that it reads was moved away. The
// end of ctx is no error.
func Follow(ctx context.Context, path string, visit func(Entry) error) error {
	files, err := openAll(path)
	if err != nil {
		return err
	}
	r := reader{path: path}
	defer func() { r.close() }()
	defer closeAll(files)
	for _, f := range files {
		next := reader{path: f.Name(), file: f}
		if f.Name() == path {
			r = next
			break
		}
		if err := next.more(visit); err != nil {
			return err
		}
	}
	for {
		moved := r.moved()
		if err := r.more(visit); err != nil {
			return err
		}
		if moved {
			r.close()
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

// reader reads a log from where it has come to.
type reader struct {
	path string
	file *os.File // nil until there is one
	at   int64    // all lines before this offset were read
	line int
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
	*r = reader{path: r.path}
}

// moved reports whether the name is another file's by now. What was appended to
// the one that is open, was so before.
func (r *reader) moved() bool {
	if r.file == nil {
		return false
	}
	named, err := os.Stat(r.path)
	if err != nil {
		return false
	}
	open, err := r.file.Stat()
	return err == nil && !os.SameFile(named, open)
}

// more visits the entries of the lines that are whole by now.
func (r *reader) more(visit func(Entry) error) error {
	if r.file == nil {
		f, err := os.Open(r.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("open the audit log: %w", err)
		}
		r.file = f
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r.file, r.at, 1<<62-r.at), maxLine)
	for {
		text, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return nil // half a line may become a whole one
		case errors.Is(err, bufio.ErrBufferFull):
			return &DamagedError{r.path, r.line + 1, fmt.Errorf("it has more than %d bytes", maxLine)}
		case err != nil:
			return fmt.Errorf("read the audit log: %w", err)
		}
		r.line++
		r.at += int64(len(text))
		text = bytes.TrimSuffix(text, []byte("\n"))
		if _, err := parseGenesis(text); r.line == 1 && err == nil {
			continue
		}
		e, err := parseEntry(text)
		if err != nil {
			return &DamagedError{r.path, r.line, err}
		}
		e.clean() // somebody may have edited it
		if err := visit(e); err != nil {
			return err
		}
	}
}
