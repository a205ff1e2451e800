package client

import (
	"bufio"
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
)

const (
	maxIdle   = 4 // connections kept
	idleTime  = time.Minute
	maxHeader = 8 << 10 // bytes of an answer's header
)

// pool keeps connections for the next request. It is safe for concurrent use.
//
// Requests are written and answers read (RFC 9112) by who asks: net/http's client
// has two goroutines a connection, and to wake them takes as long as the agent does.
type pool struct {
	mu       sync.Mutex
	idle     []*kept
	sweeping bool // a timer runs; one for each request would wake a thread each time
}

// kept is one connection.
type kept struct {
	conn   net.Conn
	in     *bufio.Reader // of what Read returns
	buffer []byte        // in's own
	left   int           // bytes that may be read; an answer's header must end
	since  time.Time     // when it became idle
}

func newKept(conn net.Conn) *kept {
	k := &kept{conn: conn}
	k.in = bufio.NewReader(k)
	return k
}

// Read is for in, which reads into its empty buffer first.
func (k *kept) Read(p []byte) (int, error) {
	if k.buffer == nil {
		k.buffer = p
	}
	n, err := k.conn.Read(p[:min(len(p), k.left)])
	if k.left -= n; k.left == 0 && err == nil {
		err = errors.New("the header of the answer is too long")
	}
	return n, err
}

// take returns an idle connection, or nil.
func (p *pool) take() *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	k := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return k
}

func (p *pool) give(k *kept) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == maxIdle {
		_ = k.conn.Close()
		return
	}
	k.since = time.Now()
	p.idle = append(p.idle, k)
	if !p.sweeping {
		p.sweeping = true
		time.AfterFunc(idleTime, p.sweep)
	}
}

// sweep closes what has been idle for long.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(k *kept) bool {
		old := time.Since(k.since) >= idleTime
		if old {
			_ = k.conn.Close()
		}
		return old
	})
	if p.sweeping = len(p.idle) > 0; p.sweeping {
		time.AfterFunc(idleTime, p.sweep)
	}
}

// close closes what is idle.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.idle {
		_ = k.conn.Close()
	}
	p.idle = nil
}

// exchange sends one request and returns the status and the body of its answer, which
// may hold values and is the caller's to clear, and whether k can be used again.
func (k *kept) exchange(ctx context.Context, method, path string, body []byte) (status int, answer []byte, usable bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = k.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	head := method + " " + path + " HTTP/1.1\r\nHost: nbhush\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	request := append(append(make([]byte, 0, len(head)+len(body)), head...), body...)
	_, failed := k.conn.Write(request)
	clear(request)
	k.left = maxHeader
	defer func() { clear(k.buffer) }()
	resp, err := http.ReadResponse(k.in, nil) // the agent may have answered before it read all
	if err != nil {
		if failed != nil {
			err = failed
		}
		return 0, nil, false, err
	}
	k.left = math.MaxInt
	if answer, err = readAnswer(resp); err != nil {
		_ = k.conn.Close() // first: to close the body would read the rest of it
	}
	_ = resp.Body.Close()
	usable = err == nil && failed == nil && !resp.Close && k.in.Buffered() == 0 && stop()
	return resp.StatusCode, answer, usable, err
}

// readAnswer returns the body of an answer of this protocol.
func readAnswer(resp *http.Response) ([]byte, error) {
	if err := checkVersion(resp.Header); err != nil {
		return nil, err
	}
	b, err := api.ReadBody(resp.Body, resp.ContentLength, api.MaxBody)
	if err != nil {
		return nil, &api.Error{Code: api.CodeInternal, Message: "the agent's answer broke off: " + err.Error()}
	}
	return b, nil
}
