package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	stdnet "net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/provider"
)

// net is how servers are reached. The zero net is the network.
type net struct {
	dial func(ctx context.Context, network, address string) (stdnet.Conn, error) // of a test
}

var (
	errTooLong  = errors.New("the answer is too long")
	errRedirect = errors.New("the server sends to another one")
)

// client returns one that knows the authorities of the file ca, follows no
// redirect to another server and reads no more than an answer may have.
func (n net) client(ca string) (*http.Client, error) {
	tr, err := n.transport(ca)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: capped{tr}, CheckRedirect: noRedirect}, nil
}

func (n net) transport(ca string) (*http.Transport, error) {
	roots, err := provider.Roots(ca)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            n.dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        10 * time.Second,
	}, nil
}

// cappedTransport is transport for a library that takes no http.Client of ours: no
// answer is longer than it may be here either, since each has its own connection.
func (n net) cappedTransport(ca string) (*http.Transport, error) {
	tr, err := n.transport(ca)
	if err != nil {
		return nil, err
	}
	tr.DialContext, tr.DisableKeepAlives, tr.ForceAttemptHTTP2 = n.cappedDial, true, false
	return tr, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// cappedDial is n's, for one answer a connection.
func (n net) cappedDial(ctx context.Context, network, address string) (stdnet.Conn, error) {
	dial := n.dial
	if dial == nil {
		dial = new(stdnet.Dialer).DialContext
	}
	c, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cappedConn{c, provider.MaxAnswer + 256<<10}, nil // and the handshake and the header
}

// cappedConn ends what is too long.
type cappedConn struct {
	stdnet.Conn
	left left
}

func (c *cappedConn) Read(p []byte) (int, error) { return c.left.read(c.Conn, p) }

// left is how many bytes may still be read.
type left int

func (l *left) read(r io.Reader, p []byte) (int, error) {
	if *l <= 0 {
		return 0, errTooLong
	}
	n, err := r.Read(p[:min(len(p), int(*l))])
	*l -= left(n)
	return n, err
}

// capped ends an answer that is too long.
type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		resp.Body = &body{resp.Body, provider.MaxAnswer}
	}
	return resp, err
}

type body struct {
	io.ReadCloser
	left left
}

func (b *body) Read(p []byte) (int, error) { return b.left.read(b.ReadCloser, p) }

// lastAnswer is how a login went, of which libraries hand on the text alone.
type lastAnswer struct {
	next   http.RoundTripper
	err    error
	status int
	header http.Header
}

func (l *lastAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	return l.note(l.next.RoundTrip(req))
}

func (l *lastAnswer) note(resp *http.Response, err error) (*http.Response, error) {
	if l.err = err; err == nil {
		l.status, l.header = resp.StatusCode, resp.Header
	}
	return resp, err
}

// loginClient returns client for a login that nobody else makes, and how it went.
func loginClient(client *http.Client) (*http.Client, *lastAnswer) {
	last := &lastAnswer{next: client.Transport}
	login := *client
	login.Transport = last
	return &login, last
}

// explain says why there is no token.
func (l *lastAnswer) explain(ctx context.Context) error {
	if l.err != nil || ctx.Err() != nil {
		if e := network(ctx, l.err); e != nil {
			return e
		}
		return provider.Failure(provider.Unreachable, provider.ReasonNone)
	}
	switch {
	case l.status == 0: // no key that can be used, or a metadata server that does not answer
		return provider.Failure(provider.Denied, provider.ReasonLogin)
	case l.status/100 == 4 && l.status != http.StatusTooManyRequests:
		return provider.Failure(provider.Denied, provider.ReasonRefused)
	case l.status/100 != 2:
		return status(l.status, l.header)
	}
	return provider.Failure(provider.Malformed, provider.ReasonNone)
}

// address is the setting of that name, checked, or "".
func address(q provider.Query) (string, error) {
	a := q.Settings["address"]
	if a == "" {
		return "", nil
	}
	u, err := provider.CheckAddress(a)
	if err != nil {
		return "", provider.Failure(provider.Setup, provider.ReasonPlain)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

func file(q provider.Query, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, _ := os.UserHomeDir()
		return filepath.Join(home, rest)
	}
	return filepath.Join(q.Dir, path)
}

// network says what err, of a connection, means; nil if it is of none.
func network(ctx context.Context, err error) *provider.Error {
	var certificate *tls.CertificateVerificationError
	var dns *stdnet.DNSError
	var dial *stdnet.OpError
	switch {
	case errors.Is(err, errTooLong):
		return provider.Failure(provider.TooLong, provider.ReasonTooLong)
	case errors.Is(err, errRedirect):
		return provider.Failure(provider.Setup, provider.ReasonRedirect)
	case errors.As(err, &certificate):
		return provider.Failure(provider.Unreachable, provider.ReasonCertificate)
	case ctx.Err() != nil:
		return provider.Failure(provider.Unreachable, provider.ReasonTime)
	case errors.As(err, &dns):
		return provider.Failure(provider.Unreachable, provider.ReasonHost)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return provider.Failure(provider.Malformed, provider.ReasonHalf)
	case errors.As(err, &dial):
		return provider.Failure(provider.Unreachable, provider.ReasonNone)
	}
	return nil
}

// status says what an answer other than 2xx means.
func status(code int, h http.Header) *provider.Error {
	kind, reason := provider.Malformed, provider.ReasonNone
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		kind = provider.Denied
	case code == http.StatusNotFound:
		kind = provider.Missing
	case code == http.StatusTooManyRequests:
		kind = provider.Throttled
	case code/100 == 3:
		kind, reason = provider.Setup, provider.ReasonRedirect
	case code/100 == 5:
		kind = provider.Failed
	}
	e := provider.Failure(kind, reason)
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(min(n, 3600)) * time.Second
	}
	return e
}
