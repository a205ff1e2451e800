package zsock

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
)

// Limits of what one subscriber may ask for.
const (
	maxTopics     = 1024
	maxTopicBytes = 64 << 10
)

// Subscription is one SUBSCRIBE or CANCEL of one subscriber.
type Subscription struct {
	Peer   []byte // for XPub.SendTo; may be kept
	Topic  []byte
	Cancel bool
}

// XPub is a bound XPUB socket. All methods may be called at the same time.
type XPub struct {
	server
	subs chan Subscription

	list sync.RWMutex
	all  []*subscriber
}

type subscriber struct {
	*peer
	mu     sync.Mutex
	topics []topic
	bytes  int // of all topics
}

// topic is a prefix with the number of times that it was subscribed to: RFC 37,
// "The Publish-Subscribe Pattern".
type topic struct {
	prefix []byte
	count  int
}

// ListenXPub binds endpoint, which has the forms that ListenRouter takes.
func ListenXPub(endpoint string, o Options) (*XPub, error) {
	x := &XPub{subs: make(chan Subscription, 16)}
	x.join, x.run, x.leave = x.joined, x.read, x.left
	if err := x.start(endpoint, &xpubKind, o); err != nil {
		return nil, err
	}
	return x, nil
}

func (x *XPub) joined(p *peer) {
	s := &subscriber{peer: p}
	p.subscribed = func(t []byte, cancel bool) error { return x.subscribe(s, t, cancel) }
	x.list.Lock()
	defer x.list.Unlock()
	x.all = append(x.all, s)
}

func (x *XPub) left(p *peer) {
	x.list.Lock()
	defer x.list.Unlock()
	x.all = slices.DeleteFunc(x.all, func(s *subscriber) bool { return s.peer == p })
}

// read takes subscriptions in the form of ZMTP 3.0, messages that begin with 1
// or 0 (RFC 29, "XPUB"); those of 3.1 arrive as commands. Other messages mean nothing.
func (x *XPub) read(p *peer) error {
	for {
		b, err := p.in.message()
		if err != nil {
			return err
		}
		if len(b.parts) == 1 && len(b.data) > 0 && b.data[0] <= 1 {
			err = p.subscribed(b.data[1:], b.data[0] == 0)
		}
		x.pool.put(b)
		if err != nil {
			return err
		}
	}
}

func (x *XPub) subscribe(s *subscriber, t []byte, cancel bool) error {
	t = bytes.Clone(t)
	if err := s.set(t, cancel); err != nil {
		return err
	}
	select {
	case x.subs <- Subscription{Peer: s.id, Topic: t, Cancel: cancel}:
		return nil
	case <-s.out.gone:
		return ErrClosed
	}
}

func (s *subscriber) set(t []byte, cancel bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.topics, func(have topic) bool { return bytes.Equal(have.prefix, t) })
	switch {
	case cancel && i < 0:
	case cancel:
		if s.topics[i].count--; s.topics[i].count == 0 {
			s.topics = slices.Delete(s.topics, i, i+1)
			s.bytes -= len(t)
		}
	case i >= 0:
		s.topics[i].count++
	case len(s.topics) == maxTopics || s.bytes+len(t) > maxTopicBytes:
		return fmt.Errorf("%w: too many topics", errTooLong)
	default:
		s.topics = append(s.topics, topic{t, 1})
		s.bytes += len(t)
	}
	return nil
}

func (s *subscriber) wants(first []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.topics, func(t topic) bool { return bytes.HasPrefix(first, t.prefix) })
}

// Subscriptions returns the channel on which every SUBSCRIBE and CANCEL of
// every subscriber arrives, after it has taken effect. The caller must read it
// until Close; while it does not, subscribers' commands wait. It is not closed.
func (x *XPub) Subscriptions() <-chan Subscription { return x.subs }

// Send sends one message to every subscriber with a topic that the first frame
// begins with. It does not wait: for a subscriber that does not read, the
// oldest messages are dropped and Options.OnDrop is told. The error is
// ErrClosed or says that there are no frames.
func (x *XPub) Send(frames [][]byte) error {
	return x.send(frames, func(s *subscriber) bool { return s.wants(frames[0]) })
}

// SendTo sends one message to one subscriber, whatever it subscribed to.
func (x *XPub) SendTo(peer []byte, frames [][]byte) error {
	found := false
	err := x.send(frames, func(s *subscriber) bool {
		is := bytes.Equal(s.id, peer)
		found = found || is
		return is
	})
	if err == nil && !found {
		return ErrNoPeer
	}
	return err
}

func (x *XPub) send(frames [][]byte, to func(*subscriber) bool) error {
	if len(frames) == 0 {
		return errNoFrames
	}
	select {
	case <-x.done:
		return ErrClosed
	default:
	}
	e := x.encoders.get(frames)
	defer x.encoders.put(e)
	dropped := 0
	x.list.RLock()
	for _, s := range x.all {
		if to(s) {
			n, _ := s.out.send(e) // an error is of that connection, which ends
			dropped += n
		}
	}
	x.list.RUnlock()
	if dropped > 0 {
		x.o.OnDrop(dropped)
	}
	return nil
}
