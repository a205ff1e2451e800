package api

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// Protocol is the value of the Upgrade header that turns a connection into a stream.
const Protocol = "nbhush-stream/1"

// VersionHeader is the header of every response that holds the Version of the agent.
const VersionHeader = "Nbhush-Api"

// SharedHeader asks for memory that both sides see when a connection becomes a
// stream. Where there is such memory the answer has the header too, and the
// descriptor of the memory comes with its first byte.
const SharedHeader = "Nbhush-Shared"

// Rooms are the parts of that memory, RoomSize bytes each: one text stands in one.
const (
	Rooms    = 4
	RoomSize = 1<<20 + 64<<10
)

// ErrFrame says that what was read is no frame: it is empty or longer than MaxFrame.
var ErrFrame = errors.New("malformed frame")

// frameStep is the most that ReadFrame allocates ahead of the bytes that came.
const frameStep = 64 << 10

// AppendFrame appends the frame of head, an Op or a status, and payload. The two
// together must not be longer than MaxFrame.
func AppendFrame(dst []byte, head byte, payload []byte) []byte {
	dst = AppendFrameHead(dst, head, len(payload))
	return append(dst, payload...)
}

// AppendFrameHead appends what stands before a payload of n bytes.
func AppendFrameHead(dst []byte, head byte, n int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(1+n))
	return append(dst, head)
}

// ReadFrame reads one frame from r. The payload lies in buf[:cap(buf)] where it
// fits, otherwise in a new buffer that grows with the bytes that arrive, never
// ahead of them by more than 64 KB: a header that lies costs its sender as much
// as us. The error is io.EOF only before the first byte of a frame.
func ReadFrame(r io.Reader, buf []byte) (head byte, payload []byte, err error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:4]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(h[:4])
	if n == 0 || n > MaxFrame {
		return 0, nil, ErrFrame
	}
	if _, err := io.ReadFull(r, h[4:]); err != nil {
		return 0, nil, noEOF(err)
	}
	payload = buf[:0]
	for left := int(n) - 1; left > 0; {
		step := min(left, max(frameStep, cap(payload)-len(payload)))
		if cap(payload)-len(payload) < step {
			grown := slices.Grow(payload, step)
			if len(payload) > 0 {
				clear(payload) // it may hold a part of a value
			}
			payload = grown
		}
		at := len(payload)
		payload = payload[:at+step]
		if _, err := io.ReadFull(r, payload[at:]); err != nil {
			clear(payload)
			return 0, nil, noEOF(err)
		}
		left -= step
	}
	return h[4], payload, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ErrTooLong says that a body is longer than its reader allows.
var ErrTooLong = errors.New("body is too long")

// ReadBody reads r to its end into one buffer, which is the caller's to clear;
// no other copy of what it read is left behind by it. Size is the length that r
// is said to have, or less than 0. More than limit bytes are ErrTooLong.
func ReadBody(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, ErrTooLong
	}
	if size < 0 || size > frameStep {
		size = frameStep
	}
	buf := make([]byte, 0, size+1) // one more to see the end without growing
	for {
		if len(buf) == cap(buf) {
			grown := append(make([]byte, 0, 2*cap(buf)), buf...)
			clear(buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			err = ErrTooLong
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			clear(buf)
			return nil, err
		}
	}
}
