package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// The errors of Ask.
var (
	ErrNobody = errors.New("there is nobody to ask")
	ErrLate   = errors.New("nobody answered")
)

// questionPrefix begins the msg_id of every question of a hook, so that an
// answer is known for one also by the hook of the next kernel.
const questionPrefix = "nbhush-question-"

const (
	stillThere = time.Second // between looks at whether the client is connected
	reachTries = 50
	reachPause = 20 * time.Millisecond
	maxHeld    = 256 // input_requests of the kernel that wait for one client
)

// turns are whose question each client has before it. A client knows one at a
// time: many answer with a message that does not say what it answers. So a
// question of the hook waits for the answer to the kernel's, and the other way
// round. An answer to the hook's never reaches the kernel.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // by the client's routing id
}

// turn is the state of one client. The zero turn is that of one who has no question.
type turn struct {
	hooks  *question     // of the hook, which the client has
	cells  []string      // whose input_requests of the kernel the client has
	held   []held        // input_requests of the kernel that wait until hooks is answered
	stale  bool          // a question of the hook ended without an answer, which may still come
	change chan struct{} // closed when the client has no question any more
}

func (t *turn) free() bool { return t.hooks == nil && len(t.cells) == 0 }

type question struct {
	id, cell string
	answer   chan string // takes one answer
}

type held struct {
	cell string
	send func()
}

// with runs f on the turn of a client, and forgets the turn if nothing is left in it.
func (ts *turns) with(peer []byte, f func(*turn)) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.of[string(peer)]
	if t == nil {
		t = &turn{change: make(chan struct{})}
	}
	f(t)
	if t.hooks == nil {
		t.next()
	}
	if t.free() {
		close(t.change)
		t.change = make(chan struct{})
	}
	if t.free() && !t.stale {
		delete(ts.of, string(peer))
		return
	}
	if ts.of == nil {
		ts.of = map[string]*turn{}
	}
	ts.of[string(peer)] = t
}

// next sends what the kernel has asked meanwhile, in its order: the kernel may
// ask again before it has an answer, as it may without a hook.
func (t *turn) next() {
	for _, h := range t.held {
		t.cells, t.stale = append(t.cells, h.cell), false
		h.send()
	}
	t.held = nil
}

// kernelAsks has an input_request of the kernel sent when it is its turn.
func (ts *turns) kernelAsks(peer []byte, cell string, send func()) {
	ts.with(peer, func(t *turn) {
		if len(t.held) < maxHeld {
			t.held = append(t.held, held{cell, send})
		}
	})
}

// ended forgets what a cell asked: nobody waits for the answers.
func (ts *turns) ended(c *Cell) {
	ts.mu.Lock()
	_, known := ts.of[string(c.peer)]
	ts.mu.Unlock()
	if !known {
		return
	}
	ts.with(c.peer, func(t *turn) {
		t.cells = slices.DeleteFunc(t.cells, func(id string) bool { return id == c.id })
		if t.hooks != nil && t.hooks.cell == c.id {
			t.hooks, t.stale = nil, true
		}
		t.held = slices.DeleteFunc(t.held, func(h held) bool { return h.cell == c.id })
	})
}

// begin makes q the question that the client has, if it has none. Otherwise it
// returns what is closed when that may have changed.
func (ts *turns) begin(peer []byte, q *question) (wait <-chan struct{}) {
	ts.with(peer, func(t *turn) {
		if t.free() {
			t.hooks = q
			return
		}
		wait = t.change
	})
	return wait
}

// drop takes a question back that the client has not got, or will not answer.
func (ts *turns) drop(peer []byte, q *question) {
	ts.with(peer, func(t *turn) {
		if t.hooks == q {
			t.hooks = nil
		}
	})
}

// answered says whether an input_reply is for the kernel. valid is asked about
// what would be an answer to the hook.
func (ts *turns) answered(peer []byte, m wire.Message, valid func() bool) (kernels bool) {
	to, _ := wire.ScanHeader(m.Parent())
	ts.with(peer, func(t *turn) {
		hooks := strings.HasPrefix(to.MsgID, questionPrefix)
		switch {
		case t.hooks != nil && (to.MsgID == t.hooks.id || to.MsgID == ""):
			if valid() {
				t.hooks.answer <- value(m.Content())
				t.hooks = nil
			}
		case hooks: // late
			t.stale = false
		case to.MsgID == "" && t.stale && t.free():
			t.stale = false // late, too: the kernel has asked nothing
		default:
			if len(t.cells) > 0 {
				t.cells = t.cells[1:]
			}
			kernels = true
		}
	})
	return kernels
}

