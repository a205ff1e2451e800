package kernelhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
	"github.com/nbhush/nbhush/kernelhook/inject"
	"github.com/nbhush/nbhush/kernelhook/proxy"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// consentTime is how long a cell waits for the user's answer. After it the answer is no.
const consentTime = 5 * time.Minute

// maxRefused is how many refusals are remembered.
const maxRefused = 1024

// consent asks the user what policy leaves to him. The question goes from the
// hook to the client whose cell runs, and the answer from the hook to the agent:
// the kernel's code sees neither. One question for a name stands at a time; who
// comes second gets by the answer to the first, if that was for the whole
// kernel. It is safe for concurrent use.
type consent struct {
	*link
	notebook string        // for the question: what the kernel calls itself
	program  string        // the kernel's
	patience time.Duration // for an answer

	mu      sync.Mutex
	proxy   *proxy.Proxy             // through which clients are reached, nil while there is none
	kernel  int                      // process that the hook started
	asked   map[string]chan struct{} // names that are asked for now; closed when that is over
	refused map[refusal]struct{}
}

// refusal is a no to a name, which a cell does not get around by asking again.
type refusal struct{ cell, name string }

func newConsent(l *link, k api.Kernel, patience time.Duration) *consent {
	return &consent{link: l, notebook: k.Notebook, program: k.Argv0, patience: patience, asked: map[string]chan struct{}{}}
}

// through makes p the proxy whose clients are asked; kernel is the process behind it.
func (c *consent) through(p *proxy.Proxy, kernel int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proxy, c.kernel = p, kernel
}

// Consent returns the value of a name that the agent gives only after the user
// said yes. Its errors are the agent's.
func (c *consent) Consent(ctx context.Context, q inject.Question) (secret.Value, error) {
	if err := c.begin(ctx, q.Name); err != nil {
		return secret.Value{}, err
	}
	defer c.end(q.Name)
	// What was answered to somebody else meanwhile may be enough.
	v, err := c.Get(ctx, q.Name)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeConsent {
		return v, err
	}
	answer, client := c.ask(ctx, q, e)
	return c.answered(ctx, q.Name, answer, client)
}

// begin waits until nobody else asks for name.
func (c *consent) begin(ctx context.Context, name string) error {
	for {
		c.mu.Lock()
		over, busy := c.asked[name]
		if !busy {
			c.asked[name] = make(chan struct{})
		}
		c.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *consent) end(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.asked[name])
	delete(c.asked, name)
}

// ask asks the client of the cell that asks for q, and says which process answered, 0
// where that is not known.
func (c *consent) ask(ctx context.Context, q inject.Question, why *api.Error) (api.Answer, int) {
	c.mu.Lock()
	p := c.proxy
	c.mu.Unlock()
	if p == nil {
		return api.AnswerNobody, 0
	}
	cell := p.Cell(q.Cell)
	if cell == nil {
		return api.AnswerNobody, 0
	}
	key := refusal{cell.ID(), q.Name}
	if c.was(key) {
		return api.AnswerNo, 0
	}
	conn := p.Reach(ctx, cell)
	if conn == nil {
		return api.AnswerNobody, 0
	}
	client := processOf(conn)
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	text, err := p.Ask(ctx, cell, c.question(q, why))
	answer := api.AnswerNobody
	switch {
	case err == nil && p.Client(cell) == conn:
		answer = c.parse(text)
	case err == nil, errors.Is(err, proxy.ErrLate): // or somebody else took the client's identity meanwhile
		answer = api.AnswerLate
	}
	if answer == api.AnswerNo || answer == api.AnswerLate {
		c.refuse(key)
	}
	return answer, client
}

// answered tells the agent the answer, and returns the value if it was a yes.
func (c *consent) answered(ctx context.Context, name string, answer api.Answer, client int) (v secret.Value, err error) {
	err = c.link.question(ctx, func(ctx context.Context, a Agent) (err error) {
		v, err = a.Consent(ctx, name, answer, client)
		return err
	})
	if err == nil {
		c.promise()
	}
	return v, err
}

func (c *consent) was(r refusal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.refused[r]
	return ok
}

func (c *consent) refuse(r refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil || len(c.refused) >= maxRefused {
		c.refused = map[refusal]struct{}{}
	}
	c.refused[r] = struct{}{}
}

// question is what the user reads. It names the secret and the notebook, and the
// process that asks where that is not the kernel's own; a value is in none of them.
// It has two lines, since a page breaks a long one in the middle of a word.
func (c *consent) question(q inject.Question, why *api.Error) string {
	who := "this kernel (" + oneLine(filepath.Base(c.program)) + ")"
	if c.notebook != "" {
		who = oneLine(filepath.Base(c.notebook))
	}
	c.mu.Lock()
	kernel := c.kernel
	c.mu.Unlock()
	if pid := processOf(q.From); pid != 0 && pid != kernel {
		who = fmt.Sprintf("process %d of %s", pid, who)
	}
	always := ""
	if c.grantsNotebook() {
		always = "a = always this notebook, "
	}
	_, wish := api.SplitName(q.Name)
	if why.Profile != "" {
		wish += " of the profile " + oneLine(why.Profile)
	}
	whole := "this kernel"
	if why.Session {
		whole = "the whole profile for this kernel"
	}
	return fmt.Sprintf("nbhush: %s asks for %s. Allow it?\no = once, k = %s, %sEnter = no: ", who, wish, whole, always)
}

// oneLine cuts text and takes out what could paint over the rest of the question.
func oneLine(text string) string {
	const most = 80
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// parse returns what an answer means; a yes that does not say for how long is
// for once.
func (c *consent) parse(text string) api.Answer {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "o", "once", "y", "yes":
		return api.AnswerOnce
	case "k", "kernel":
		return api.AnswerKernel
	case "a", "always":
		if c.grantsNotebook() {
			return api.AnswerNotebook
		}
	}
	return api.AnswerNo
}

// processOf returns the process at the other end of a connection, 0 where that
// cannot be known: it may be on another machine.
func processOf(conn zsock.Conn) int {
	switch conn := conn.(type) {
	case *net.UnixConn:
		if p, err := socket.PeerOf(conn); err == nil {
			return p.PID
		}
	case *net.TCPConn:
		return tcpProcess(conn.RemoteAddr(), conn.LocalAddr())
	}
	return 0
}
