package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// Verify reads the log at path from its first line and returns the number of
// entries of the whole chain, the first line not counted. A broken chain is a
// *DamagedError with the first line that does not follow from those before; n
// is then the number of entries before it. Half a line at its end is one too,
// unless something appends at this moment, for which Verify waits.
func Verify(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("open the audit log: %w", err)
	}
	defer func() { _ = f.Close() }()
	size, err := settledSize(path, f)
	if err != nil {
		return 0, fmt.Errorf("read the audit log: %w", err)
	}
	n, line, err := verify(io.LimitReader(f, size))
	if err != nil {
		return n, &DamagedError{Path: path, Line: line, Err: err}
	}
	return n, nil
}

// settledSize returns the size of the file between two writes. In a copy of a
// log that cannot be locked, nobody writes.
func settledSize(path string, f *os.File) (int64, error) {
	if _, err := os.Stat(path + ".lock"); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), lockWait)
		defer cancel()
		lock := flock.New(path + ".lock")
		if _, err := lock.TryRLockContext(ctx, time.Millisecond); err == nil {
			defer func() { _ = lock.Unlock() }()
		}
	}
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// verify follows the chain and returns the number of entries, and the line that
// breaks it together with the error.
func verify(r io.Reader) (n, line int, err error) {
	in := bufio.NewReaderSize(r, maxLine)
	prev := ""
	for line = 1; ; line++ {
		text, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return n, 0, nil
		case errors.Is(err, io.EOF):
			return n, line, errors.New("half a line at the end, as a crash leaves it")
		case errors.Is(err, bufio.ErrBufferFull):
			return n, line, fmt.Errorf("it has more than %d bytes", maxLine)
		case err != nil:
			return n, line, err
		}
		text = bytes.TrimSuffix(text, []byte("\n"))
		if err := follows(text, n, line, prev); err != nil {
			return n, line, err
		}
		if line > 1 {
			n++
		}
		prev = hash(text)
	}
}

// follows returns nil if text may stand as that line after n entries.
func follows(text []byte, n, line int, prev string) error {
	if line == 1 {
		return parseGenesis(text)
	}
	e, err := parseEntry(text)
	switch {
	case err != nil:
		return err
	case e.Prev != prev:
		return errors.New("it does not follow from the line before, one of the two was changed")
	case e.Seq != uint64(n)+1:
		return fmt.Errorf("its number is %d, and %d comes next", e.Seq, n+1)
	}
	return nil
}
