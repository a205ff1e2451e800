package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/shared"
)

const (
	helloTime = 10 * time.Second
	// maxText is the most text that goes in one frame while the answer fits one
	// too. It is well under MaxFrame, so that long texts do not keep others waiting.
	maxText = 1 << 20
	minText = 4 << 10
)

// Stream is one connection for many small questions: what a hook and a filter
// need. It is safe for concurrent use: requests are sent as they come and the
// answers are read in the same order. When the agent was restarted, a request
// connects again, once, and registers the kernel again.
type Stream struct {
	client *Client

	mu     sync.Mutex
	link   *link
	epoch  *os.File // of the agent at the other end; nil where there is none
	kernel *api.Kernel
	closed bool
}

// Stream connects, and starts the agent if it must. Close it after use.
func (c *Client) Stream(ctx context.Context) (*Stream, error) {
	s := &Stream{client: c}
	_, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Find is match.Finder for known values. A text of any length is searched.
func (s *Stream) Find(ctx context.Context, text []byte) (match.Result, error) {
	return s.find(ctx, api.OpFind, text)
}

// Search is Find that also finds what looks like a secret.
func (s *Stream) Search(ctx context.Context, text []byte) (match.Result, error) {
	return s.find(ctx, api.OpSearch, text)
}

// Lend is match.Lender's, on a stream of a Client that Shares.
func (s *Stream) Lend() (text []byte, giveBack func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return nil, nil
	}
	return s.link.rooms.lend()
}

func (s *Stream) find(ctx context.Context, op api.Op, text []byte) (match.Result, error) {
	if len(text) <= maxText {
		r, err := s.findPart(ctx, op, text)
		if err == nil || !tooMuch(err) {
			return r, err
		}
	}
	return findParts(text, maxText, func(part []byte) (match.Result, error) { return s.findPart(ctx, op, part) })
}

func (s *Stream) findPart(ctx context.Context, op api.Op, text []byte) (match.Result, error) {
	b, err := s.exchange(ctx, op, text)
	if err != nil {
		return match.Result{}, err
	}
	r, err := api.ParseResult(b, len(text))
	if err != nil {
		return match.Result{}, &api.Error{Code: api.CodeVersion, Message: err.Error(), Mend: hintRestart}
	}
	return r, nil
}

// tooMuch reports whether the agent asks for shorter texts, because its answer
// would not fit a frame.
func tooMuch(err error) bool {
	return errors.Is(err, &api.Error{Code: api.CodeBadInput})
}

// findParts finds in text with find, which takes at most about size bytes. The
// next part begins where the tail of the one before does, so that every match
// lies in one part. A tail that is its whole part asks for a longer one.
func findParts(text []byte, size int, find func([]byte) (match.Result, error)) (match.Result, error) {
	var all match.Result
	at := 0
	for n := size; ; {
		part := text[at:min(len(text), at+n)]
		r, err := find(part)
		switch {
		case err != nil && tooMuch(err) && len(part) > minText:
			n = max(minText, len(part)/2)
			continue
		case err != nil:
			return match.Result{}, err
		}
		last := at+len(part) == len(text)
		done := len(part) - r.Tail
		if last {
			done = len(part)
			all.Tail = r.Tail
		} else if done == 0 {
			if longer := min(2*n, api.MaxFrame-1); longer > n {
				n = longer
				continue
			}
			done = len(part) // longer than any value: what was found stands
		}
		for _, sp := range r.Spans {
			if sp.End <= done {
				all.Spans = append(all.Spans, match.Span{Start: at + sp.Start, End: at + sp.End, Name: sp.Name})
			}
		}
		if last {
			return all, nil
		}
		at += done
	}
}

