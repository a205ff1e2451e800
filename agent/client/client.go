package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
)

const hintStart = "nbhush agent start"

// Client asks the agent. The zero Client works. It is safe for concurrent use;
// it must not be copied, nor its fields be changed after the first request.
//
// Status, Lock and Stop ask only an agent that runs already. All others start
// one if they must.
type Client struct {
	// Socket is the path of the agent's socket; "" is that of the user's home.
	Socket string
	// Start starts an agent and need not wait for it. Nil runs this executable
	// with the arguments "agent serve", in a session of its own.
	Start func(ctx context.Context) error
	// Program is the path of the nbhush that is run so, "" for this executable.
	Program string
	// NoStart makes every request fail with CodeAway where no agent runs.
	NoStart bool
	// Shares makes streams ask for memory in which the agent finds without a copy:
	// for who has long texts again and again.
	Shares bool
	// Expires, if not nil, is told of every value that Get returns and that expires.
	Expires func(name secret.Name, at time.Time)
	// Profile is the one that Get and GetAll ask for, and Env, what the environment says,
	// counts where Profile is "". On, if not nil, is told which profile was on, if any.
	Profile, Env string
	On           func(api.Profile)

	kept     pool
	starting sync.Mutex
}

// Status returns the state of the agent that runs.
func (c *Client) Status(ctx context.Context) (st api.Status, err error) {
	return st, c.ask(ctx, "GET", "/v1/status", nil, &st)
}

// List returns all names, sorted.
func (c *Client) List(ctx context.Context) (list []api.Secret, err error) {
	return list, c.do(ctx, "GET", "/v1/secrets", nil, &list)
}

// Set keeps value, which stays the caller's to wipe, under name.
func (c *Client) Set(ctx context.Context, name secret.Name, value secret.Value) (res api.SetResult, err error) {
	if _, err := secret.ParseName(string(name)); err != nil {
		return res, badInput(err)
	}
	if value.Len() > api.MaxValue {
		return res, &api.Error{Code: api.CodeBadInput, Message: fmt.Sprintf("the value of %s is longer than %d bytes", name, api.MaxValue)}
	}
	return res, c.do(ctx, "PUT", "/v1/secrets/"+string(name), value.Reveal(), &res)
}

// Delete removes name and returns what it was.
func (c *Client) Delete(ctx context.Context, name secret.Name) (was api.Secret, err error) {
	if _, err := secret.ParseName(string(name)); err != nil {
		return was, badInput(err)
	}
	return was, c.do(ctx, "DELETE", "/v1/secrets/"+string(name), nil, &was)
}

// Get returns the values of all names, which the caller wipes, or an error and
// none. Dir is the caller's directory.
func (c *Client) Get(ctx context.Context, names []secret.Name, dir string) (map[secret.Name]secret.Value, error) {
	q := api.GetRequest{Names: make([]string, len(names)), Dir: dir, Profile: c.Profile, Env: c.Env}
	for i, name := range names {
		q.Names[i] = string(name)
	}
	return c.get(ctx, q)
}

// GetAll returns the values of all names that the nbhush.toml in dir or above
// lists. It must be approved.
func (c *Client) GetAll(ctx context.Context, dir string) (map[secret.Name]secret.Value, error) {
	return c.get(ctx, api.GetRequest{All: true, Dir: dir, Profile: c.Profile, Env: c.Env})
}

func (c *Client) get(ctx context.Context, q api.GetRequest) (map[secret.Name]secret.Value, error) {
	var res api.GetResult
	if err := c.do(ctx, "POST", "/v1/get", q, &res); err != nil {
		return nil, err
	}
	values := make(map[secret.Name]secret.Value, len(res.Values))
	for name, b := range res.Values {
		values[secret.Name(name)] = secret.New(b)
	}
	for name, at := range res.Expires {
		if c.Expires != nil {
			c.Expires(secret.Name(name), at)
		}
	}
	if c.On != nil && res.Profile.Profile != "" {
		c.On(res.Profile)
	}
	return values, nil
}

// Explain says what a kernel would be told that asked for a name.
func (c *Client) Explain(ctx context.Context, q api.ExplainRequest) (e api.Explanation, err error) {
	return e, c.do(ctx, "POST", "/v1/explain", q, &e)
}

// Allow approves the nbhush.toml at path with the content of that policy.Hash.
func (c *Client) Allow(ctx context.Context, path, hash string) (res api.Allowed, err error) {
	return res, c.do(ctx, "POST", "/v1/allow", api.AllowRequest{Path: path, Hash: hash}, &res)
}

// Deny takes the approval of the nbhush.toml at path back.
func (c *Client) Deny(ctx context.Context, path string) (was api.Allowed, err error) {
	return was, c.do(ctx, "POST", "/v1/deny", api.AllowRequest{Path: path}, &was)
}

// Allowed returns every approval.
func (c *Client) Allowed(ctx context.Context) (list []api.Allowed, err error) {
	return list, c.do(ctx, "GET", "/v1/allowed", nil, &list)
}

// AddRule allows or denies one name.
func (c *Client) AddRule(ctx context.Context, q api.Rule) (made api.Rule, err error) {
	return made, c.do(ctx, "POST", "/v1/rules", q, &made)
}

// Rules returns what was granted and denied by name.
func (c *Client) Rules(ctx context.Context) (list []api.Rule, err error) {
	return list, c.do(ctx, "GET", "/v1/rules", nil, &list)
}

// Revoke takes grants back, or denials, and returns them.
func (c *Client) Revoke(ctx context.Context, q api.RevokeRequest) (was []api.Rule, err error) {
	return was, c.do(ctx, "POST", "/v1/revoke", q, &was)
}

