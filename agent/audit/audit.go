package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/savefile"
)

// lockWait is how long Append waits for another process, which needs
// milliseconds; longer means that it is stopped or hangs.
const lockWait = 10 * time.Second

// Log is an audit log, open for appending. It is safe for concurrent use, and
// several processes may have the same file open.
type Log struct {
	path string
	full int64 // bytes after which the next file begins

	mu    sync.Mutex
	file  *os.File
	end   state  // after our last write; another process may have written since
	wrote state  // the last line that we wrote into the newest file; size 0: none yet
	lost  Head   // the end as it was when somebody took lines of ours away; else zero
	first uint64 // entries before the oldest file, as this Log found it and turned it
}

// state is what the next line needs to know of the file.
type state struct {
	size int64
	seq  uint64 // of the last line; 0 for the genesis
	prev string // SHA-256 of the last line
}

// Open opens the log at path and makes it where there is none. It returns an
// error with a hint if the last line of the file is not one of a log.
func Open(path string) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the audit log: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	l := &Log{path: path, full: fullSize, file: file, end: state{size: -1}}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.locked(func() (err error) { l.first, err = firstEntry(l.path); return err }); err != nil {
		_ = file.Close()
		return nil, err
	}
	return l, nil
}

// Append adds e, whose Seq and Prev it fills in, and Time where that is zero.
// It returns nil when the line is written; see the package's comment for when
// it is on the disk.
func (l *Log) Append(e Entry) error {
	if err := e.valid(); err != nil {
		return err
	}
	e.clean()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.locked(func() error {
		if l.end.size >= l.full {
			if err := l.turn(); err != nil {
				return err
			}
		}
		e.Seq, e.Prev = l.end.seq+1, l.end.prev
		return l.write(e, e.Seq, e.Op != OpGet || e.Verdict != Allowed)
	})
}

// Path returns the path of the newest file.
func (l *Log) Path() string { return l.path }

// Close writes everything to the disk and closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.file.Sync(), l.file.Close())
}

// locked runs work while no other process writes and l.end is true. The caller
// holds l.mu.
func (l *Log) locked(work func() error) error {
	unlock, err := savefile.Lock(context.Background(), l.path, lockWait)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer unlock()
	if err := l.catchUp(); err != nil {
		return err
	}
	return work()
}

// catchUp makes l.end true after others wrote, moved the file away, or crashed.
func (l *Log) catchUp() error {
	if err := l.follow(); err != nil {
		return err
	}
	st, err := l.file.Stat()
	if err != nil {
		return err
	}
	if st.Size() == l.end.size {
		return nil
	}
	if l.lost.Seq == 0 && !l.stands() {
		l.lost = Head{Seq: l.wrote.seq, Hash: l.wrote.prev, Time: time.Now().UTC()}
	}
	if err := l.setAside(st.Size()); err != nil {
		return err
	}
	if st, err = l.file.Stat(); err != nil {
		return err
	}
	if st.Size() == 0 {
		return l.begin()
	}
	line, err := lastLine(l.file, st.Size())
	if err != nil {
		return err
	}
	seq, err := parse(line)
	if err != nil {
		return &DamagedError{Path: l.path, Err: fmt.Errorf("its last line: %w", err)}
	}
	l.end = state{st.Size(), seq, hash(line)}
	return nil
}

// stands reports whether the last line that we wrote is where we wrote it, in the newest
// file or, if another process began that one, in an older one.
func (l *Log) stands() bool {
	if l.wrote.size == 0 || l.wrote.endsIn(l.file) {
		return true
	}
	numbers, err := older(l.path)
	if err != nil {
		return true // nobody can tell
	}
	for _, n := range numbers {
		f, err := os.Open(numbered(l.path, n))
		if err != nil {
			continue
		}
		found := l.wrote.endsIn(f)
		_ = f.Close()
		if found {
			return true
		}
	}
	return false
}

// endsIn reports whether f has, or had, this end.
func (s state) endsIn(f io.ReaderAt) bool {
	line, err := lastLine(f, s.size)
	return err == nil && hash(line) == s.prev
}

