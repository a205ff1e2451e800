package zsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// client is what the two connecting sockets share.
type client struct {
	*peer
	pool     pool
	encoders encoders
	wg       sync.WaitGroup
	opts     Options
	once     sync.Once
}

// dial connects, and tries again until ctx ends: the kernel binds when it is
// ready. It does not try again what the other side refuses.
func (c *client) dial(ctx context.Context, endpoint string, identity []byte, k *kind, o Options) error {
	if err := checkIdentity(identity); err != nil {
		return err
	}
	network, address, err := parseEndpoint(endpoint)
	if err != nil {
		return err
	}
	c.opts = o.withDefaults(k.queue)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := c.try(ctx, network, address, identity, k)
		if err == nil {
			return nil
		}
		if final(err) {
			return fmt.Errorf("connect to %s: %w", endpoint, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to %s: %w (%w)", endpoint, ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// final reports whether err will be the same next time.
func final(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) || errors.Is(err, errGreeting) || errors.Is(err, errVersion) ||
		errors.Is(err, errMechanism) || errors.Is(err, errReady) || errors.Is(err, errSocketType) ||
		errors.Is(err, errIdentity) || errors.Is(err, errFrame) || errors.Is(err, errCommand) || errors.Is(err, errCurve)
}

// try connects once and does the handshake.
func (c *client) try(ctx context.Context, network, address string, identity []byte, k *kind) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Handshake)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	// A TCP port of this host's dynamic range on which nobody listens can be
	// connected to itself.
	if network == "tcp" && conn.LocalAddr().String() == conn.RemoteAddr().String() {
		_ = conn.Close()
		return os.ErrNotExist
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	p := newPeer(conn, k, &c.opts, &c.pool, &c.wg)
	if err = p.connect(identity); err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		_ = conn.Close()
		return err
	}
	p.in.resize(k.buffer)
	c.peer = p
	return nil
}

func (c *client) send(frames [][]byte) error {
	if len(frames) == 0 {
		return errNoFrames
	}
	e := c.encoders.get(frames)
	defer c.encoders.put(e)
	_, err := c.out.send(e)
	return err
}

// ended closes the connection whose reader ended with err and returns why: a
// write that failed before says less than what was read last. The reader calls it.
func (c *client) ended(err error) error {
	c.in.wipe()
	if cause := c.out.shut(err); errors.Is(cause, ErrClosed) {
		return ErrClosed
	}
	return err
}

// Close waits up to Options.Linger for what is queued, ends the connection and
// returns when all goroutines of the socket have ended.
func (c *client) Close() error {
	c.once.Do(func() {
		linger([]*peer{c.peer}, c.opts.Linger)
		_ = c.out.shut(ErrClosed)
	})
	c.wg.Wait()
	return nil
}

// Dealer is a DEALER socket connected to one ROUTER. All methods may be called
// at the same time.
type Dealer struct {
	client
	in  chan Message
	end chan struct{} // closed when the reader ended with err
	err error
}

// DialDealer connects to endpoint with this identity, which may be empty, and
// tries again until ctx ends. The socket outlives ctx. It does not reconnect.
func DialDealer(ctx context.Context, endpoint string, identity []byte, o Options) (*Dealer, error) {
	d := &Dealer{in: make(chan Message), end: make(chan struct{})}
	if err := d.dial(ctx, endpoint, identity, &dealerKind, o); err != nil {
		return nil, err
	}
	d.wg.Go(d.read)
	return d, nil
}

func (d *Dealer) read() {
	defer close(d.end)
	for {
		b, err := d.peer.in.message()
		if err != nil {
			d.err = d.ended(err)
			return
		}
		m := b.message(nil)
		if d.opts.Handle != nil {
			d.opts.Handle(m)
			continue
		}
		select {
		case d.in <- m:
		case <-d.out.gone:
			d.err = ErrClosed
			return
		}
	}
}

// Done is closed when the connection has ended and no more messages come.
func (d *Dealer) Done() <-chan struct{} { return d.end }

// Send sends one message. It waits while more than Options.Queue bytes are
// queued. An error is final: the connection has ended.
func (d *Dealer) Send(frames [][]byte) error { return d.send(frames) }

// Recv returns the next message, or ctx's error, or ErrClosed after Close, or
// why the connection ended: io.EOF when the other side closed it.
func (d *Dealer) Recv(ctx context.Context) (Message, error) {
	select {
	case m := <-d.in:
		return m, nil
	case <-d.end:
		return Message{}, d.err
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// Sub is a SUB socket connected to one XPUB or PUB. It reads as fast as the
// wire gives and holds what Recv has not taken, without a limit: a publisher
// drops for a slow reader. All methods may be called at the same time.
type Sub struct {
	client

	mu    sync.Mutex
	items fifo[Message]
	bytes int
	err   error         // why the reader ended
	more  chan struct{} // holds one token when something changed
}

// DialSub connects to endpoint, subscribes to topics and tries again until ctx
// ends. The socket outlives ctx. It does not reconnect.
func DialSub(ctx context.Context, endpoint string, topics [][]byte, o Options) (*Sub, error) {
	s := &Sub{more: make(chan struct{}, 1)}
	if err := s.dial(ctx, endpoint, nil, &subKind, o); err != nil {
		return nil, err
	}
	for _, t := range topics {
		if err := s.subscribe(t); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.in.early = s.opts.Early
	s.wg.Go(s.read)
	return s, nil
}

// subscribe asks for a topic in the form that the publisher's version has.
func (s *Sub) subscribe(topic []byte) error {
	if s.minor > 0 {
		return s.sendCommand("SUBSCRIBE", topic)
	}
	return s.send([][]byte{append([]byte{1}, topic...)})
}

func (s *Sub) read() {
	for {
		b, err := s.in.message()
		if err != nil {
			s.fail(err)
			return
		}
		m := b.message(nil)
		last, a := m.Frames[len(m.Frames)-1], b.arrival // b is Recv's caller's soon
		s.mu.Lock()
		s.items.push(m)
		s.bytes += m.size()
		s.mu.Unlock()
		s.signal()
		if err := s.in.finish(last, a); err != nil {
			s.fail(err)
			return
		}
	}
}

// fail notes why the reader ends.
func (s *Sub) fail(err error) {
	s.mu.Lock()
	s.err = s.ended(err)
	s.mu.Unlock()
	s.signal()
}

func (s *Sub) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Waiting returns the number of messages that Recv has not taken yet and the
// bytes of memory that they hold.
func (s *Sub) Waiting() (messages, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items.len(), s.bytes
}

// Recv returns the next message, or ctx's error, or ErrClosed after Close, or
// why the connection ended: io.EOF when the other side closed it. What arrived
// before the end is returned first.
func (s *Sub) Recv(ctx context.Context) (Message, error) {
	for {
		if m, ok, err := s.next(); ok || err != nil {
			return m, err
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

func (s *Sub) next() (m Message, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items.len() == 0 {
		if s.err != nil {
			s.signal() // for the next caller
		}
		return Message{}, false, s.err
	}
	m = s.items.pop()
	s.bytes -= m.size()
	if s.items.len() > 0 {
		s.signal()
	}
	return m, true, nil
}
