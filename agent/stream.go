package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/shared"
)

const (
	replyTime  = 30 * time.Second // for a peer that does not read its replies
	streamBuf  = 8 << 10
	keepBuffer = 256 << 10 // a larger buffer is not kept for the next frame
)

// streams are the open ones, so that the agent can end them.
type streams struct {
	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
	left   sync.WaitGroup
}

func (ss *streams) add(c net.Conn) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return false
	}
	if ss.open == nil {
		ss.open = map[net.Conn]struct{}{}
	}
	ss.open[c] = struct{}{}
	ss.left.Add(1)
	return true
}

func (ss *streams) remove(c net.Conn) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.open, c)
	ss.left.Done()
}

// closeAll closes the connections and waits for their goroutines.
func (ss *streams) closeAll() {
	ss.mu.Lock()
	ss.closed = true
	for c := range ss.open {
		_ = c.Close()
	}
	ss.mu.Unlock()
	ss.left.Wait()
}

// serveStream turns the connection into a stream and serves it until it ends.
func (a *agent) serveStream(w http.ResponseWriter, r *http.Request) {
	s, ok := r.Context().Value(sessionKey{}).(*session)
	if !ok {
		writeError(w, fail(api.CodeDenied, "", "the peer is not known"))
		return
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), api.Protocol) {
		if strings.HasPrefix(r.Header.Get("Upgrade"), "nbhush-stream/") {
			writeError(w, tooNew(api.Version+1))
			return
		}
		writeError(w, fail(api.CodeBadInput, "", "a stream begins with Upgrade: %s", api.Protocol))
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, apiError(err))
		return
	}
	defer func() { _ = c.Close() }()
	if !a.streams.add(c) {
		return
	}
	defer a.streams.remove(c)
	defer s.end()
	if err := c.SetDeadline(time.Time{}); err != nil {
		return
	}
	defer s.unshare()
	if err := s.begin(c, r.Header.Get(api.SharedHeader) != ""); err != nil {
		return
	}
	// What came behind the request is in the server's buffer; it is read first.
	if err := serveFrames(r.Context(), s, rw.Reader, c); err != nil {
		a.log.Warn("stream ended", "err", err, "pid", s.line[0].PID)
	}
}

// begin says that the connection is a stream now, and hands out memory that the
// peer shares with this session, if it wants that and there is such.
func (s *session) begin(c net.Conn, share bool) error {
	head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + api.Protocol +
		"\r\n" + api.VersionHeader + ": " + strconv.Itoa(api.Version) + "\r\n"
	const end = "\r\n"
	if conn, ok := unwrap(c).(*net.UnixConn); ok && share {
		if r, err := shared.New(api.Rooms * api.RoomSize); err == nil {
			s.shared = r // unshare closes it
			if err := conn.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
				return err
			}
			return r.Send(conn, []byte(head+api.SharedHeader+": 1\r\n"+end))
		}
	}
	return writeAll(c, []byte(head+end))
}

func (s *session) unshare() {
	if s.shared != nil {
		_ = s.shared.Close()
	}
}

