package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
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
	// Before, if set, returns code to be executed silently before a cell, one
	// request each, in a kernel of this language that does nothing else: nothing
	// that fails can take it away. It is called for each cell that finds the kernel so.
	Before func(ctx context.Context, language string) []string
	// Notice is a line to be shown once, after the first cell; "" for none.
	Notice string
	// Ended is closed when the kernel's process has ended: it need not be
	// connected to any more.
	Ended <-chan struct{}
	// Reached, if set, is called when the kernel has been connected to.
	Reached func()
	// Carried, if set, is told the size in bytes of what iopub carried, again and
	// again while there is something.
	Carried func(bytes int)
	// Dropped, if set, is told how many messages of iopub a client lost that
	// does not read, as it would lose them of a bare kernel.
	Dropped func(n int)
	// Replayed, if set, is told that a client sent a message again that the kernel has
	// had, which was dropped; from is its connection, nil if that is gone. It is called on
	// the goroutine that reads this client.
	Replayed func(from zsock.Conn)
	// Admit, if set, is zsock.Options.Admit of the sockets that clients connect to.
	Admit func(net.Conn) error

	front  *front
	back   *back
	bound  chan struct{} // closed when front is set
	self   []byte        // the routing id of the hook's own requests
	gate   chan struct{}
	own    ownRequests
	stage  *redact.Stage
	notice notice
	iopub  iopub
	askers askers
	cells  cells
	turns  turns
	had    history
	model  atomic.Pointer[[]byte] // a header of the kernel's own

	language  string     // of the kernel, as it says, once gate is open
	beginning sync.Mutex // of cells, one after the other
}

// Run connects to the kernel, then binds the endpoints for clients, and carries
// messages until the kernel's sockets end or ctx does. The kernel comes first
// because a request that a client sent to the kernel before this one, such as
// to shut down, may still look for somebody on those ports: it must not find
// anybody sooner than it would without a hook.
func (p *Proxy) Run(ctx context.Context, clients, kernel Endpoints) error {
	p.self = []byte("nbhush-self-" + rand.Text())
	p.gate, p.bound = make(chan struct{}), make(chan struct{})
	p.own.replies = make(chan wire.Message, 16)
	p.own.heard = make(chan struct{})
	p.own.requests = map[string]bool{}
	p.stage = redact.NewStage(p.Redactor, p.publish)
	p.notice.text = p.Notice
	p.notice.pending.Store(p.Notice != "")

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.connect(ctx, kernel); err != nil {
		cancel()
		return errors.Join(err, p.back.close())
	}
	if p.Reached != nil {
		p.Reached()
	}
	f, err := listen(clients, p.Admit, p.Dropped, func(c channel, m zsock.Message) { p.request(ctx, c, m) })
	if err != nil {
		cancel()
		return errors.Join(err, f.close(), p.back.close())
	}
	p.front = f
	close(p.bound)
	var wg sync.WaitGroup
	wg.Go(func() { p.welcome(ctx) })
	wg.Go(func() { p.greet(ctx) })
	p.publishAll(ctx) // until the kernel ends
	for _, d := range p.back.dealers {
		select {
		case <-d.Done():
		case <-ctx.Done():
		}
	}
	cancel()
	wg.Wait()
	p.stage.Close()
	return errors.Join(p.back.close(), p.front.close())
}

// connect waits for the kernel to be there. Its replies are carried until ctx ends.
func (p *Proxy) connect(ctx context.Context, kernel Endpoints) (err error) {
	dialing, cancel := context.WithCancel(ctx)
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
	p.back, err = dial(dialing, kernel, func(c channel, m zsock.Message) { p.reply(ctx, c, m) })
	return err
}

// request carries a request of a client to the kernel.
func (p *Proxy) request(ctx context.Context, c channel, msg zsock.Message) {
	defer msg.Release()
	gate := p.bound
	if c == shell {
		gate = p.gate // which opens later
	}
	select {
	case <-gate:
	case <-ctx.Done():
		return
	}
	known, again := p.inspect(p.front.routers[c], msg)
	if again {
		if p.Replayed != nil {
			p.Replayed(p.front.routers[c].Conn(msg.Peer))
		}
		return
	}
	if c == stdin && p.isAnswer(msg) {
		return
	}
	if c == shell && known {
		p.begin(ctx, msg)
	}
	if p.askers.needed.Load() {
		p.askers.note(msg.Peer, msg.Frames)
	}
	_ = p.back.dealers[c].Send(append([][]byte{msg.Peer}, msg.Frames...)) // a kernel that is gone ends the proxy by itself
}

// begin notes a request on shell if it is one to execute code, and has executed
// before it what has to be. That is sent on the same connection, so the kernel
// gets it first, and nothing is waiting there that could fail and take it away.
func (p *Proxy) begin(ctx context.Context, msg zsock.Message) {
	c := cellOf(msg.Peer, msg.Frames)
	if c == nil {
		return
	}
	if p.Before != nil && p.cells.count.Load() == 0 {
		p.beginning.Lock()
		defer p.beginning.Unlock()
		if p.cells.count.Load() == 0 {
			for _, code := range p.Before(ctx, p.language) {
				p.execute(code)
			}
		}
	}
	p.cells.began(c)
}

// inspect looks at a request of a client. known: whoever sent it has the key. That
// shows in the first message of a connection with a valid signature; after it only
// those are verified that the proxy acts on. again: the kernel has had this very message, on
// whichever channel, so that jupyter_client's Session would refuse it there. Who
// sends nothing else than what others sent does not become known.
func (p *Proxy) inspect(from *zsock.Router, msg zsock.Message) (known, again bool) {
	m, err := wire.Parse(msg.Frames)
	if err != nil {
		return false, false // the kernel says what it thinks of it
	}
	verify := !msg.Trusted || p.notice.pending.Load()
	if verify && !p.Signer.Verify(m) {
		return false, false // the same
	}
	if tag, ok := p.Signer.Tag(m); ok && p.had.again(tag) && (verify || p.Signer.Verify(m)) {
		return false, true
	}
	if !msg.Trusted {
		from.Trust(msg.Peer)
	}
	if verify {
		p.notice.seen(m)
	}
	return true, false
}

// reply carries a reply or an input_request to the client that it is for.
func (p *Proxy) reply(ctx context.Context, c channel, msg zsock.Message) {
	select {
	case <-p.bound:
	case <-ctx.Done():
		return
	}
	m, err := wire.Parse(msg.Frames)
	if err != nil {
		return // for nobody
	}
	peer, own := []byte(nil), m.IsFor(p.self)
	if len(m.Identities()) == 0 {
		if peer, own = p.askers.of(m, p.self); peer == nil && !own {
			return
		}
	}
	if own {
		p.own.reply(m) // keeps the frames
		return
	}
	p.stage.Flush(m)
	if c == shell {
		if cell := p.cells.replied(m); cell != nil {
			p.turns.ended(cell)
		}
	}
	frames := p.Redactor.Message(ctx, m).Frames
	if peer == nil {
		peer, frames = frames[0], frames[1:]
	}
	send := func() {
		_ = p.front.routers[c].Send(peer, frames) // a client that is gone needs no reply
		msg.Release()
	}
	if c == stdin {
		p.kernelAsks(peer, m, send)
		return
	}
	send()
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