// Lock makes the agent that runs forget every value.
func (c *Client) Lock(ctx context.Context) (st api.Status, err error) {
	return st, c.ask(ctx, "POST", "/v1/lock", nil, &st)
}

// Unlock opens the store, with the passphrase where one wraps its key. The
// passphrase stays the caller's to clear.
func (c *Client) Unlock(ctx context.Context, passphrase []byte) (st api.Status, err error) {
	return st, c.do(ctx, "POST", "/v1/unlock", api.UnlockRequest{Passphrase: passphrase}, &st)
}

// Stop ends the agent that runs. When it returns nil that agent answers nobody
// and writes nothing any more, or it is waited for no longer.
func (c *Client) Stop(ctx context.Context) (st api.Status, err error) {
	if err := c.ask(ctx, "POST", "/v1/stop", nil, &st); err != nil {
		return st, err
	}
	c.Close()
	c.waitGone(ctx)
	return st, nil
}

// do is ask with an agent that is started if none runs.
func (c *Client) do(ctx context.Context, method, path string, body, res any) error {
	return c.started(ctx, method, path, body, res, true)
}

// doOnce is do for a request that must not be sent twice: a second one would
// find what the first one did.
func (c *Client) doOnce(ctx context.Context, method, path string, body, res any) error {
	c.Close() // a kept connection may belong to an agent that is gone
	return c.started(ctx, method, path, body, res, false)
}

// started is send, and send once more with an agent that was started, if the first
// one found none.
func (c *Client) started(ctx context.Context, method, path string, body, res any, again bool) error {
	err := c.send(ctx, method, path, body, res, again)
	if lost := isAbsent(err) || again && isBroken(err); !lost || c.NoStart {
		return err
	}
	if err := c.Up(ctx); err != nil {
		return err
	}
	return c.send(ctx, method, path, body, res, again)
}

// ask sends one request. A body that is []byte goes as it is, another as JSON.
func (c *Client) ask(ctx context.Context, method, path string, body, res any) error {
	return c.send(ctx, method, path, body, res, true)
}

// send is ask; again says that the request may be sent twice.
func (c *Client) send(ctx context.Context, method, path string, body, res any, again bool) error {
	raw, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return badInput(err)
		}
		defer clear(raw) // it may hold a passphrase
	}
	for {
		k, kept := c.kept.take(), true
		if k == nil {
			conn, err := c.dial(ctx)
			if err != nil {
				return away(ctx, err)
			}
			k, kept = newKept(conn), false
		}
		status, answer, usable, err := k.exchange(ctx, method, path, raw)
		if usable {
			c.kept.give(k)
		} else {
			_ = k.conn.Close()
		}
		if err == nil {
			return understandAnswer(status, answer, res)
		}
		// A connection that was kept may belong to an agent that is gone.
		if err = away(ctx, err); !kept || !again || !isBroken(err) {
			return err
		}
	}
}

// understandAnswer decodes an answer into res, or returns the error that it is, and
// clears it.
func understandAnswer(status int, b []byte, res any) error {
	if status/100 == 2 {
		return understand(b, res)
	}
	defer clear(b)
	return decodeError(b)
}

func decodeError(b []byte) error {
	var e api.Error
	if json.Unmarshal(b, &e) != nil || e.Code == "" {
		return &api.Error{Code: api.CodeVersion, Message: "the agent's answer is not understood", Mend: hintRestart}
	}
	return &e
}

const hintRestart = "nbhush agent stop, then try again"

// checkVersion refuses an agent that is older than this program. A newer one
// serves this version too.
func checkVersion(h http.Header) error {
	text := h.Get(api.VersionHeader)
	v, err := strconv.Atoi(text)
	if err != nil {
		return &api.Error{Code: api.CodeVersion, Message: "what answers at the socket is no agent of nbhush", Mend: hintRestart}
	}
	if v < api.Version {
		return &api.Error{
			Code:    api.CodeVersion,
			Message: fmt.Sprintf("the running agent is older than this program: it speaks version %d of the protocol, not %d", v, api.Version),
			Mend:    hintRestart,
		}
	}
	return nil
}

// Close closes connections that are idle. The Client can still be used.
func (c *Client) Close() { c.kept.close() }

// path returns the path of the agent's socket.
func (c *Client) path() (string, error) {
	if c.Socket != "" {
		return c.Socket, nil
	}
	h, err := home.Find(os.Getenv)
	return h.Socket(), err
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	path, err := c.path()
	if err != nil {
		return nil, err
	}
	conn, err := socket.Dial(ctx, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errAbsent
	}
	return conn, err
}

// errAbsent says that no agent runs, and so that one can be started.
var errAbsent = &api.Error{Code: api.CodeAway, Message: "no agent runs", Mend: hintStart}

// away gives an error of the connection its form.
func away(ctx context.Context, err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	if ctx.Err() != nil {
		return &api.Error{Code: api.CodeAway, Message: "the agent did not answer in time"}
	}
	if errors.Is(err, socket.ErrPeer) {
		return &api.Error{Code: api.CodeAway, Message: "the agent's socket is not this user's: " + err.Error(), Mend: "nbhush doctor"}
	}
	e = &api.Error{Code: api.CodeAway, Message: "the agent does not answer: " + err.Error(), Mend: hintStart}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return brokenError{e}
	}
	return e
}

// brokenError says that the agent ended before it answered, as one does that is
// killed. Every request may be sent twice, so the next agent can be asked.
type brokenError struct{ is *api.Error }

func (e brokenError) Error() string { return e.is.Error() }
func (e brokenError) Unwrap() error { return e.is }

func isBroken(err error) bool {
	var b brokenError
	return errors.As(err, &b)
}

func badInput(err error) error {
	e := &api.Error{Code: api.CodeBadInput, Message: err.Error()}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		e.Mend = h.Hint()
	}
	return e
}
