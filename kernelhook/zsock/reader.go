package zsock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	maxFrames          = 1 << 16 // in one message
	maxFramesUntrusted = 1 << 10
	// directLen is the rest of a frame from which on it is read straight into
	// its place.
	directLen = 8 << 10
	// stepLen is how much is allocated ahead of the bytes of an untrusted peer.
	stepLen = 64 << 10
	// populateLen is how much memory gets its pages ahead of the bytes, on another
	// processor: fresh pages cost more than the bytes.
	populateLen = 16 << 20
)

// reader reads the traffic of one connection. One goroutine uses it.
type reader struct {
	conn net.Conn
	pool *pool
	buf  []byte // read from conn and not consumed: buf[at:end]
	at   int
	end  int
	ttl  time.Duration // of the last PING; zero once anything was read
	used bool          // a byte of the next message or command has arrived
	box  *opener       // under CURVE: every frame is one of its commands
	// early, if set, is the length from which on message returns before the last frame is there.
	early int

	// command is called with the body of each command, which is valid until it returns.
	command func(body []byte) error
	// allow is asked before each frame: size is what the message has with it.
	// eager says that the peer's claim is believed.
	allow func(size uint64, frames int) (eager bool, err error)
}

func newReader(conn net.Conn, p *pool, size int) *reader {
	return &reader{conn: conn, pool: p, buf: make([]byte, size)}
}

// resize gives r a buffer of another size, at least maxCommand + maxHeader.
func (r *reader) resize(size int) {
	buf := make([]byte, max(size, r.end-r.at))
	r.end = copy(buf, r.buf[r.at:r.end])
	r.buf, r.at = buf, 0
}

// read is conn.Read that honours the last PING's time to live: RFC 37,
// "Connection Heartbeating". The time counts only while we wait, so that a
// slow consumer of ours does not look like a dead peer.
func (r *reader) read(p []byte) (int, error) {
	if r.ttl == 0 {
		return r.conn.Read(p)
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(r.ttl)); err != nil {
		return 0, err
	}
	n, err := r.conn.Read(p)
	if n > 0 {
		r.ttl = 0
		if err := r.conn.SetReadDeadline(time.Time{}); err != nil {
			return n, err
		}
	}
	return n, err
}

// fill waits until n bytes are in buf; n is at most len(buf).
func (r *reader) fill(n int) error {
	if r.end-r.at >= n {
		return nil
	}
	if r.at > 0 {
		r.end = copy(r.buf, r.buf[r.at:r.end])
		r.at = 0
	}
	for r.end < n {
		m, err := r.read(r.buf[r.end:])
		r.end += m
		if err != nil && r.end < n {
			return r.cut(err)
		}
	}
	return nil
}