// Cut returns a *DamagedError if lines that this Log wrote were taken away since, until Accept.
func (l *Log) Cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost.Seq == 0 {
		return nil
	}
	return &DamagedError{Path: l.path, Err: fmt.Errorf("%w: entry %d was its last one", errCut, l.lost.Seq)}
}

// Accept takes the log as it is now for whole.
func (l *Log) Accept() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = Head{}
	if first, err := firstEntry(l.path); err == nil {
		l.first = first
	}
}

// follow opens the file that has the log's name now, if somebody moved the one
// that is open away.
func (l *Log) follow() error {
	named, err := os.Stat(l.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("audit log: %w", err)
	}
	open, openErr := l.file.Stat()
	if err == nil && openErr == nil && os.SameFile(named, open) {
		return nil
	}
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	_ = l.file.Close()
	l.file, l.end = file, state{size: -1}
	return nil
}

// begin writes the first line, which makes this chain unlike any other.
func (l *Log) begin() error {
	before, err := l.before()
	if err != nil {
		return err
	}
	l.end = state{}
	g := genesis{Version: version, Time: time.Now().UTC(), Genesis: rand.Text() + rand.Text()}
	if before.seq > 0 {
		g.After, g.Prev = before.seq, before.prev
	}
	if err := l.write(g, g.After, true); err != nil {
		return err
	}
	// The file's name must be on the disk, too. Windows cannot do this by hand.
	if dir, err := os.Open(filepath.Dir(l.path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// write appends one line and notes where the file ends. After an error the end
// is not known, and the next catchUp looks.
func (l *Log) write(line any, seq uint64, sync bool) error {
	out, err := json.Marshal(line)
	if err != nil {
		return err
	}
	size := l.end.size + int64(len(out)) + 1
	l.end.size = -1
	if _, err := l.file.Write(append(out, '\n')); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	if sync {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("write the audit log to the disk: %w", err)
		}
	}
	l.end = state{size, seq, hash(out)}
	l.wrote = l.end
	return nil
}

// setAside moves half a line from the end of the file into a file of its own.
// It was never confirmed, but it is evidence all the same.
func (l *Log) setAside(size int64) error {
	for {
		half, err := tail(l.file, size)
		if err != nil || len(half) == 0 {
			return err
		}
		if err := keep(l.path+".torn", half); err != nil {
			return fmt.Errorf("set half a line of the audit log aside: %w", err)
		}
		size -= int64(len(half))
		if err := l.file.Truncate(size); err != nil {
			return fmt.Errorf("cut half a line off the audit log: %w", err)
		}
	}
}

// keep appends half, and a newline, to the file at path.
func keep(path string, half []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(half), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// tail returns the bytes after the last newline.
func tail(f io.ReaderAt, size int64) ([]byte, error) {
	b := make([]byte, min(size, maxLine+1))
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	i := bytes.LastIndexByte(b, '\n')
	if i < 0 && size > int64(len(b)) {
		return b, nil // longer than any line: it goes piece by piece
	}
	return b[i+1:], nil
}

// lastLine returns the last line of a file that ends in a newline, without it.
func lastLine(f io.ReaderAt, size int64) ([]byte, error) {
	b := make([]byte, min(size, maxLine+1))
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	return b[bytes.LastIndexByte(b, '\n')+1:], nil
}

func hash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// DamagedError says that the chain is broken.
type DamagedError struct {
	Path string
	Line int // the first bad one, from 1; 0 where that was not looked for
	Err  error
}

func (e *DamagedError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("audit log %s is damaged: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("audit log %s: line %d: %v", e.Path, e.Line, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says how to keep the evidence and go on.
func (e *DamagedError) Hint() string {
	if errors.Is(e.Err, errCut) {
		return "keep a copy, find out who did it, and go on with: nbhush audit accept"
	}
	return fmt.Sprintf("keep it and begin a new log with: mv '%s' '%s.damaged'", e.Path, e.Path)
}
