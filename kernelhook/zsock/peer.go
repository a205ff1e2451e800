package zsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// kind is what a socket is to its peers: RFC 37, "The Socket-Type Property".
type kind struct {
	name    string
	peers   []string // socket types that it talks to
	buffer  int      // size of a reader's buffer
	queue   int      // default of Options.Queue
	full    full     // what a queue does
	trusted bool     // peers need no Trust
	limit   int      // of a received message, if peers have no reason to send long ones
}

var (
	clients     = []string{"REQ", "DEALER", "ROUTER"}
	subscribers = []string{"SUB", "XSUB"}

	routerKind = kind{name: "ROUTER", peers: clients, buffer: 64 << 10, queue: 64 << 20, full: cutOff}
	echoKind   = kind{name: "ROUTER", peers: clients, buffer: smallBuffer, queue: 1 << 20, full: wait, trusted: true, limit: maxCommand}
	xpubKind   = kind{name: "XPUB", peers: subscribers, buffer: smallBuffer, queue: 512 << 20, full: dropOldest, trusted: true, limit: maxCommand}
	dealerKind = kind{name: "DEALER", peers: []string{"ROUTER", "DEALER", "REP"}, buffer: 64 << 10, queue: 64 << 20, full: wait, trusted: true}
	subKind    = kind{name: "SUB", peers: []string{"PUB", "XPUB"}, buffer: 64 << 10, queue: 1 << 20, full: wait, trusted: true}
)

// smallBuffer is the size of a reader's buffer during the handshake.
const smallBuffer = 2 * maxCommand

// peer is one connection.
type peer struct {
	conn  net.Conn
	kind  *kind
	id    []byte // routing id
	minor byte   // of the ZMTP version that both speak
	in    *reader
	out   *queue

	established bool          // handshake done; the server's lock guards it
	trust       chan struct{} // closed by Trust
	trustOnce   sync.Once
	heard       bool // the reader has delivered a message of it

	// subscribed, if set, is told of SUBSCRIBE and CANCEL.
	subscribed func(topic []byte, cancel bool) error
	o          *Options
}

func newPeer(conn net.Conn, k *kind, o *Options, pl *pool, wg *sync.WaitGroup) *peer {
	p := &peer{
		conn: conn, kind: k, o: o,
		in:    newReader(conn, pl, smallBuffer),
		out:   newQueue(conn, o.Queue, k.full, wg),
		trust: make(chan struct{}),
	}
	p.in.command, p.in.allow = p.command, p.allow
	if k.trusted {
		p.trusted()
	}
	return p
}

func (p *peer) trusted() { p.trustOnce.Do(func() { close(p.trust) }) }

func (p *peer) isTrusted() bool {
	select {
	case <-p.trust:
		return true
	default:
		return false
	}
}

// errRefused is the reason of the other side's ERROR command.
func errRefused(data []byte) error {
	reason, _, err := splitCommand(data) // an error-reason has the same form as a name
	if err != nil {
		reason = nil
	}
	return &refusedError{string(reason)}
}

type refusedError struct{ reason string }

func (e *refusedError) Error() string { return fmt.Sprintf("refused by the other side: %q", e.reason) }

// accept does the server's part of greeting and handshake: RFC 37, "Version
// Negotiation", and the mechanism's own.
func (p *peer) accept() error {
	m := p.o.accepter()
	if err := p.greet(m.greeting()); err != nil {
		return err
	}
	metadata, err := m.accept(p)
	var r ready
	if err == nil {
		r, err = p.check(metadata)
	}
	if err != nil {
		p.refuse(err)
		return err
	}
	p.id = slices.Clone(r.identity)
	return m.welcome(p, ready{socketType: p.kind.name}.metadata())
}

