package agent

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// epoch is a number in a file that hooks look at before they serve a value again
// that they had from us: one read where a question would take two processes'
// time. It begins at random, so that no two agents' numbers are alike. The zero
// value has no file and tells nobody.
type epoch struct {
	mu   sync.Mutex
	file *os.File
	n    uint64
	log  *slog.Logger
}

// open takes the file at path, which stays the same file from agent to agent:
// hooks have it open.
func (e *epoch) open(path string, log *slog.Logger) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the epoch: %w", err)
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	e.file, e.n, e.log = f, binary.LittleEndian.Uint64(b[:]), log
	e.next()
	return nil
}

// next ends all leases. A write that fails leaves them at most api.Lease.
func (e *epoch) next() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file == nil {
		return
	}
	e.n++
	if _, err := e.file.WriteAt(binary.LittleEndian.AppendUint64(nil, e.n), 0); err != nil {
		e.log.Error("write the epoch", "err", err)
	}
}

// close ends all leases, too.
func (e *epoch) close() {
	e.next()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file != nil {
		_ = e.file.Close()
		e.file = nil
	}
}