// RegisterKernel makes this process the hook of kernel k for as long as the
// stream lives, and returns what that kernel may have now. The bytes of the
// grant are the caller's to clear.
func (s *Stream) RegisterKernel(ctx context.Context, k api.Kernel) (api.Grant, error) {
	k.API = api.Version
	l, err := s.connect(ctx)
	if err != nil {
		return api.Grant{}, err
	}
	g, err := l.register(ctx, k)
	if errors.Is(err, errBroken) {
		s.drop(l)
		if l, err = s.connect(ctx); err == nil {
			g, err = l.register(ctx, k)
		}
	}
	if err != nil {
		return api.Grant{}, away(ctx, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.Profile = cmp.Or(g.Profile, k.Profile) // it stays what it is, also with an agent that starts anew
	s.kernel = &k
	return g, nil
}

// Get returns one value, which the caller wipes. The name may be one that
// api.JoinName made.
func (s *Stream) Get(ctx context.Context, name secret.Name) (secret.Value, error) {
	b, err := s.exchange(ctx, api.OpGet, []byte(name))
	if errors.Is(err, &api.Error{Code: api.CodeWait}) { // on a connection of its own, so that nothing waits behind it
		profile, name := api.SplitName(string(name))
		values, err := s.client.get(ctx, api.GetRequest{Names: []string{name}, Dir: string(filepath.Separator), Profile: profile})
		return values[secret.Name(name)], err
	}
	if err != nil {
		return secret.Value{}, err
	}
	return secret.New(b), nil
}

// Names returns the names that the asking process may have, sorted.
func (s *Stream) Names(ctx context.Context) (names []secret.Name, err error) {
	err = s.exchangeJSON(ctx, api.OpNames, nil, &names)
	return names, err
}

// Profile returns the profile that is on for the asking process.
func (s *Stream) Profile(ctx context.Context) (on api.Profile, err error) {
	err = s.exchangeJSON(ctx, api.OpProfile, nil, &on)
	return on, err
}

// Refused tells the agent, for its audit log, what this hook refused.
func (s *Stream) Refused(ctx context.Context, q api.Refused) error {
	return s.exchangeJSON(ctx, api.OpRefused, q, nil)
}

// Consent tells the agent what the user answered, and returns the value if that
// was a yes; the caller wipes it.
//
// client is the process that answered, 0 if that is not known.
func (s *Stream) Consent(ctx context.Context, name secret.Name, answer api.Answer, client int) (secret.Value, error) {
	out, err := json.Marshal(api.Consent{Name: string(name), Answer: answer, Client: client})
	if err != nil {
		return secret.Value{}, err
	}
	b, err := s.exchange(ctx, api.OpConsent, out)
	if err != nil {
		return secret.Value{}, err
	}
	return secret.New(b), nil
}

// Refresh returns what has to change in the kernel of this hook, which holds
// these values. The bytes are the caller's to clear.
func (s *Stream) Refresh(ctx context.Context, held []api.Held) (r api.Refreshed, err error) {
	err = s.exchangeJSON(ctx, api.OpRefresh, held, &r)
	return r, err
}

// Again tells the agent, for its audit log, that this hook served a value again.
func (s *Stream) Again(ctx context.Context, name secret.Name, times int) error {
	return s.exchangeJSON(ctx, api.OpAgain, api.Again{Name: string(name), Times: times}, nil)
}

// Epoch returns a number that changes when anything changes that a value
// served depends on, and false where that cannot be known. It asks nobody.
func (s *Stream) Epoch() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b [8]byte
	if s.link == nil || s.epoch == nil {
		return 0, false
	}
	if _, err := s.epoch.ReadAt(b[:], 0); err != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

// Close ends the stream and the registration of its kernel.
func (s *Stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.epoch.Close() // nil is no error that anybody needs
	if s.link == nil {
		return nil
	}
	l := s.link
	s.link = nil
	return l.conn.Close()
}

// exchange sends one request and returns the payload of its reply, on a new
// connection if the old one turns out to be broken. All requests may be sent twice.
func (s *Stream) exchange(ctx context.Context, op api.Op, payload []byte) ([]byte, error) {
	var err error
	for range 2 {
		var l *link
		if l, err = s.connect(ctx); err != nil {
			return nil, err
		}
		var reply []byte
		if reply, err = l.call(ctx, op, payload); !errors.Is(err, errBroken) {
			return reply, err
		}
		s.drop(l)
	}
	return nil, away(ctx, err)
}

// exchangeJSON is exchange of a request and a reply in JSON; nil where there is none.
func (s *Stream) exchangeJSON(ctx context.Context, op api.Op, request, reply any) error {
	var out []byte
	if request != nil {
		var err error
		if out, err = json.Marshal(request); err != nil {
			return err
		}
	}
	b, err := s.exchange(ctx, op, out)
	if err != nil || reply == nil {
		return err
	}
	return understand(b, reply)
}

// understand decodes a reply, which may hold values, and clears it.
func understand(b []byte, reply any) error {
	defer clear(b)
	// The agent fills an answer up with spaces, which take package json longer than all else.
	if err := json.Unmarshal(bytes.TrimRight(b, " "), reply); err != nil {
		return &api.Error{Code: api.CodeVersion, Message: "the agent's answer is not understood", Mend: hintRestart}
	}
	return nil
}

// connect returns the link, a new one if there is none.
func (s *Stream) connect(ctx context.Context) (*link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &api.Error{Code: api.CodeAway, Message: "the stream is closed"}
	}
	if s.link != nil {
		return s.link, nil
	}
	l, err := s.client.hello(ctx)
	if isAbsent(err) && !s.client.NoStart {
		if err := s.client.Up(ctx); err != nil {
			return nil, err
		}
		l, err = s.client.hello(ctx)
	}
	if err != nil {
		return nil, away(ctx, err)
	}
	if s.kernel != nil {
		g, err := l.register(ctx, *s.kernel)
		if err != nil {
			_ = l.conn.Close()
			return nil, away(ctx, err)
		}
		for _, b := range g.Values {
			clear(b)
		}
	}
	s.link = l
	_ = s.epoch.Close()
	s.epoch = nil
	if path, err := s.client.path(); err == nil {
		s.epoch, _ = os.Open(filepath.Join(filepath.Dir(path), api.EpochFile))
	}
	return l, nil
}

func (s *Stream) drop(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = l.conn.Close()
	if s.link == l {
		s.link = nil
	}
}

// hello dials and makes a stream of the connection.
func (c *Client) hello(ctx context.Context) (*link, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, away(ctx, err)
	}
	r := &receiver{Conn: conn}
	if u, ok := conn.(*net.UnixConn); ok && c.Shares {
		r.with = &shared.Receiver{Conn: u}
	}
	in, err := upgrade(ctx, conn, r)
	if err != nil {
		r.discard()
		_ = conn.Close()
		return nil, away(ctx, err)
	}
	l := &link{conn: conn, send: make(chan struct{}, 1), rooms: r.rooms()}
	go l.read(in)
	return l, nil
}

