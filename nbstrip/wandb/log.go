package wandb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	headerLen = 7         // of the file: ":W&B", a number, a version
	blockLen  = 32 << 10  // of LevelDB's log
	chunkHead = 7         // checksum, length, kind
	maxRecord = 256 << 20 // bytes of one record
)

// Kinds of chunks: a whole record, or its first, middle and last part.
const (
	kindFull = iota + 1
	kindFirst
	kindMiddle
	kindLast
)

var errNotLog = errors.New("not a log of wandb")

// Record is one record of a log. Its bytes are valid until the next one is read.
type Record struct {
	Index  int   // from 0
	Offset int64 // of its first chunk in the file
	Bytes  []byte
}

// Read calls record with each record of the log r, in order, until it returns an
// error. It returns how many stretches of the log could not be read: where a run
// still writes, or was killed, the last record may be one.
func Read(r io.Reader, record func(Record) error) (damaged int, err error) {
	l := &log{r: r, record: record}
	if err := l.read(); err != nil {
		return l.damaged, err
	}
	return l.damaged, nil
}

// log is a log while it is read.
type log struct {
	r       io.Reader
	record  func(Record) error
	damaged int

	next    Record // being put together
	partial bool   // next has its first chunk
}

func (l *log) read() error {
	block := make([]byte, blockLen)
	n, err := io.ReadFull(l.r, block[:headerLen])
	if err != nil || string(block[:4]) != ":W&B" {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return errNotLog
	}
	for at := int64(0); ; at += blockLen {
		m, err := io.ReadFull(l.r, block[n:])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read the log: %w", err)
		}
		if err := l.block(block[:n+m], at, n); err != nil {
			return err
		}
		if err != nil {
			if l.partial {
				return l.give(true)
			}
			return nil
		}
		n = 0
	}
}

// block takes the chunks of one block, which begins at offset at of the file, from
// skip on.
func (l *log) block(b []byte, at int64, skip int) error {
	for i := skip; len(b)-i >= chunkHead; {
		size, kind := int(binary.LittleEndian.Uint16(b[i+4:])), b[i+6]
		if kind == 0 && size == 0 && blank(b[i:]) {
			return nil // room that was never written
		}
		end := i + chunkHead + size
		if kind < kindFull || kind > kindLast || end > len(b) {
			// The rest of the block is searched as it is.
			if err := l.chunk(kindFull, at+int64(i), b[i:]); err != nil {
				return err
			}
			l.damaged++
			return nil
		}
		if err := l.chunk(kind, at+int64(i), b[i+chunkHead:end]); err != nil {
			return err
		}
		i = end
	}
	return nil
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// chunk adds a chunk to the record, and gives the record that it ends.
func (l *log) chunk(kind byte, offset int64, b []byte) error {
	first := kind == kindFull || kind == kindFirst
	if l.partial == first { // a part is missing
		if err := l.give(true); err != nil {
			return err
		}
		l.partial = false
	}
	if !l.partial {
		l.next.Bytes, l.next.Offset = l.next.Bytes[:0], offset
	}
	if len(l.next.Bytes)+len(b) > maxRecord {
		return fmt.Errorf("the record at byte %d is longer than %d bytes", l.next.Offset, maxRecord)
	}
	l.next.Bytes = append(l.next.Bytes, b...)
	l.partial = true
	if kind == kindFull || kind == kindLast {
		return l.give(false)
	}
	return nil
}

// give gives what there is of a record.
func (l *log) give(damaged bool) error {
	if damaged {
		l.damaged++
	}
	l.partial = false
	if len(l.next.Bytes) == 0 {
		return nil
	}
	err := l.record(l.next)
	l.next.Index++
	l.next.Bytes = l.next.Bytes[:0]
	return err
}