// cut is err, but an end of file inside of something is unexpected.
func (r *reader) cut(err error) error {
	if errors.Is(err, io.EOF) && (r.used || r.end > r.at) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take returns the next n bytes of buf, valid until the next call.
func (r *reader) take(n int) ([]byte, error) {
	if err := r.fill(n); err != nil {
		return nil, err
	}
	b := r.buf[r.at : r.at+n]
	r.at += n
	return b, nil
}

func (r *reader) header() (flags byte, size uint64, err error) {
	for need := 2; ; {
		if err := r.fill(need); err != nil {
			return 0, 0, err
		}
		flags, size, need, err = parseHeader(r.buf[r.at:r.end])
		if err != nil {
			return 0, 0, err
		}
		if need <= r.end-r.at {
			r.at += need
			return flags, size, nil
		}
	}
}

// greet reads the other side's greeting and returns its minor version. It
// looks at each part as soon as that is there, since an old peer sends no more.
func (r *reader) greet(own string) (minor byte, err error) {
	for _, n := range []int{1, 11, greetingLen} {
		if err := r.fill(n); err != nil {
			return 0, err
		}
		if minor, err = checkGreeting(r.buf[r.at:r.at+n], own); err != nil {
			return 0, err
		}
	}
	r.at += greetingLen
	return minor, nil
}

// expect reads a command of the handshake, which must have this name, and
// returns its data, valid until the next call. bad is the error for another one.
func (r *reader) expect(name string, bad error) (data []byte, err error) {
	flags, size, err := r.header()
	if err != nil {
		return nil, err
	}
	if flags&flagCommand == 0 || size > maxCommand {
		return nil, bad
	}
	body, err := r.take(int(size))
	if err != nil {
		return nil, err
	}
	got, data, err := splitCommand(body)
	if err != nil {
		return nil, err
	}
	if string(got) == "ERROR" {
		return nil, errRefused(data)
	}
	if string(got) != name {
		return nil, bad
	}
	return data, nil
}

// message reads up to the end of the next message, or to its last frame if that
// is long enough for early: finish then has to be called. Commands are handled on
// the way, also between two frames of a message, where libzmq puts its PINGs.
func (r *reader) message() (*buffer, error) {
	r.used = false
	b := r.pool.get(0)
	for more := true; more; {
		flags, size, err := r.header()
		switch {
		case err != nil:
		case r.box != nil:
			more, err = r.sealed(b, size)
		case flags&flagCommand != 0:
			err = r.handle(size)
		default:
			r.used = true
			more, err = flags&flagMore != 0, r.frame(b, size, flags&flagMore == 0)
		}
		if err != nil {
			return r.fail(b, err)
		}
	}
	return b, nil
}

func (r *reader) fail(b *buffer, err error) (*buffer, error) {
	r.pool.put(b)
	return nil, err
}

func (r *reader) handle(size uint64) error {
	if size > maxCommand {
		return fmt.Errorf("%w: command of %d bytes", errTooLong, size)
	}
	body, err := r.take(int(size))
	if err != nil {
		return noEOF(err)
	}
	return r.command(body)
}

// frame reads the body of a frame into b.
func (r *reader) frame(b *buffer, size uint64, last bool) error {
	eager, err := r.allow(b.size+size, len(b.parts)+1)
	if err != nil {
		return err
	}
	b.size += size
	n := int(size) // allow has capped it
	var own []byte
	switch {
	case last && eager && r.early > 0 && n >= r.early:
		own = make([]byte, n)
		b.arrival = &arrival{more: make(chan struct{}, 1)}
	case n >= keepLen:
		own, err = r.long(n, eager)
	default:
		err = r.short(b, n, eager)
	}
	b.add(own)
	return err
}

// short reads n bytes to the end of b.data.
func (r *reader) short(b *buffer, n int, eager bool) error {
	if eager {
		b.grow(n)
	}
	for n > 0 {
		if !eager {
			b.grow(min(n, max(stepLen, len(b.data))))
		}
		m, err := r.some(b.data[len(b.data):min(cap(b.data), len(b.data)+n)])
		b.data = b.data[:len(b.data)+m]
		n -= m
		if err != nil && n > 0 {
			return noEOF(err)
		}
	}
	return nil
}

// long reads n bytes into memory of their own, which is allocated at once for
// a peer that is believed and otherwise grows with what has arrived.
func (r *reader) long(n int, eager bool) ([]byte, error) {
	if eager {
		own := make([]byte, n)
		return own, r.whole(own, func(int) {})
	}
	own := make([]byte, 0, stepLen)
	for len(own) < n {
		if len(own) == cap(own) {
			own = append(make([]byte, 0, min(n, 2*cap(own))), own...)
		}
		m, err := r.some(own[len(own):cap(own)])
		own = own[:len(own)+m]
		if err != nil && len(own) < n {
			return nil, noEOF(err)
		}
	}
	return own, nil
}

// whole reads until own is full; here is told again and again how much of it is.
func (r *reader) whole(own []byte, here func(n int)) error {
	for at, populated := 0, 0; at < len(own); {
		if to := min(at+populateLen, len(own)); to-populated > populateLen/2 {
			go populate(own[populated:to])
			populated = to
		}
		m, err := r.some(own[at:])
		at += m
		if err != nil && at < len(own) {
			return noEOF(err)
		}
		here(at)
	}
	return nil
}

// finish reads the last frame of a message if message left it.
func (r *reader) finish(last []byte, a *arrival) error {
	if a == nil {
		return nil
	}
	err := r.whole(last, a.here)
	a.end(err)
	return err
}

// some reads at least one byte into p, from buf first.
func (r *reader) some(p []byte) (int, error) {
	if r.at == r.end {
		if len(p) >= directLen {
			return r.read(p)
		}
		if err := r.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.at:r.end])
	r.at += n
	return n, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wipe forgets the key.
func (r *reader) wipe() {
	if r.box != nil {
		r.box.wipe()
	}
}

// sealed reads a MESSAGE of CURVE of this size. It adds the frame that is in it
// to b, or handles the command that is in it, and reports whether more has to
// come before the message is whole.
func (r *reader) sealed(b *buffer, size uint64) (more bool, err error) {
	if size < uint64(messageExtra) {
		return false, errCurve
	}
	eager, err := r.allow(b.size+size-uint64(messageExtra), len(b.parts)+1)
	if err != nil {
		return false, err
	}
	head, err := r.take(messageHead)
	if err != nil {
		return false, noEOF(err)
	}
	if err := r.box.head(head); err != nil {
		return false, err
	}
	if n := int(size) - messageHead; n > len(r.buf) {
		text := r.pool.get(0)
		defer r.pool.put(text)
		if err = r.short(text, n, eager); err == nil {
			more, err = r.opened(b, text.data)
		}
		return more, err
	}
	text, err := r.take(int(size) - messageHead)
	if err != nil {
		return false, noEOF(err)
	}
	return r.opened(b, text)
}

// opened opens the box of a MESSAGE.
func (r *reader) opened(b *buffer, box []byte) (more bool, err error) {
	n, at := len(box)-boxed, len(b.data) // with the flags
	var out []byte
	if n > keepLen {
		out, err = r.box.open(make([]byte, 0, n), box)
	} else {
		b.grow(n)
		out, err = r.box.open(b.data, box)
		out = out[at:]
	}
	if err != nil {
		return false, err
	}
	flags, body := out[0], out[1:]
	if flags == innerCommand {
		return true, r.inner(body)
	}
	r.used = true
	b.size += uint64(len(body))
	if n > keepLen {
		b.add(body)
	} else {
		b.data = b.data[:at+copy(out, body)] // over the flags
		b.add(nil)
	}
	return flags == innerMore, nil
}

func (r *reader) inner(body []byte) error {
	if len(body) > maxCommand {
		return fmt.Errorf("%w: command of %d bytes", errTooLong, len(body))
	}
	return r.command(body)
}
