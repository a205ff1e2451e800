package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

const (
	infoTime      = 2 * time.Minute        // for a kernel to say what it is, after which requests go to it all the same
	askAgain      = 500 * time.Millisecond // for iopub, which a kernel may join late
	bootstrapTime = 5 * time.Second        // for a kernel to execute the bootstrap
)

// ownRequests are the hook's own requests to the kernel, and what came of them.
type ownRequests struct {
	replies chan wire.Message // on shell
	heard   chan struct{}     // closed when iopub has been heard
	once    sync.Once

	open     atomic.Int32 // requests whose idle was not seen
	mu       sync.Mutex
	requests map[string]bool // by msg_id
}

func (o *ownRequests) reply(m wire.Message) {
	select {
	case o.replies <- m:
	default: // nobody waits for it any more
	}
}

func (o *ownRequests) add(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests[id] = true
	o.open.Add(1)
}

// mine reports whether a message of iopub belongs to an own request. idle says
// that it is the last one.
func (o *ownRequests) mine(parent []byte, idle bool) bool {
	if o.open.Load() == 0 {
		return false
	}
	h, _ := wire.ScanHeader(parent)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.requests[h.MsgID] {
		return false
	}
	if idle {
		delete(o.requests, h.MsgID)
		o.open.Add(-1)
	}
	return true
}

// greet prepares the kernel and then opens the gate.
func (p *Proxy) greet(ctx context.Context) {
	defer close(p.gate)
	info, ok := p.kernelInfo(ctx)
	if ok {
		model := bytes.Clone(info.Header())
		p.model.Store(&model)
	}
	if !ok {
		return
	}
	var c struct {
		Language struct {
			Name string `json:"name"`
		} `json:"language_info"`
	}
	if json.Unmarshal(info.Content(), &c) != nil {
		return
	}
	p.language = c.Language.Name
	if p.Bootstrap == nil {
		return
	}
	code := p.Bootstrap(p.language)
	if code == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bootstrapTime)
	defer cancel()
	id := p.execute(code)
	for {
		select {
		case m := <-p.own.replies:
			if h, _ := wire.ScanHeader(m.Parent()); h.MsgID == id {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// execute has code executed silently, and returns the msg_id of the request.
func (p *Proxy) execute(code string) string {
	return p.ask("execute_request", map[string]any{
		"code": code, "silent": true, "store_history": false,
		"user_expressions": map[string]any{}, "allow_stdin": false, "stop_on_error": false,
	})
}

// kernelInfo asks until the kernel has replied and its iopub has been heard,
// which a kernel without iopub_welcome may need to be asked again for.
func (p *Proxy) kernelInfo(ctx context.Context) (info wire.Message, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	heard := p.own.heard
	p.ask("kernel_info_request", map[string]any{})
	var again <-chan time.Time
	for tries := 1; ; {
		select {
		case info = <-p.own.replies:
			ok = true
			again = time.After(askAgain)
		case <-heard:
			heard = nil
		case <-again:
			if tries++; tries > 4 {
				heard = nil
				break
			}
			p.ask("kernel_info_request", map[string]any{})
			again = nil
		case <-ctx.Done():
			return info, false
		}
		if ok && heard == nil {
			return info, true
		}
	}
}

// ask sends a request of the hook's own on shell and returns its msg_id.
func (p *Proxy) ask(msgType string, content map[string]any) string {
	id := rand.Text()
	p.own.add(id)
	header := encode(map[string]any{
		"msg_id": id, "msg_type": msgType, "session": string(p.self), "username": "nbhush",
		"date": time.Now().UTC().Format(time.RFC3339Nano), "version": "5.4",
	})
	m := wire.New(p.Signer, [][]byte{p.self}, header, []byte("{}"), []byte("{}"), encode(content), nil)
	_ = p.back.dealers[shell].Send(m.Frames) // a kernel that is gone ends the proxy by itself
	return id
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings, numbers and booleans come here
	}
	return b
}

// silent reports whether the content of an execute_request says that it shows nothing.
func silent(content []byte) bool {
	var c struct {
		Silent bool `json:"silent"`
	}
	return json.Unmarshal(content, &c) != nil || c.Silent
}