func upgrade(ctx context.Context, conn net.Conn, r *receiver) (*bufio.Reader, error) {
	deadline := time.Now().Add(helloTime)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	hello := "GET /v1/stream HTTP/1.1\r\nHost: nbhush\r\nConnection: Upgrade\r\nUpgrade: " + api.Protocol + "\r\n"
	if r.with != nil {
		hello += api.SharedHeader + ": 1\r\n"
	}
	if _, err := io.WriteString(conn, hello+"\r\n"); err != nil {
		return nil, err
	}
	in := bufio.NewReader(r)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		defer func() { _ = resp.Body.Close() }()
		var none struct{}
		b, err := readAnswer(resp)
		if err == nil {
			err = understandAnswer(resp.StatusCode, b, &none)
		}
		if err != nil {
			return nil, err
		}
		return nil, &api.Error{Code: api.CodeVersion, Message: "the agent refused a stream", Mend: hintRestart}
	}
	if err := checkVersion(resp.Header); err != nil {
		return nil, err
	}
	return in, conn.SetDeadline(time.Time{})
}

// errBroken says that the connection ended before the reply came.
var errBroken = errors.New("connection to the agent broke")

// link is one connection.
type link struct {
	conn  net.Conn
	rooms *rooms        // shared with the agent, or nil
	send  chan struct{} // full while a request is queued and written: the order of both is one

	mu      sync.Mutex
	waiting []*call // in the order of the requests
	err     error   // why no more replies come
}

