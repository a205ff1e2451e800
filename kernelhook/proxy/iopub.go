package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// maxWaiting bounds the subscriptions that are remembered until the kernel is up.
const maxWaiting = 1024

// A batch of iopub messages is redacted together: as many as wait, up to these.
const (
	maxBatch      = 256
	maxBatchBytes = 1 << 20
)

// arrivingBytes is the length from which on a message is redacted while it arrives.
const arrivingBytes = 4 << 20

// iopub is what the proxy knows of the kernel's iopub channel.
type iopub struct {
	mu      sync.Mutex
	model   []byte   // header of the kernel's own iopub_welcome
	waiting []topics // subscriptions from before it
}

// topics is what one client subscribed to.
type topics struct{ peer, topic []byte }

// publish sends a message to the subscribers.
func (p *Proxy) publish(m wire.Message) { _ = p.front.iopub.Send(m.Frames) }

// publishAll carries iopub to the clients until the kernel's side ends.
func (p *Proxy) publishAll(ctx context.Context) {
	var batch []wire.Message
	for {
		batch = batch[:0]
		size := 0
		for {
			msg, err := p.back.iopub.Recv(ctx)
			if err != nil {
				p.stage.Push(ctx, batch)
				return
			}
			size += msgSize(msg)
			if msg.Arriving() {
				p.stage.Push(ctx, batch)
				clear(batch)
				batch = p.arriving(ctx, batch[:0], msg)
				break
			}
			batch = p.heard(batch, msg)
			if waits, _ := p.back.iopub.Waiting(); waits == 0 || len(batch) >= maxBatch || size >= maxBatchBytes {
				break
			}
		}
		p.stage.Push(ctx, batch)
		clear(batch)
		if p.Carried != nil {
			p.Carried(size)
		}
	}
}

// arriving is heard for a message whose last frame is on its way. That of a stream is
// redacted and sent meanwhile. One that never becomes whole is for nobody; Recv says why.
func (p *Proxy) arriving(ctx context.Context, batch []wire.Message, msg zsock.Message) []wire.Message {
	if m, err := wire.Parse(msg.Frames); err == nil && len(m.Buffers()) == 0 {
		h, _ := wire.ScanHeader(m.Header())
		if h.MsgType == "stream" && !p.own.mine(m.Parent(), false) {
			_ = p.stage.PushArriving(ctx, m, msg.Wait)
			return batch
		}
	}
	if _, err := msg.Wait(ctx, math.MaxInt); err != nil {
		return batch
	}
	return p.heard(batch, msg)
}

func msgSize(msg zsock.Message) (n int) {
	for _, f := range msg.Frames {
		n += len(f)
	}
	return n
}

// heard adds to batch what of a message of the kernel is for the clients.
func (p *Proxy) heard(batch []wire.Message, msg zsock.Message) []wire.Message {
	m, err := wire.Parse(msg.Frames)
	if err != nil {
		return batch
	}
	p.own.once.Do(func() { close(p.own.heard) })
	h, _ := wire.ScanHeader(m.Header())
	if h.MsgType == "iopub_welcome" {
		p.welcomed(m)
		return batch
	}
	idle := h.MsgType == "status" && bytes.Contains(m.Content(), []byte(`"idle"`))
	if p.own.mine(m.Parent(), idle) {
		return batch
	}
	if idle && p.notice.text != "" {
		parent, _ := wire.ScanHeader(m.Parent())
		if header := p.notice.due(parent.MsgID); header != nil {
			batch = append(batch, p.noticeMessage(m, header))
		}
	}
	return append(batch, m)
}

// noticeMessage returns the notice as output of the request with this header.
func (p *Proxy) noticeMessage(like wire.Message, parent []byte) wire.Message {
	content := encode(map[string]any{"name": "stderr", "text": p.notice.text + "\n"})
	return wire.New(p.Signer, [][]byte{[]byte("stream.stderr")}, newHeader(like.Header(), "stream"), parent, []byte("{}"), content, nil)
}

// newHeader returns a header for a message of the kernel's session, made after
// one that the kernel wrote.
func newHeader(like []byte, msgType string) []byte { return newHeaderWith(like, msgType, rand.Text()) }

func newHeaderWith(like []byte, msgType, id string) []byte {
	h := map[string]any{}
	_ = json.Unmarshal(like, &h)
	h["msg_id"] = id
	h["msg_type"] = msgType
	h["date"] = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	return encode(h)
}

// welcomed notes that the kernel is one that sends iopub_welcome (JEP 65), and
// welcomes the clients that came before.
func (p *Proxy) welcomed(m wire.Message) {
	p.iopub.mu.Lock()
	defer p.iopub.mu.Unlock()
	p.iopub.model = append([]byte(nil), m.Header()...)
	for _, t := range p.iopub.waiting {
		p.sendWelcome(t)
	}
	p.iopub.waiting = nil
}

// welcome sends each client that subscribes the iopub_welcome that the kernel
// would have sent it.
func (p *Proxy) welcome(ctx context.Context) {
	for {
		select {
		case s, ok := <-p.front.iopub.Subscriptions():
			if !ok {
				return
			}
			if s.Cancel {
				continue
			}
			p.subscribed(topics{s.Peer, s.Topic})
		case <-ctx.Done():
			return
		}
	}
}

func (p *Proxy) subscribed(t topics) {
	p.iopub.mu.Lock()
	defer p.iopub.mu.Unlock()
	if p.iopub.model != nil {
		p.sendWelcome(t)
	} else if len(p.iopub.waiting) < maxWaiting {
		p.iopub.waiting = append(p.iopub.waiting, t)
	}
}

// sendWelcome sends what ipykernel does: the topic, if there is one, is the
// message's identity. p.iopub.mu is held.
func (p *Proxy) sendWelcome(t topics) {
	var identities [][]byte
	if len(t.topic) > 0 {
		identities = [][]byte{t.topic}
	}
	content := encode(map[string]any{"subscription": string(t.topic)})
	m := wire.New(p.Signer, identities, newHeader(p.iopub.model, "iopub_welcome"), []byte("{}"), []byte("{}"), content, nil)
	_ = p.front.iopub.SendTo(t.peer, m.Frames)
}
