package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
)

func TestReadFrame(t *testing.T) {
	for _, n := range []int{0, 1, 100, frameStep - 1, frameStep, frameStep + 1, 300_000, MaxFrame - 1} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(rand.Uint32())
		}
		in := AppendFrame(nil, 'F', want)
		for _, buf := range [][]byte{nil, make([]byte, 50), make([]byte, 0, MaxFrame)} {
			head, got, err := ReadFrame(bytes.NewReader(in), buf)
			if err != nil || head != 'F' || !bytes.Equal(got, want) {
				t.Errorf("frame of %d bytes: head %q, %d bytes, %v", n, head, len(got), err)
			}
		}
	}
}

func TestReadFrameRefuses(t *testing.T) {
	long := binary.BigEndian.AppendUint32(nil, MaxFrame+1)
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"half a length", []byte{0, 0}, io.ErrUnexpectedEOF},
		{"no op", []byte{0, 0, 0, 1}, io.ErrUnexpectedEOF},
		{"empty", make([]byte, 4), ErrFrame},
		{"too long", long, ErrFrame},
		{"http", []byte("GET / HTTP/1.1\r\n\r\n"), ErrFrame},
		{"cut off", []byte{0, 0, 0, 9, 'F', 1, 2}, io.ErrUnexpectedEOF},
	} {
		if _, _, err := ReadFrame(iotest.OneByteReader(bytes.NewReader(c.in)), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestReadFrameDoesNotTrustLength(t *testing.T) {
	in := append(AppendFrameHead(nil, 'F', MaxFrame-1), make([]byte, 10)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, _, err := ReadFrame(bytes.NewReader(in), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 100; got > 4*frameStep {
		t.Errorf("%d bytes were allocated for 10 that came", got)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(AppendFrame(AppendFrame(nil, 'F', []byte("text")), 'G', nil))
	f.Add([]byte{0, 0, 0, 0})
	f.Add(AppendFrameHead(nil, 'F', 100_000))
	f.Fuzz(func(t *testing.T, in []byte) {
		// Reading all frames and writing them again gives what was read.
		r := bytes.NewReader(in)
		var out []byte
		for {
			head, payload, err := ReadFrame(r, nil)
			if err != nil {
				break
			}
			if len(payload)+1 > MaxFrame {
				t.Fatalf("a payload of %d bytes", len(payload))
			}
			out = AppendFrame(out, head, payload)
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatal("the frames are not what was read")
		}
	})
}

func TestReadBody(t *testing.T) {
	for _, n := range []int{0, 1, frameStep - 1, frameStep, frameStep + 1, 200_000} {
		want := bytes.Repeat([]byte("x"), n)
		for _, size := range []int64{-1, int64(n), 1} {
			got, err := ReadBody(iotest.HalfReader(bytes.NewReader(want)), size, 200_000)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, said to be %d: got %d, %v", n, size, len(got), err)
			}
		}
		if n == 0 {
			continue
		}
		for _, size := range []int64{-1, int64(n)} {
			if _, err := ReadBody(bytes.NewReader(want), size, int64(n)-1); !errors.Is(err, ErrTooLong) {
				t.Errorf("%d bytes, one too many: %v", n, err)
			}
		}
	}
	if _, err := ReadBody(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader([]byte("xy")))), 2, 9); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a body that breaks off: %v", err)
	}
}
