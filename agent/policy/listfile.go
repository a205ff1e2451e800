package policy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/savefile"
)

// lockWait is how long a writer waits for another process, which needs
// milliseconds; longer means that it is stopped or hangs.
const lockWait = 10 * time.Second

// listFile is a file that holds a list. Several goroutines and processes may
// write it: each reads, changes and replaces the whole file under a lock.
// Readers need none.
type listFile struct {
	path, what string // what it is, for errors
	mu         sync.Mutex
}

// read returns the content, nil where there is no file.
func (l *listFile) read() ([]byte, error) {
	src, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", l.what, err)
	}
	return src, nil
}

// change replaces the file by what edit, which reads it, returns, while nobody
// else writes it. Nil leaves it as it is.
func (l *listFile) change(edit func() ([]byte, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	unlock, err := savefile.Lock(context.Background(), l.path, lockWait)
	if err != nil {
		return err
	}
	defer unlock()

	out, err := edit()
	if err != nil || out == nil {
		return err
	}
	if err := savefile.Write(l.path, append(out, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the %s: %w", l.what, err)
	}
	return nil
}
