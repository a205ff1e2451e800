package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
)

// Time-outs of the server. A stream, once it is one, may be idle for ever.
const (
	headerTime = 5 * time.Second
	bodyTime   = 30 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 8 << 10
	closeTime  = 2 * time.Second
)

// handler answers one request for one session. A nil result is no body.
type handler func(s *session, r *http.Request) (any, error)

// routes is the whole surface, as agent/api lists it; the stream is beside it.
var routes = map[string]handler{
	"GET /v1/status":            func(s *session, r *http.Request) (any, error) { return s.Status(r.Context()) },
	"GET /v1/secrets":           func(s *session, r *http.Request) (any, error) { return s.List(r.Context()) },
	"PUT /v1/secrets/{name}":    putSecret,
	"DELETE /v1/secrets/{name}": deleteSecret,
	"POST /v1/get":              postGet,
	"POST /v1/allow":            postAllow,
	"POST /v1/deny":             postDeny,
	"GET /v1/allowed":           func(s *session, r *http.Request) (any, error) { return s.Allowed(r.Context()) },
	"POST /v1/rules":            postRule,
	"GET /v1/rules":             func(s *session, r *http.Request) (any, error) { return s.Rules(r.Context()) },
	"POST /v1/explain":          postExplain,
	"POST /v1/revoke":           postRevoke,
	"POST /v1/lock":             func(s *session, r *http.Request) (any, error) { return s.Lock(r.Context()) },
	"POST /v1/unlock":           postUnlock,
	"POST /v1/stop":             func(s *session, r *http.Request) (any, error) { return s.Stop(r.Context()) },
}

func putSecret(s *session, r *http.Request) (any, error) {
	name, err := secret.ParseName(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	b, err := readBody(r, api.MaxValue)
	if err != nil {
		return nil, err
	}
	value := secret.New(b)
	defer value.Wipe()
	var expires time.Time
	if text := r.URL.Query().Get("expires"); text != "" {
		if expires, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fail(api.CodeBadInput, "", "the date is not one of RFC 3339")
		}
	}
	return s.SetUntil(r.Context(), name, value, expires)
}

func deleteSecret(s *session, r *http.Request) (any, error) {
	name, err := secret.ParseName(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return s.Delete(r.Context(), name)
}

func postGet(s *session, r *http.Request) (any, error) {
	var q api.GetRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	var values map[secret.Name]secret.Value
	var on api.Profile
	var err error
	in := policy.Wanted{Flag: q.Profile, Env: q.Env}
	if q.All {
		values, on, err = s.getAll(r.Context(), q.Dir, in)
	} else {
		names := make([]secret.Name, len(q.Names))
		for i, name := range q.Names {
			names[i] = secret.Name(name)
		}
		values, on, err = s.get(r.Context(), names, q.Dir, in)
	}
	if err != nil {
		return nil, err
	}
	res := api.GetResult{Values: make(map[string][]byte, len(values)), Profile: on}
	for name, value := range values {
		res.Values[string(name)] = value.Reveal()
		if at := s.agent.values.expires(name); !at.IsZero() {
			if res.Expires == nil {
				res.Expires = map[string]time.Time{}
			}
			res.Expires[string(name)] = at
		}
	}
	return res, nil
}

func postAllow(s *session, r *http.Request) (any, error) {
	var q api.AllowRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.Allow(r.Context(), q.Path, q.Hash)
}

func postDeny(s *session, r *http.Request) (any, error) {
	var q api.AllowRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.Deny(r.Context(), q.Path)
}

func postRule(s *session, r *http.Request) (any, error) {
	var q api.Rule
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.AddRule(r.Context(), q)
}

func postExplain(s *session, r *http.Request) (any, error) {
	var q api.ExplainRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.Explain(r.Context(), q)
}

func postRevoke(s *session, r *http.Request) (any, error) {
	var q api.RevokeRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	return s.Revoke(r.Context(), q)
}

func postUnlock(s *session, r *http.Request) (any, error) {
	var q api.UnlockRequest
	if err := readJSON(r, &q); err != nil {
		return nil, err
	}
	defer clear(q.Passphrase)
	return s.Unlock(r.Context(), q.Passphrase)
}

// readBody returns the body of r, which is the caller's to clear.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	b, err := api.ReadBody(r.Body, r.ContentLength, limit)
	if s, ok := r.Context().Value(sessionKey{}).(*session); ok {
		s.conn.took(b)
	}
	if errors.Is(err, api.ErrTooLong) {
		return nil, tooLong(limit)
	}
	if err != nil {
		return nil, fail(api.CodeBadInput, "", "the request broke off: %v", err)
	}
	return b, nil
}

func tooLong(limit int64) *api.Error {
	return fail(api.CodeBadInput, "", "the request is longer than %d bytes", limit)
}

func readJSON(r *http.Request, q any) error {
	b, err := readBody(r, api.MaxBody)
	if err != nil {
		return err
	}
	defer clear(b)
	if len(b) == 0 {
		return nil // everything at its zero
	}
	if err := json.Unmarshal(b, q); err != nil {
		// The decoder's own words may repeat what is in the body.
		return fail(api.CodeBadInput, "", "the request is not the JSON that it should be")
	}
	return nil
}

// sessionKey is the key of a connection's session in its context.
type sessionKey struct{}