// value returns what the content of an input_reply says.
func value(content []byte) string {
	var c struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(content, &c) != nil {
		return ""
	}
	return c.Value
}

// Cell returns the cell with this msg_id or, if there is none, the one that runs;
// nil if none does.
func (p *Proxy) Cell(id string) *Cell { return p.cells.find(id) }

// Client returns the connection on which the client of a cell is asked, to look
// at who that is; nil if it takes no questions or is not connected.
func (p *Proxy) Client(c *Cell) zsock.Conn {
	if !c.answers {
		return nil
	}
	return p.front.routers[stdin].Conn(c.peer)
}

// Reach is Client that waits a moment for a client that has just begun to connect.
func (p *Proxy) Reach(ctx context.Context, c *Cell) zsock.Conn {
	for range reachTries {
		if conn := p.Client(c); conn != nil || !c.answers {
			return conn
		}
		select {
		case <-time.After(reachPause):
		case <-c.ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// Ask asks the client that sent a cell, as the kernel would with an
// input_request, and returns its answer. It waits its turn first. ErrNobody:
// the client takes no questions, or has gone. ErrLate: ctx ended, or the cell
// did. A question that ctx ended stands before the client until it answers or
// the cell ends, and what the kernel asks waits behind it.
func (p *Proxy) Ask(ctx context.Context, c *Cell, prompt string) (string, error) {
	model := p.model.Load()
	if !c.answers || model == nil {
		return "", ErrNobody
	}
	q := &question{id: questionPrefix + rand.Text(), cell: c.id, answer: make(chan string, 1)}
	for {
		wait := p.turns.begin(c.peer, q)
		if wait == nil {
			break
		}
		select {
		case <-wait:
		case <-c.ended:
			return "", ErrLate
		case <-ctx.Done():
			return "", ErrLate
		}
	}
	header := newHeaderWith(*model, "input_request", q.id)
	content := encode(map[string]any{"prompt": prompt, "password": false})
	m := wire.New(p.Signer, [][]byte{c.peer}, header, c.header, []byte("{}"), content, nil)
	p.stage.Flush(m)
	if err := p.front.routers[stdin].Send(c.peer, p.Redactor.Message(ctx, m).Frames[1:]); err != nil {
		p.turns.drop(c.peer, q)
		return "", ErrNobody
	}
	look := time.NewTicker(stillThere)
	defer look.Stop()
	for {
		select {
		case a := <-q.answer:
			return a, nil
		case <-c.ended:
			p.turns.ended(c) // it may have ended before the question began
			return "", ErrLate
		case <-ctx.Done():
			return "", ErrLate
		case <-look.C:
			if p.front.routers[stdin].Conn(c.peer) == nil {
				p.turns.drop(c.peer, q)
				return "", ErrNobody
			}
		}
	}
}

// isAnswer reports whether a message on stdin is an answer to the hook, which
// never reaches the kernel.
func (p *Proxy) isAnswer(msg zsock.Message) bool {
	m, err := wire.Parse(msg.Frames)
	if err != nil {
		return false
	}
	if h, _ := wire.ScanHeader(m.Header()); h.MsgType != "input_reply" {
		return false
	}
	return !p.turns.answered(msg.Peer, m, func() bool { return p.Signer.Verify(m) })
}

// kernelAsks carries a message of the kernel on stdin when it is its turn.
func (p *Proxy) kernelAsks(peer []byte, m wire.Message, send func()) {
	if h, _ := wire.ScanHeader(m.Header()); h.MsgType != "input_request" {
		send()
		return
	}
	parent, _ := wire.ScanHeader(m.Parent())
	id := parent.MsgID
	if id == "" {
		id = "unknown"
	}
	p.turns.kernelAsks(bytes.Clone(peer), id, send)
}
