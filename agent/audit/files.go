package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// A log is several files: when audit.jsonl is full it becomes audit.1.jsonl,
// that becomes audit.2.jsonl and so on, and the oldest is removed. The chain goes
// on over the files: the first line of each names the last one of the file before.
const (
	fullSize = 8 << 20 // bytes, about 20,000 entries
	maxFiles = 8
)

// numbered returns the path of the n-th older file.
func numbered(path string, n int) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "." + strconv.Itoa(n) + ext
}

// older returns the numbers of the older files, the oldest first.
func older(path string) ([]int, error) {
	ext := filepath.Ext(path)
	stem := filepath.Base(strings.TrimSuffix(path, ext)) + "."
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the files of the audit log: %w", err)
	}
	var numbers []int
	for _, f := range all {
		text, ok := strings.CutPrefix(f.Name(), stem)
		text, ok2 := strings.CutSuffix(text, ext)
		if n, err := strconv.Atoi(text); ok && ok2 && err == nil && n > 0 && strconv.Itoa(n) == text {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	return numbers, nil
}

// openAll opens the files of the log, the oldest first, at a moment when nobody
// renames them. The caller closes them. Without a log there are none.
func openAll(path string) (files []*os.File, err error) {
	err = undisturbed(path, func() error {
		numbers, err := older(path)
		if err != nil {
			return err
		}
		paths := make([]string, 0, len(numbers)+1)
		for _, n := range numbers {
			paths = append(paths, numbered(path, n))
		}
		for _, p := range append(paths, path) {
			if st, err := os.Stat(p); err == nil && !st.Mode().IsRegular() {
				return &DamagedError{Path: p, Err: errors.New("it is no file")}
			}
			f, err := os.Open(p)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("open the audit log: %w", err)
			}
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// undisturbed runs work while nobody appends. In a copy of a log that cannot be
// locked, nobody does.
func undisturbed(path string, work func() error) error {
	if _, err := os.Stat(path + ".lock"); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), lockWait)
		defer cancel()
		lock := flock.New(path + ".lock")
		if _, err := lock.TryRLockContext(ctx, time.Millisecond); err == nil {
			defer func() { _ = lock.Unlock() }()
		}
	}
	return work()
}

// turn makes the file that is full an older one, and begins a new one. The
// caller holds the lock. A crash leaves a gap in the numbers, or no newest file;
// neither loses a line.
func (l *Log) turn() error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("write the audit log to the disk: %w", err)
	}
	numbers, err := older(l.path)
	if err != nil {
		return err
	}
	if first, err := firstEntry(l.path); err == nil && first <= l.first {
		defer func() { // what goes now is not missing
			if now, err := firstEntry(l.path); err == nil {
				l.first = now
			}
		}()
	}
	for i, n := range numbers {
		if err := shift(l.path, n, len(numbers)-i); err != nil {
			return fmt.Errorf("rename an older file of the audit log: %w", err)
		}
	}
	if err := os.Rename(l.path, numbered(l.path, 1)); err != nil {
		return fmt.Errorf("rename the audit log: %w", err)
	}
	l.wrote = state{}
	return l.catchUp()
}

// shift renames the older file of that number, the rank-th newest of them, or
// removes it when there are enough.
func shift(path string, n, rank int) error {
	if rank >= maxFiles-1 {
		return os.Remove(numbered(path, n))
	}
	return os.Rename(numbered(path, n), numbered(path, n+1))
}

// before returns what the first line of a new file follows from: the end of the
// newest older file, or nothing.
func (l *Log) before() (state, error) {
	numbers, err := older(l.path)
	if err != nil || len(numbers) == 0 {
		return state{}, err
	}
	path := numbered(l.path, numbers[len(numbers)-1])
	f, err := os.Open(path)
	if err != nil {
		return state{}, fmt.Errorf("open the audit log: %w", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	line, err := lastLine(f, st.Size())
	if err != nil {
		return state{}, err
	}
	seq, err := parse(line)
	if err != nil {
		return state{}, &DamagedError{Path: path, Err: fmt.Errorf("its last line: %w", err)}
	}
	return state{seq: seq, prev: hash(line)}, nil
}

// Head says where a log ended when somebody looked: what is to be remembered
// outside of it, so that lines cut off its end are found, or a whole new chain.
type Head struct {
	Seq   uint64    `json:"seq"`   // of the last entry; 0: nothing is remembered
	Hash  string    `json:"hash"`  // of its line
	First uint64    `json:"first"` // the entries up to this one were removed with their files
	Time  time.Time `json:"time"`  // when this was so
}

// Head returns the end of the log, or where it was before lines that this Log wrote
// were taken away, until Accept.
func (l *Log) Head() (h Head, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.locked(func() error {
		if h = l.lost; h.Seq == 0 {
			h = Head{Seq: l.end.seq, Hash: l.end.prev, Time: time.Now().UTC()}
		}
		h.First = l.first // not what is there now: files may have been taken away
		return nil
	})
	return h, err
}

// firstEntry returns the number of the last entry before the oldest file of the log at path.
func firstEntry(path string) (uint64, error) {
	numbers, err := older(path)
	if err != nil {
		return 0, err
	}
	if len(numbers) > 0 {
		path = numbered(path, numbers[0])
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("open the audit log: %w", err)
	}
	defer func() { _ = f.Close() }()
	c := chain{}
	_, _, err = c.read(f, 1)
	return c.first, err
}
