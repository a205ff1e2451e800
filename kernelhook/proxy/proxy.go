package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/nbhush/nbhush/kernelhook/redact"
	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// Proxy carries messages between clients and a kernel. Its fields do not
// change while it runs.
type Proxy struct {
	Signer   *wire.Signer // has the key of both sides
	Redactor *redact.Redactor

	// Bootstrap returns the code to execute silently before anything else in
	// a kernel of this language, "" for none. Nil: none for any.
	Bootstrap func(language string) string
	// Notice is a line to be shown once, after the first cell; "" for none.
	Notice string
	// Ended is closed when the kernel's process has ended: it need not be
	// connected to any more.
	Ended <-chan struct{}
	// Burst, if set, is told the size in bytes of what iopub has carried when
	// nothing more waits.
	Burst func(bytes int)

	front  *front
	back   *back
	self   []byte // the routing id of the hook's own requests
	gate   chan struct{}
	own    ownRequests
	stage  *redact.Stage
	notice notice
	iopub  iopub
}

// Run connects to the kernel, then binds the endpoints for clients, and carries
// messages until the kernel's sockets end or ctx does. The kernel comes first
// because a request that a client sent to the kernel before this one, such as
// to shut down, may still look for somebody on those ports: it must not find
// anybody sooner than it would without a hook.
func (p *Proxy) Run(ctx context.Context, clients, kernel Endpoints) error {
	p.self = []byte("nbhush-self-" + rand.Text())
	p.gate = make(chan struct{})
	p.own.replies = make(chan wire.Message, 16)
	p.own.heard = make(chan struct{})
	p.own.requests = map[string]bool{}
	p.stage = redact.NewStage(p.Redactor, p.publish)
	p.notice.text = p.Notice
	p.notice.pending.Store(p.Notice != "")

	if err := p.connect(ctx, kernel); err != nil {
		return err
	}
	var err error
	if p.front, err = listen(clients); err != nil {
		return errors.Join(err, p.back.close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.toKernel(ctx, p.front.shell, p.back.shell, p.gate) })
	wg.Go(func() { p.toKernel(ctx, p.front.control, p.back.control, nil) })
	wg.Go(func() { p.toKernel(ctx, p.front.stdin, p.back.stdin, nil) })
	wg.Go(func() { p.welcome(ctx) })
	wg.Go(func() { p.greet(ctx) })
	var replies sync.WaitGroup // these end with the kernel
	replies.Go(func() { p.toClient(ctx, p.back.shell, p.front.shell) })
	replies.Go(func() { p.toClient(ctx, p.back.control, p.front.control) })
	replies.Go(func() { p.toClient(ctx, p.back.stdin, p.front.stdin) })
	replies.Go(func() { p.publishAll(ctx) })
	replies.Wait()
	cancel()
	wg.Wait()
	p.stage.Close()
	return errors.Join(p.back.close(), p.front.close())
}

// connect waits for the kernel to be there.
func (p *Proxy) connect(ctx context.Context, kernel Endpoints) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-p.Ended:
			cancel()
		case <-done:
		}
	}()
	p.back, err = dial(ctx, kernel)
	return err
}

// toKernel carries requests of clients, after gate is open if there is one.
func (p *Proxy) toKernel(ctx context.Context, from *zsock.Router, to *zsock.Dealer, gate <-chan struct{}) {
	var frames [][]byte
	for {
		msg, err := from.Recv(ctx)
		if err != nil {
			return
		}
		if gate != nil {
			select {
			case <-gate:
				gate = nil
			case <-ctx.Done():
				return
			}
		}
		if !msg.Trusted || p.notice.pending.Load() {
			p.inspect(from, msg)
		}
		frames = append(append(frames[:0], msg.Peer), msg.Frames...)
		err = to.Send(frames)
		clear(frames)
		msg.Release()
		if err != nil {
			return
		}
	}
}

// inspect looks at a request that the proxy acts on: the first one of a
// connection, which shows that it has the key, and the first ones to execute code.
func (p *Proxy) inspect(from *zsock.Router, msg zsock.Message) {
	m, err := wire.Parse(msg.Frames)
	if err != nil || !p.Signer.Verify(m) {
		return // the kernel says what it thinks of it
	}
	if !msg.Trusted {
		from.Trust(msg.Peer)
	}
	p.notice.seen(m)
}

// toClient carries replies and input_requests to the clients that they are for.
func (p *Proxy) toClient(ctx context.Context, from *zsock.Dealer, to *zsock.Router) {
	for {
		msg, err := from.Recv(ctx)
		if err != nil {
			return
		}
		p.reply(ctx, msg, to)
	}
}

func (p *Proxy) reply(ctx context.Context, msg zsock.Message, to *zsock.Router) {
	m, err := wire.Parse(msg.Frames)
	if err != nil || len(m.Identities()) == 0 {
		return // for nobody
	}
	if m.IsFor(p.self) {
		p.own.reply(m) // keeps the frames
		return
	}
	p.stage.Flush(m)
	m = p.Redactor.Message(ctx, m)
	_ = to.Send(m.Frames[0], m.Frames[1:]) // a client that is gone needs no reply
	msg.Release()
}

// notice is a line that the first cell shows.
type notice struct {
	text    string
	pending atomic.Bool

	mu     sync.Mutex
	parent []byte // header of the request that shows it
	msgID  string
}

// seen looks for the first request to execute code.
func (n *notice) seen(m wire.Message) {
	if !n.pending.Load() {
		return
	}
	h, _ := wire.ScanHeader(m.Header())
	if h.MsgType != "execute_request" || silent(m.Content()) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parent == nil {
		n.parent, n.msgID = append([]byte(nil), m.Header()...), h.MsgID
		n.pending.Store(false)
	}
}

// due returns the header of the request that shows the notice if its msg_id is id, once.
func (n *notice) due(id string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parent == nil || n.msgID != id {
		return nil
	}
	n.msgID = ""
	return n.parent
}