// findShared is Find in memory that the peer may change meanwhile, which harms
// nobody but the peer.
func (s *session) findShared(ctx context.Context, place []byte) (r match.Result, err error) {
	if len(place) != 8 || s.shared == nil {
		return r, fail(api.CodeBadInput, "", "no memory is shared, or this is no place in it")
	}
	mem, err := s.shared.Bytes()
	if err != nil {
		return r, err
	}
	at, n := uint64(binary.BigEndian.Uint32(place)), uint64(binary.BigEndian.Uint32(place[4:]))
	if at+n > uint64(len(mem)) {
		return r, fail(api.CodeBadInput, "", "a text that is not in the shared memory")
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // no memory left for a page
	defer func() {
		if recover() != nil {
			r, err = match.Result{}, fail(api.CodeBadInput, "", "the text changed while it was searched")
		}
	}()
	return s.Find(ctx, mem[at:at+n:at+n])
}

// writeAll writes with a deadline, so that nobody can hold a goroutine.
func writeAll(c net.Conn, b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// serveFrames answers frame after frame. Replies are sent when no further
// request has arrived yet or when there are many.
func serveFrames(ctx context.Context, s *session, in *bufio.Reader, c net.Conn) error {
	var small, out []byte
	var long searches
	defer long.wait()
	for {
		buf := small
		if longFrame(in) {
			buf = borrow()
		}
		op, payload, err := api.ReadFrame(in, buf)
		if err != nil {
			return ended(err)
		}
		s.agent.tidy.did(len(payload))
		beside := api.Op(op) == api.OpFindShared && len(out) == 0 && isLong(payload)
		if beside {
			long.begin(ctx, s, c, bytes.Clone(payload))
		} else {
			long.wait()
			secret.Do(func() { out, err = s.frame(ctx, out, api.Op(op), payload) })
		}
		if in.Buffered() == 0 {
			s.conn.done() // before the payload's buffer is somebody else's
		} else {
			s.conn.took(nil)
		}
		clear(payload)
		if cap(payload) <= keepBuffer {
			small = payload[:0]
		} else {
			giveBack(payload)
		}
		if err != nil {
			return err
		}
		if beside || in.Buffered() > 0 && len(out) < streamBuf {
			continue
		}
		err = writeAll(c, out)
		clear(out)
		if out = out[:0]; cap(out) > keepBuffer {
			out = nil
		}
		if err != nil {
			return ended(err)
		}
	}
}

// maxSearches is how many long texts in shared memory are searched at a time for one peer.
const maxSearches = 2

// isLong reports whether the text at place takes longer than another goroutine takes to begin.
func isLong(place []byte) bool {
	return len(place) == 8 && binary.BigEndian.Uint32(place[4:]) >= keepBuffer
}

// searches are those of texts in shared memory, which are long: each has a goroutine
// and sends its own reply, behind that of the one before.
type searches struct {
	running [maxSearches]chan struct{} // closed when the reply is sent; the last begun is the last
}

// wait waits for all replies.
func (l *searches) wait() {
	if last := l.running[maxSearches-1]; last != nil {
		<-last
	}
}

// begin searches the text at place, when there are not too many.
func (l *searches) begin(ctx context.Context, s *session, c net.Conn, place []byte) {
	if first := l.running[0]; first != nil {
		<-first
	}
	before, done := l.running[maxSearches-1], make(chan struct{})
	copy(l.running[:], l.running[1:])
	l.running[maxSearches-1] = done
	go func() {
		defer close(done)
		var out []byte
		secret.Do(func() { out, _ = s.frame(ctx, nil, api.OpFindShared, place) })
		if before != nil {
			<-before
		}
		if writeAll(c, out) != nil {
			_ = c.Close() // the reader of frames notices
		}
	}()
}

// large holds buffers for long texts, all zeros, shared by the streams: many
// hooks are idle while one prints. The collector takes them when nobody does.
var large sync.Pool

func borrow() []byte {
	if b, ok := large.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

func giveBack(b []byte) {
	b = b[:0]
	large.Put(&b)
}

// longFrame reports whether the next frame says that it is long.
func longFrame(in *bufio.Reader) bool {
	h, err := in.Peek(4)
	return err == nil && binary.BigEndian.Uint32(h) > keepBuffer
}

// ended is nil where the peer has just gone, the usual end of a stream.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// frame appends the reply to one request to out. An error ends the stream.
func (s *session) frame(ctx context.Context, out []byte, op api.Op, payload []byte) ([]byte, error) {
	switch op {
	case api.OpFind, api.OpSearch, api.OpFindShared:
		find := s.Find
		switch op {
		case api.OpSearch:
			find = s.Search
		case api.OpFindShared:
			find = s.findShared
		}
		r, err := find(ctx, payload)
		if err != nil {
			return appendError(out, err), nil
		}
		at := len(out)
		out = api.AppendResult(api.AppendFrameHead(out, api.StatusOK, 0), r)
		return sealFrame(out, at), nil
	case api.OpGet:
		v, err := s.Value(ctx, secret.Name(payload))
		if err != nil {
			return appendError(out, err), nil
		}
		defer v.Wipe()
		return api.AppendFrame(out, api.StatusOK, v.Reveal()), nil
	case api.OpKernel:
		var k api.Kernel
		if err := understand(payload, &k, "the kernel"); err != nil {
			return appendError(out, err), nil
		}
		g, err := s.RegisterKernel(ctx, k)
		out = appendReply(out, g, err)
		for _, b := range g.Values {
			clear(b)
		}
		return out, nil
	case api.OpAgain:
		var again api.Again
		if err := understand(payload, &again, "what was served again"); err != nil {
			return appendError(out, err), nil
		}
		return appendDone(out, s.Again(ctx, secret.Name(again.Name), again.Times)), nil
	case api.OpConsent:
		var c api.Consent
		if err := understand(payload, &c, "the consent"); err != nil {
			return appendError(out, err), nil
		}
		v, err := s.Consent(ctx, secret.Name(c.Name), c.Answer, c.Client)
		if err != nil {
			return appendError(out, err), nil
		}
		defer v.Wipe()
		return api.AppendFrame(out, api.StatusOK, v.Reveal()), nil
	case api.OpRefresh:
		var held []api.Held
		if err := understand(payload, &held, "what is held"); err != nil {
			return appendError(out, err), nil
		}
		r, err := s.Refresh(ctx, held)
		out = appendReply(out, r, err)
		for _, b := range r.New {
			clear(b)
		}
		return out, nil
	case api.OpFound:
		var all []api.Found
		if err := understand(payload, &all, "what was found"); err != nil {
			return appendError(out, err), nil
		}
		var err error
		for _, q := range all[:min(len(all), maxFound)] {
			if err = s.Found(ctx, q); err != nil {
				break
			}
		}
		return appendDone(out, err), nil
	case api.OpProfile:
		on, err := s.Profile(ctx)
		return appendReply(out, on, err), nil
	case api.OpRefused:
		var q api.Refused
		if err := understand(payload, &q, "what was refused"); err != nil {
			return appendError(out, err), nil
		}
		return appendDone(out, s.Refused(ctx, q)), nil
	case api.OpNames:
		names, err := s.Names(ctx)
		return appendReply(out, names, err), nil
	}
	return out, fmt.Errorf("unknown op %q", byte(op))
}

// understand decodes the JSON of a request; what names it in an error.
func understand(payload []byte, v any, what string) error {
	if err := json.Unmarshal(payload, v); err != nil {
		return fail(api.CodeBadInput, "", "%s is not the JSON that it should be", what)
	}
	return nil
}

// appendDone appends the reply that says nothing but whether it was done.
func appendDone(out []byte, err error) []byte {
	if err != nil {
		return appendError(out, err)
	}
	return api.AppendFrame(out, api.StatusOK, nil)
}

func appendReply(out []byte, v any, err error) []byte {
	if err != nil {
		return appendError(out, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return appendError(out, err)
	}
	defer clear(b)
	at := len(out)
	return sealFrame(append(api.AppendFrameHead(out, api.StatusOK, 0), b...), at)
}

func appendError(out []byte, err error) []byte {
	b, _ := json.Marshal(apiError(err)) // strings alone: it cannot fail
	return api.AppendFrame(out, api.StatusError, b)
}

// sealFrame writes its length into the frame that begins at out[at]. A reply
// that does not fit a frame becomes an error.
func sealFrame(out []byte, at int) []byte {
	n := len(out) - at - 4
	if n > api.MaxFrame {
		clear(out[at:])
		return appendError(out[:at], fail(api.CodeBadInput, "", "the answer is too long: ask about less at once"))
	}
	binary.BigEndian.PutUint32(out[at:], uint32(n))
	return out
}
