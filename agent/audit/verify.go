package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Verify reads the log at path, its older files included, from its first line
// and returns the number of entries of the whole chain. A broken chain is a
// *DamagedError with the first line that does not follow from those before; n
// is then the number of entries before it. Half a line at its end is one too,
// unless something appends at this moment, for which Verify waits.
func Verify(path string) (n int, err error) { return VerifyTo(path, Head{}) }

// VerifyTo is Verify of a log that was once as head says: what was there then
// must be there now. It finds a tail that was cut off, and a log that was made
// anew. A zero Head asks for nothing.
func VerifyTo(path string, head Head) (n int, err error) {
	files, err := openAll(path)
	if err != nil {
		return 0, err
	}
	defer closeAll(files)
	if len(files) == 0 {
		return 0, fmt.Errorf("open the audit log: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist})
	}
	sizes, err := settledSizes(path, files)
	if err != nil {
		return 0, fmt.Errorf("read the audit log: %w", err)
	}
	c := chain{head: head}
	for i, f := range files {
		entries, line, err := c.read(io.LimitReader(f, sizes[i]), 0)
		n += entries
		if err != nil {
			return n, &DamagedError{Path: f.Name(), Line: line, Err: err}
		}
	}
	if err := c.whole(); err != nil {
		return n, &DamagedError{Path: path, Err: err}
	}
	return n, nil
}

// settledSizes returns the sizes of the files between two writes.
func settledSizes(path string, files []*os.File) ([]int64, error) {
	sizes := make([]int64, len(files))
	return sizes, undisturbed(path, func() error {
		for i, f := range files {
			st, err := f.Stat()
			if err != nil {
				return err
			}
			sizes[i] = st.Size()
		}
		return nil
	})
}

// chain is how far a log was followed.
type chain struct {
	head  Head
	begun bool
	first uint64 // entries before the first file
	last  uint64 // entries before the newest file
	seq   uint64 // of the last line
	prev  string // its hash
}

// read follows the chain through one file, up to that many lines (0: all), and
// returns the number of entries, and the line that breaks it with the error.
func (c *chain) read(r io.Reader, lines int) (n, line int, err error) {
	in := bufio.NewReaderSize(r, maxLine)
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
		if line == 1 {
			err = c.begins(text)
		} else {
			err = c.follows(text)
			n++
		}
		if err != nil {
			return max(n-1, 0), line, err
		}
		c.prev = hash(text)
		if line > 1 && c.seq == c.head.Seq && c.prev != c.head.Hash {
			return n - 1, line, fmt.Errorf("%w: this is not the line that was here on %s", errCut, c.head.Time.Local().Format(time.DateTime))
		}
		if line == lines {
			return n, 0, nil
		}
	}
}

// errCut says that the log is not what it was when somebody looked.
var errCut = errors.New("some of it is missing")

var errChain = errors.New("it does not follow from the line before, one of the two was changed")

// begins checks the first line of a file. What stood before the first file of
// all was removed with its file, or never was.
func (c *chain) begins(text []byte) error {
	g, err := parseGenesis(text)
	if err != nil {
		return err
	}
	if !c.begun {
		c.begun, c.first, c.last, c.seq = true, g.After, g.After, g.After
		return nil
	}
	if g.After != c.seq || g.Prev != c.prev {
		return errors.New("it does not follow from the file before, lines or a file are missing")
	}
	c.last = c.seq
	return nil
}

// follows checks a further line.
func (c *chain) follows(text []byte) error {
	e, err := parseEntry(text)
	switch {
	case err != nil:
		return err
	case e.Prev != c.prev:
		return errChain
	case e.Seq != c.seq+1:
		return fmt.Errorf("its number is %d, and %d comes next", e.Seq, c.seq+1)
	}
	c.seq++
	return nil
}

// whole checks what the head remembers.
func (c *chain) whole() error {
	switch {
	case c.head.Seq == 0:
		return nil
	case c.seq < c.head.Seq:
		return fmt.Errorf("%w: entries %d to %d were there on %s", errCut, c.seq+1, c.head.Seq, c.head.Time.Local().Format(time.DateTime))
	case c.first > c.head.First && c.last < c.head.Seq, c.first > c.head.Seq:
		// No file was begun, and so none removed, since then; or all of it is gone.
		return fmt.Errorf("%w: older files, up to entry %d", errCut, c.first)
	}
	return nil
}