// call is one request whose reply is awaited.
type call struct {
	done    chan struct{} // closed when the rest is there
	status  byte
	payload []byte
	err     error
	left    bool // nobody waits any more; guarded by link.mu
}

// call sends one request and waits for its reply.
func (l *link) call(ctx context.Context, op api.Op, payload []byte) ([]byte, error) {
	if place, ok := l.rooms.place(payload); ok && op == api.OpFind {
		op, payload = api.OpFindShared, place
	}
	if 1+len(payload) > api.MaxFrame {
		return nil, &api.Error{Code: api.CodeBadInput, Message: fmt.Sprintf("a request of %d bytes is too long", len(payload))}
	}
	if err := ctx.Err(); err != nil {
		return nil, away(ctx, err)
	}
	w := &call{done: make(chan struct{})}
	if err := l.write(ctx, w, op, payload); err != nil {
		return nil, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		l.leave(w)
		return nil, away(ctx, ctx.Err())
	}
	if w.err != nil {
		return nil, w.err
	}
	if w.status != api.StatusOK {
		return nil, decodeError(w.payload)
	}
	return w.payload, nil
}

// write queues w and writes its request, without a copy of the payload. When
// ctx ends half-way, the rest of the request is copied and sent later: half a
// request would cost everybody the connection.
func (l *link) write(ctx context.Context, w *call, op api.Op, payload []byte) error {
	select {
	case l.send <- struct{}{}:
	case <-ctx.Done():
		return away(ctx, ctx.Err())
	}
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		<-l.send
		return l.err
	}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	frame := net.Buffers{api.AppendFrameHead(make([]byte, 0, 8), byte(op), len(payload)), payload}
	stop := l.interrupt(ctx)
	_, err := frame.WriteTo(l.conn)
	stop()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		rest := bytes.Join(frame, nil)
		go func() {
			l.finish(rest)
			<-l.send
		}()
		l.leave(w)
		return away(ctx, ctx.Err())
	}
	<-l.send
	if err != nil {
		_ = l.conn.Close() // the reader tells everybody
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// finish writes the rest of a request that was given up.
func (l *link) finish(rest []byte) {
	if _, err := l.conn.Write(rest); err != nil {
		_ = l.conn.Close()
	}
	clear(rest)
}

// interrupt makes writes fail when ctx ends, until the function that it returns
// was called.
func (l *link) interrupt(ctx context.Context) (end func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = l.conn.SetWriteDeadline(time.Unix(1, 0))
		close(ran)
	})
	return func() {
		if !stop() {
			<-ran
			_ = l.conn.SetWriteDeadline(time.Time{})
		}
	}
}

// leave says that nobody waits for w any more.
func (l *link) leave(w *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.left = true
}

// read hands out replies until the connection ends.
func (l *link) read(in *bufio.Reader) {
	for {
		status, payload, err := api.ReadFrame(in, nil)
		l.mu.Lock()
		if err == nil && len(l.waiting) == 0 {
			err = errors.New("a reply that nobody asked for")
		}
		if err != nil {
			l.rooms.close()
			l.err = fmt.Errorf("%w: %w", errBroken, err)
			for _, w := range l.waiting {
				w.err = l.err
				close(w.done)
			}
			l.waiting = nil
			l.mu.Unlock()
			_ = l.conn.Close()
			return
		}
		w := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		if w.left {
			clear(payload)
		} else {
			w.status, w.payload = status, payload
			close(w.done)
		}
		l.mu.Unlock()
	}
}

func (l *link) register(ctx context.Context, k api.Kernel) (api.Grant, error) {
	out, err := json.Marshal(k)
	if err != nil {
		return api.Grant{}, badInput(err)
	}
	b, err := l.call(ctx, api.OpKernel, out)
	if err != nil {
		return api.Grant{}, err
	}
	var g api.Grant
	if err := understand(b, &g); err != nil {
		return api.Grant{}, err
	}
	return g, nil
}
