package agent

import (
	"bytes"
	"net"
	"slices"
	"sync"
)

// wipedConn lets no value stay in the buffers of net/http, which are used again
// and never cleared. What is written is cleared once the system has it: http's
// buffer was its last use. Where what was read went is remembered, until somebody
// says what of it was a value. Read and Write may run at the same time.
type wipedConn struct {
	net.Conn

	mu    sync.Mutex
	reads [][]byte
}

// maxReads are remembered; a longer request passes no buffer of http's.
const maxReads = 1 << 10

func (c *wipedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reads) < maxReads {
		c.reads = append(c.reads, p[:n:n])
	}
	return n, err
}

func (c *wipedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	clear(p[:n])
	return n, err
}

// done clears what was read. The caller has seen all of it, and kept none.
func (c *wipedConn) done() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.reads {
		clear(p)
	}
	c.reads = c.reads[:0]
}

// took clears every copy of body in what was read: it was the end of that, and b
// itself stays. Where more came behind it, a request that nobody waited to send, it
// is no copy and is left alone. A nil b is a request without a body.
func (c *wipedConn) took(b []byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := len(b)
	for _, p := range slices.Backward(c.reads) {
		n := min(at, len(p))
		if n == 0 {
			continue
		}
		from, to := p[len(p)-n:], b[at-n:at]
		if &from[0] != &to[0] && bytes.Equal(from, to) {
			clear(from)
		}
		at -= n
	}
	clear(c.reads)
	c.reads = c.reads[:0]
}

// unwrap returns the connection of the system.
func unwrap(c net.Conn) net.Conn {
	if w, ok := c.(*wipedConn); ok {
		return w.Conn
	}
	return c
}
