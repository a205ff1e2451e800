package provider

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	idleTime  = time.Minute // for which a program waits for another question
	drainTime = time.Second // to read what a program said before it ended
)

// helper is a program that speaks the provider protocol. It runs while it is
// asked, and for idleTime after.
type helper struct {
	program func() (string, error)

	mu   sync.Mutex
	last int
	run  *process
}

// process is one run of a program. Its fields but pending do not change.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	idle  *time.Timer
	ended chan struct{} // closed once the program has

	mu      sync.Mutex
	pending map[int]chan<- answer // a channel that is closed says that the program has ended
	err     *Error                // why it has
}

func (h *helper) Read(ctx context.Context, q Query) (Document, error) {
	asked, err := ask(ctx, q)
	if err != nil {
		return Document{}, err
	}
	// A program that ends between two questions may take one with it.
	for again := true; ; again = false {
		p, got, fresh, err := h.send(&asked)
		if err != nil {
			return Document{}, err
		}
		select {
		case a, ok := <-got:
			if ok {
				return a.document()
			}
			if again && !fresh {
				continue
			}
			return Document{}, p.why()
		case <-ctx.Done():
			p.giveUp(asked.ID)
			return Document{}, fail(Unreachable, "", "it did not answer in time")
		}
	}
}

// send writes the question to the program, which it starts if it does not run.
func (h *helper) send(q *question) (p *process, got <-chan answer, fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.run == nil || h.run.over() {
		path, err := h.program()
		if err != nil {
			return nil, nil, false, err
		}
		if h.run, err = start(path); err != nil {
			h.run = nil
			return nil, nil, false, fail(Setup, "see whether it can be executed", "the program of this provider does not start")
		}
		fresh = true
	}
	h.last++
	q.ID = h.last
	line, err := json.Marshal(q)
	if err != nil {
		return nil, nil, false, err
	}
	line = append(line, '\n')
	c := make(chan answer, 1)
	h.run.idle.Reset(idleTime)
	h.run.expect(q.ID, c)
	go func(in io.Writer) { // a program that does not read must not keep us
		_, _ = in.Write(line) // its end is seen on its output
		clear(line)
	}(h.run.in)
	return h.run, c, fresh, nil
}

func (h *helper) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.run != nil {
		h.run.kill()
		h.run = nil
	}
}

func start(path string) (*process, error) {
	cmd := exec.Command(path)
	group(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = theirs
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	p := &process{cmd: cmd, in: in, ended: make(chan struct{}), pending: map[int]chan<- answer{}}
	p.idle = time.AfterFunc(idleTime, p.kill)
	go p.receive(out)
	go func() {
		_ = cmd.Wait()
		close(p.ended)
		// What it started may have its output for days; what it said itself is there.
		_ = out.SetReadDeadline(time.Now().Add(drainTime))
	}()
	return p, nil
}

// receive hands the answers on until the program ends.
func (p *process) receive(out io.ReadCloser) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 2*MaxAnswer)
	bad := fail(Malformed, "", "the program of this provider ended without an answer")
	for lines.Scan() {
		var a answer
		err := json.Unmarshal(lines.Bytes(), &a)
		clear(lines.Bytes())
		if err != nil {
			bad = fail(Malformed, "", "the program of this provider does not speak its protocol")
			break
		}
		p.deliver(a)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		bad = fail(TooLong, "", "its answer is longer than %d bytes", 2*MaxAnswer)
	}
	p.mu.Lock()
	p.err = bad
	for _, c := range p.pending {
		close(c)
	}
	p.pending = nil
	p.mu.Unlock()
	p.kill()
	<-p.ended
	_ = out.Close()
	p.idle.Stop()
}

func (p *process) expect(id int, c chan<- answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending == nil {
		close(c)
		return
	}
	p.pending[id] = c
}

func (p *process) deliver(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.pending[a.ID]; ok {
		c <- a
		delete(p.pending, a.ID)
	}
}

// giveUp waits no more for an answer. A program that nobody else waits for is
// ended: what does not answer once seldom does later.
func (p *process) giveUp(id int) {
	p.mu.Lock()
	delete(p.pending, id)
	alone := len(p.pending) == 0
	if alone {
		p.pending, p.err = nil, fail(Unreachable, "", "it did not answer in time")
	}
	p.mu.Unlock()
	if alone {
		p.kill()
	}
}

// over reports whether no question can be answered any more.
func (p *process) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending == nil
}

func (p *process) why() *Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// kill ends the program and what it started.
func (p *process) kill() {
	_ = p.in.Close()
	select {
	case <-p.ended: // its number may be another's
	default:
		killGroup(p.cmd)
	}
}
