package inject

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// Version is the first frame of a request, and the version of the protocol.
const Version = "nbhush/1"

const (
	maxRequest = 64 << 10 // bytes of one request
	maxNames   = 256      // names in one request
)

// Source says what a kernel may have. Its errors are *api.Error or become one.
// It answers within the time that an asker has patience for, and is safe for
// concurrent use.
type Source interface {
	Get(ctx context.Context, name string) (secret.Value, error)
	Names(ctx context.Context) ([]string, error)
	// Know makes a copy of a value known for this kernel: one that the user typed, or
	// what was the value of name. It stands for name then, if that is not "".
	Know(name string, value secret.Value)
	// Consent asks the user for the value of a name for which Get's error is of
	// CodeConsent. It returns when that has answered, or cannot.
	Consent(ctx context.Context, q Question) (secret.Value, error)
	// Refresh says which of the values that the kernel holds have to change. It asks nobody.
	Refresh(ctx context.Context, held []api.Held) (api.Refreshed, error)
	// Hold is Get for who puts the value into the kernel's environment, where it is followed.
	Hold(ctx context.Context, name string) (secret.Value, error)
	// Follow says what has to stand in the place of an environment variable that has this
	// value now: an empty one for none. It is the caller's to wipe. same: what is there stays.
	Follow(ctx context.Context, name string, value secret.Value) (v secret.Value, same bool, err error)
	// Profile returns the profile that is on.
	Profile(ctx context.Context) (api.Profile, error)
	// Refused notes that a process asked that does not belong to the kernel.
	Refused(ctx context.Context, from zsock.Conn, why string)
}

// Question is a wish for consent.
type Question struct {
	Name string
	Cell string     // msg_id of the request that asks, as far as the asker knows, or ""
	From zsock.Conn // of the process that asks
}

// Server is an endpoint that kernels ask.
type Server struct {
	router *zsock.Router
	ready  chan struct{} // closed when router is set
	token  []byte
	source Source
	ctx    context.Context // until Close
	cancel context.CancelFunc
}

// Listen makes endpoint, an ipc:// path in a directory that only this user can
// enter, and answers there until Close. Each connection is answered on a
// goroutine of its own, one request at a time, as a REQ socket asks.
func Listen(endpoint, token string, source Source) (*Server, error) {
	s := &Server{ready: make(chan struct{}), token: []byte(token), source: source}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	r, err := zsock.ListenRouter(endpoint, zsock.Options{MaxUntrusted: maxRequest, MaxMessage: maxRequest, Handle: s.answer})
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("endpoint for requests of the kernel: %w", err)
	}
	s.router = r
	close(s.ready)
	return s, nil
}

// Close ends the endpoint and the requests that it works on.
func (s *Server) Close() error {
	s.cancel()
	return s.router.Close()
}

func (s *Server) answer(m zsock.Message) {
	defer m.Release()
	<-s.ready
	at := envelope(m.Frames)
	if at < 0 {
		return // not from a REQ, which could not read an answer either
	}
	parts, values, err := s.ask(func() zsock.Conn { return s.router.Conn(m.Peer) }, m.Frames[at:])
	if err != nil {
		parts = [][]byte{[]byte("error"), encodeError(err)}
	}
	_ = s.router.Send(m.Peer, append(m.Frames[:at:at], parts...)) // an asker that is gone needs no answer
	for _, v := range values {
		v.Wipe()
	}
}

// envelope returns the length of the frames up to the first empty one, which a
// reply has to repeat (RFC 28 of zeromq), or -1.
func envelope(frames [][]byte) int {
	for i, f := range frames {
		if len(f) == 0 {
			return i + 1
		}
	}
	return -1
}

// ask returns the frames of the reply, and the values in them for the caller to wipe.
func (s *Server) ask(from func() zsock.Conn, request [][]byte) ([][]byte, []secret.Value, error) {
	if len(request) < 3 || !bytes.Equal(request[0], []byte(Version)) {
		return nil, nil, &api.Error{
			Code: api.CodeVersion, Message: "the request is not one of " + Version,
			Mend: "restart the kernel, so that both sides are of one version",
		}
	}
	if subtle.ConstantTimeCompare(request[1], s.token) != 1 {
		s.source.Refused(s.ctx, from(), "the token is not this kernel's")
		return nil, nil, &api.Error{
			Code: api.CodeDenied, Message: "the token is not this kernel's",
			Mend: "ask from a cell of the kernel itself; after a fork, keep NBHUSH_TOKEN in the environment",
		}
	}
	names := request[3:]
	switch verb := string(request[2]); {
	case verb == "names":
		return s.names()
	case verb == "profile" && len(names) == 0:
		on, err := s.source.Profile(s.ctx)
		return [][]byte{[]byte("ok"), []byte(on.Profile)}, nil, err
	case verb == "know" && len(names) == 1:
		return s.know("", names[0])
	case verb == "former" && len(names) == 2:
		return s.know(string(names[0]), names[1])
	case verb == "consent" && (len(names) == 1 || len(names) == 2):
		return s.consent(from(), names)
	case verb == "refresh" && len(names)%2 == 0 && len(names)/2 <= maxNames:
		return s.refresh(names)
	case verb == "follow" && len(names) == 2:
		return s.follow(string(names[0]), names[1])
	case verb == "hold" && len(names) == 1:
		return s.get(s.source.Hold, names)
	case verb == "get" && len(names) > 0 && len(names) <= maxNames:
		return s.get(s.source.Get, names)
	}
	return nil, nil, &api.Error{Code: api.CodeBadInput, Message: "the request names no secret, or too many"}
}

