package gitfilter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Sizes of gitprotocol-common(5), pkt-line: four hex digits of length, which
// count themselves, then at most 65516 bytes.
const (
	maxPayload = 65516
	maxPacket  = maxPayload + 4
)

// Limits of what is read. A list is the lines up to a flush packet: git sends
// at most seven; a content is one file.
const (
	maxList    = 64
	maxContent = 1 << 30
)

var (
	errPacket  = errors.New("malformed packet")
	errShort   = errors.New("short packet")
	errList    = errors.New("too many packets in a list")
	errContent = fmt.Errorf("the file is larger than %d bytes", maxContent)
)

// packets reads and writes pkt-lines. It is for one goroutine.
type packets struct {
	r    *bufio.Reader
	w    *bufio.Writer
	line [maxPayload]byte
}

func newPackets(r io.Reader, w io.Writer) *packets {
	// What is larger than the reader's buffer is read to where it belongs. Twice a packet is written at once.
	return &packets{r: bufio.NewReaderSize(r, 8<<10), w: bufio.NewWriterSize(w, 2*maxPacket)}
}

// length reads the head of a packet and returns the length of its payload, or
// flush. io.EOF is returned only where no byte of a packet was there.
func (p *packets) length() (n int, flush bool, err error) {
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errShort
		}
		return 0, false, err
	}
	for _, c := range head {
		d := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if d < 0 || c < '0' {
			return 0, false, errPacket
		}
		n = n<<4 | d
	}
	// 1 to 3 are the delimiters of other protocols. 4 is an empty payload,
	// which git avoids and readers accept.
	if n == 0 {
		return 0, true, nil
	}
	if n < 4 || n > maxPacket {
		return 0, false, errPacket
	}
	return n - 4, false, nil
}

// text reads one packet of text, without its newline; the bytes are valid until the next read.
func (p *packets) text() (line []byte, flush bool, err error) {
	n, flush, err := p.length()
	if err != nil || flush {
		return nil, flush, err
	}
	if err := p.payload(p.line[:n]); err != nil {
		return nil, false, err
	}
	return bytes.TrimSuffix(p.line[:n], []byte("\n")), false, nil
}

func (p *packets) payload(b []byte) error {
	_, err := io.ReadFull(p.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}

// list reads texts up to the flush packet. io.EOF means that there was no list.
func (p *packets) list() ([]string, error) {
	var lines []string
	for {
		line, flush, err := p.text()
		switch {
		case errors.Is(err, io.EOF) && len(lines) > 0:
			return nil, errShort
		case err != nil:
			return nil, err
		case flush:
			return lines, nil
		case len(lines) == maxList:
			return nil, errList
		}
		lines = append(lines, string(line))
	}
}

// content appends the payloads up to the flush packet to buf, which grows as
// bytes arrive. Content over the limit is read to its end, and errContent
// returned: the next command can be read then.
func (p *packets) content(buf []byte) ([]byte, error) {
	tooLong := false
	for {
		n, flush, err := p.length()
		switch {
		case errors.Is(err, io.EOF):
			return buf, errShort
		case err != nil:
			return buf, err
		case flush && tooLong:
			return buf, errContent
		case flush:
			return buf, nil
		}
		if tooLong = tooLong || len(buf)+n > maxContent; tooLong {
			if err := p.payload(p.line[:n]); err != nil {
				return buf, err
			}
			continue
		}
		at := len(buf)
		if at+n > cap(buf) {
			buf = append(make([]byte, 0, max(2*cap(buf), at+n, 4*maxPacket)), buf...)
		}
		buf = buf[:at+n]
		if err := p.payload(buf[at:]); err != nil {
			return buf, err
		}
	}
}

const hexDigits = "0123456789abcdef"

func (p *packets) head(n int) error {
	n += 4
	_, err := p.w.Write([]byte{hexDigits[n>>12&15], hexDigits[n>>8&15], hexDigits[n>>4&15], hexDigits[n&15]})
	return err
}

// writeList writes each line as a packet of text, and a flush packet.
func (p *packets) writeList(lines ...string) error {
	for _, line := range lines {
		if err := p.head(len(line) + 1); err != nil {
			return err
		}
		if _, err := p.w.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	_, err := p.w.WriteString("0000")
	return err
}

// writeContent writes b in packets as large as they get, and a flush packet.
func (p *packets) writeContent(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxPayload)
		if err := p.head(n); err != nil {
			return err
		}
		if _, err := p.w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	_, err := p.w.WriteString("0000")
	return err
}