// handler returns the agent's door for HTTP.
func (a *agent) handler() http.Handler {
	mux := http.NewServeMux()
	all := maps.Clone(routes)
	maps.Copy(all, careRoutes)
	for pattern, h := range all {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { serve(w, r, h) })
	}
	mux.HandleFunc("GET /v1/stream", a.serveStream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if v, ok := strings.CutPrefix(r.URL.Path, "/v"); ok {
			v, _, _ = strings.Cut(v, "/")
			if n, err := strconv.Atoi(v); err == nil && n > api.Version {
				writeError(w, tooNew(n))
				return
			}
		}
		writeError(w, fail(api.CodeNotFound, "", "the agent has no such request"))
	})
	return a.guard(mux)
}

// guard refuses what a browser sends before anything looks at it: a page can
// make its browser speak to local servers, DNS rebinding included, but not leave
// these headers out or name this host. The audit log has it.
func (a *agent) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.VersionHeader, strconv.Itoa(api.Version))
		_, origin := r.Header["Origin"]
		_, referer := r.Header["Referer"]
		if origin || referer || r.Host != "nbhush" {
			w.Header().Set("Connection", "close")
			a.noteWebPage(r)
			writeError(w, fail(api.CodeDenied, "", "requests of web pages are refused"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// noteWebPage notes that a browser asked. It says nothing that the page chose.
func (a *agent) noteWebPage(r *http.Request) {
	who := audit.Who{}
	if s, ok := r.Context().Value(sessionKey{}).(*session); ok {
		who = asker{line: s.line, exe: s.exe, kernel: a.kernels.of(s.line)}.who()
	}
	_ = a.note(audit.Entry{Who: who, Op: audit.OpGet, Verdict: audit.Denied, Reason: "request of a web page"})
}

func serve(w http.ResponseWriter, r *http.Request, h handler) {
	s, ok := r.Context().Value(sessionKey{}).(*session)
	if !ok {
		writeError(w, fail(api.CodeDenied, "", "the peer is not known"))
		return
	}
	s.agent.tidy.did(0)
	var err error
	defer s.conn.took(nil)
	secret.Do(func() {
		var res any
		if res, err = h(s, r); err == nil {
			err = writeJSON(w, http.StatusOK, res)
		}
	})
	if err != nil {
		writeError(w, apiError(err))
	}
}

func writeError(w http.ResponseWriter, e *api.Error) {
	_ = writeJSON(w, statusOf(e.Code), e)
}

// passBuffer is the size of the buffer of net/http that what is longer passes by.
// Values must: nobody clears it. The other one is that of a wipedConn.
const passBuffer = 2 << 10

// writeJSON sends v and clears what it sent, and the values in v. An error
// means that nothing was sent.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	out, err := json.Marshal(v)
	if res, ok := v.(api.GetResult); ok {
		if err == nil && len(out) <= passBuffer {
			all := append(make([]byte, 0, passBuffer+1), out...)
			clear(out)
			for out = all; len(out) <= passBuffer; {
				out = append(out, ' ')
			}
		}
		for _, b := range res.Values {
			clear(b)
		}
	}
	if err != nil {
		return err
	}
	defer clear(out)
	if len(out) > api.MaxBody {
		return fail(api.CodeBadInput, "", "the answer is longer than %d bytes: ask for less at once", api.MaxBody)
	}
	// For the answer alone: what it takes to find it, a passphrase's scrypt above
	// all, has no limit that a slow machine would not reach.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bodyTime))
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	_, _ = w.Write(out) // the peer is gone: nobody is left to tell
	return nil
}

// door lets only this user in. Others are closed at once and noted.
type door struct {
	net.Listener
	agent *agent
}

func (d door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := socket.PeerOf(c)
		if err == nil && p.UID == os.Getuid() {
			return &wipedConn{Conn: c}, nil
		}
		_ = c.Close()
		reason := "connection of a peer that is unknown"
		if err == nil {
			reason = "connection of user id " + strconv.Itoa(p.UID)
		}
		d.agent.log.Warn("refused a connection", "reason", reason, "pid", p.PID)
		_ = d.agent.note(audit.Entry{Who: audit.Who{PID: p.PID}, Op: audit.OpGet, Verdict: audit.Denied, Reason: reason})
	}
}

// connect makes the session of c. Ancestors that cannot be seen are an error
// for every request, not an owner.
func (a *agent) connect(ctx context.Context, c net.Conn) context.Context {
	wiped, _ := c.(*wipedConn)
	p, err := socket.PeerOf(unwrap(c))
	if err != nil {
		return ctx
	}
	exe := executable(p.PID)
	line, err := socket.Ancestors(p.PID)
	if err != nil {
		a.log.Warn("refused a connection", "err", err)
		return ctx
	}
	return context.WithValue(ctx, sessionKey{}, &session{agent: a, line: line, exe: exe, conn: wiped})
}

// server serves an agent on a listener.
type server struct {
	http   http.Server
	agent  *agent
	places *places
}

func newServer(a *agent, l net.Listener) *server {
	s := &server{agent: a, places: newPlaces(door{l, a})}
	s.http = http.Server{
		Handler:           s.turns(a.handler()),
		ConnContext:       a.connect,
		ConnState:         s.places.state,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       bodyTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	return s
}

// turns ends a connection with the last answer of its turn.
func (s *server) turns(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if of, ok := r.Context().Value(sessionKey{}).(*session); ok && s.places.over(of.conn) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// serve returns after ctx ended, when every connection is closed.
func (s *server) serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.places) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(end) != nil {
		_ = s.http.Close()
	}
	<-s.places.ended // which may be noting that it refused somebody
	s.agent.kernels.freeze()
	s.agent.streams.closeAll()
	return err
}