// get answers with the values of names, as one of the source's functions has them.
func (s *Server) get(value func(context.Context, string) (secret.Value, error), names [][]byte) ([][]byte, []secret.Value, error) {
	reply := [][]byte{[]byte("ok")}
	var values []secret.Value
	for _, n := range names {
		name, err := parseWish(n)
		if err != nil {
			return nil, values, err
		}
		v, err := value(s.ctx, name)
		if err != nil {
			return nil, values, err
		}
		values = append(values, v)
		reply = append(reply, v.Reveal())
	}
	return reply, values, nil
}

// parseWish checks what a kernel asks for: a name, or one in a profile, as
// api.JoinName joins them.
func parseWish(text []byte) (string, error) {
	profile, name := api.SplitName(string(text))
	if _, err := secret.ParseName(name); err != nil {
		return "", err
	}
	if len(profile) > maxProfile {
		return "", &api.Error{Code: api.CodeBadInput, Message: "no profile is called so"}
	}
	return api.JoinName(profile, name), nil
}

// maxProfile is more than the name of a profile has, in bytes.
const maxProfile = 64

// know has value stand for name, which may be "", in what this kernel shows.
func (s *Server) know(name string, value []byte) ([][]byte, []secret.Value, error) {
	if name != "" {
		if _, err := secret.ParseName(name); err != nil {
			return nil, nil, err
		}
	}
	v := secret.New(bytes.Clone(value))
	s.source.Know(name, v)
	v.Wipe()
	clear(value)
	return [][]byte{[]byte("ok")}, nil, nil
}

// follow answers with "same", or "put" and what has to stand in the place of value.
func (s *Server) follow(name string, value []byte) ([][]byte, []secret.Value, error) {
	if _, err := secret.ParseName(name); err != nil {
		return nil, nil, err
	}
	now := secret.New(bytes.Clone(value))
	clear(value)
	defer now.Wipe()
	v, same, err := s.source.Follow(s.ctx, name, now)
	if err != nil {
		return nil, nil, err
	}
	if same {
		return [][]byte{[]byte("ok"), []byte("same")}, nil, nil
	}
	return [][]byte{[]byte("ok"), []byte("put"), v.Reveal()}, []secret.Value{v}, nil
}

// consent asks the user; request is a name and the cell that asks.
func (s *Server) consent(from zsock.Conn, request [][]byte) ([][]byte, []secret.Value, error) {
	name, err := parseWish(request[0])
	if err != nil {
		return nil, nil, err
	}
	q := Question{Name: name, From: from}
	if len(request) > 1 {
		q.Cell = string(request[1])
	}
	v, err := s.source.Consent(s.ctx, q)
	if err != nil {
		return nil, nil, err
	}
	return [][]byte{[]byte("ok"), v.Reveal()}, []secret.Value{v}, nil
}

// refresh answers pairs of name and SHA-256 with triples: name, "new", value, or
// name, "gone", nothing.
func (s *Server) refresh(pairs [][]byte) ([][]byte, []secret.Value, error) {
	var held []api.Held
	for i := 0; i+1 < len(pairs); i += 2 {
		name, err := parseWish(pairs[i])
		if err != nil {
			return nil, nil, err
		}
		held = append(held, api.Held{Name: name, Sum: pairs[i+1]})
	}
	r, err := s.source.Refresh(s.ctx, held)
	if err != nil {
		return nil, nil, err
	}
	reply := [][]byte{[]byte("ok")}
	var values []secret.Value
	for name, b := range r.New {
		v := secret.New(b)
		values = append(values, v)
		reply = append(reply, []byte(name), []byte("new"), v.Reveal())
	}
	for _, name := range r.Gone {
		reply = append(reply, []byte(name), []byte("gone"), nil)
	}
	return reply, values, nil
}

func (s *Server) names() ([][]byte, []secret.Value, error) {
	names, err := s.source.Names(s.ctx)
	if err != nil {
		return nil, nil, err
	}
	reply := [][]byte{[]byte("ok")}
	for _, n := range names {
		reply = append(reply, []byte(n))
	}
	return reply, nil, nil
}

// encodeError returns err as the JSON of an api.Error, with its hint.
func encodeError(err error) []byte {
	var e *api.Error
	if !errors.As(err, &e) {
		e = &api.Error{Code: api.CodeInternal, Message: err.Error()}
		var name *secret.NameError
		if errors.As(err, &name) {
			e.Code, e.Mend = api.CodeBadInput, name.Hint()
		}
		if errors.Is(err, context.DeadlineExceeded) {
			e = &api.Error{Code: api.CodeAway, Message: "the agent did not answer in time", Mend: "look at it with: nbhush agent status"}
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		return []byte(`{"code":"internal","message":"the error cannot be told"}`)
	}
	return b
}