// refuse says why, where the other side can know: RFC 37, "The Socket-Type
// Property": "handle errors by returning an ERROR command, and then
// disconnecting". A reason has no spaces in it.
func (p *peer) refuse(err error) {
	for _, e := range []error{errReady, errSocketType, errIdentity, errFrame, errCommand} {
		if errors.Is(err, e) {
			reason := strings.ReplaceAll(e.Error(), " ", "-")
			_, _ = p.conn.Write(appendCommand(nil, "ERROR", []byte{byte(len(reason))}, []byte(reason)))
		}
	}
}

// connect does the client's part.
func (p *peer) connect(identity []byte) error {
	m := p.o.connecter()
	if err := p.greet(m.greeting()); err != nil {
		return err
	}
	metadata, err := m.connect(p, ready{p.kind.name, identity}.metadata())
	if err == nil {
		_, err = p.check(metadata)
	}
	return err
}

func (p *peer) greet(own string) (err error) {
	if _, err := p.conn.Write([]byte(own)); err != nil {
		return err
	}
	p.minor, err = p.in.greet(own)
	return err
}

// check reads the other side's metadata.
func (p *peer) check(metadata []byte) (ready, error) {
	r, err := parseReady(metadata)
	if err != nil {
		return r, err
	}
	if !slices.Contains(p.kind.peers, r.socketType) {
		return r, fmt.Errorf("%w for %s", errSocketType, p.kind.name)
	}
	if p.kind.name != "ROUTER" {
		return r, nil // "For all other socket types, the Identity property shall be ignored."
	}
	return r, checkIdentity(r.identity)
}

// allow decides whether the next frame of a message may come.
func (p *peer) allow(size uint64, frames int) (eager bool, err error) {
	limit, most := p.limits()
	if (size > uint64(limit) || frames > most) && p.awaitTrust() {
		limit, most = p.limits()
	}
	if size > uint64(limit) {
		return false, fmt.Errorf("%w: message of %d bytes", errTooLong, size)
	}
	if frames > most {
		return false, fmt.Errorf("%w: message of %d frames", errTooLong, frames)
	}
	return p.isTrusted(), nil
}

func (p *peer) limits() (bytes, frames int) {
	switch {
	case p.kind.limit > 0:
		return p.kind.limit, maxFramesUntrusted
	case p.isTrusted():
		return p.o.MaxMessage, maxFrames
	}
	return p.o.MaxUntrusted, maxFramesUntrusted
}

// awaitTrust waits for the caller's verdict on what the peer sent before: a
// client may send a long message right behind its first one. Nothing of the
// long message is read meanwhile.
func (p *peer) awaitTrust() bool {
	if p.isTrusted() || !p.heard {
		return false
	}
	t := time.NewTimer(p.o.Handshake)
	defer t.Stop()
	select {
	case <-p.trust:
		return true
	case <-p.out.gone:
	case <-t.C:
	}
	return false
}

// command handles a command of the traffic phase. Those that it does not know,
// such as JOIN and LEAVE, mean nothing to these sockets and are skipped, as libzmq does.
func (p *peer) command(body []byte) error {
	name, data, err := splitCommand(body)
	if err != nil {
		return err
	}
	switch string(name) {
	case "PING":
		return p.ping(data)
	case "SUBSCRIBE", "CANCEL":
		if p.subscribed != nil {
			return p.subscribed(data, string(name) == "CANCEL")
		}
	case "ERROR":
		return errRefused(data)
	}
	return nil
}

// ping answers a PING: RFC 37, "Connection Heartbeating".
func (p *peer) ping(data []byte) error {
	const maxContext = 16
	if len(data) < 2 || len(data) > 2+maxContext {
		return fmt.Errorf("%w: PING of %d bytes", errCommand, len(data))
	}
	p.in.ttl = time.Duration(binary.BigEndian.Uint16(data)) * (time.Second / 10)
	return p.sendCommand("PONG", data[2:])
}

func (p *peer) sendCommand(name string, data ...[]byte) error {
	frame := appendCommand(nil, name, data...)
	_, err := p.out.send(&encoded{pieces: [][]byte{frame}, size: len(frame), command: true})
	return err
}
