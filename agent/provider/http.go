package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// endpoint is an HTTP server that is asked: its address and who vouches for it.
type endpoint struct {
	base   *url.URL
	wires  *wires
	client *http.Client
}

// newEndpoint reads the settings address and ca. fallback is the address where
// the settings have none.
func newEndpoint(q Query, fallback string) (*endpoint, error) {
	address := q.Settings["address"]
	if address == "" {
		address = fallback
	}
	if address == "" {
		return nil, fail(Setup, "add to nbhush.toml: [providers."+q.Ref.Scheme+"] and below it: address = \"https://…\"", "it has no address")
	}
	base, err := CheckAddress(address)
	if err != nil {
		return nil, err
	}
	ca := q.Settings["ca"]
	if ca != "" {
		ca = q.file(ca)
	}
	roots, err := Roots(ca)
	if err != nil {
		return nil, err
	}
	config, all := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, &wires{}
	return &endpoint{base, all, &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            all.dial,
			DialTLSContext:         all.dialTLS(config),
			TLSClientConfig:        config, // behind a proxy
			DisableKeepAlives:      true,   // an answer is kept for minutes
			MaxResponseHeaderBytes: 64 << 10,
		},
		// Credentials in headers of other names than Authorization would go along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// CheckAddress returns the URL of a server. Without TLS it must be of this machine.
func CheckAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fail(Setup, "", "its address is no URL such as https://host:8200")
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if u.Scheme != "https" && (u.Scheme != "http" || host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return nil, fail(Setup, "let its address begin with https://", "its address is without TLS, which only this machine's own may be")
	}
	return u, nil
}

// Roots returns the certificates of the file at path beside those of the system.
func Roots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fail(Setup, "check the setting ca", "the certificates cannot be read: %v", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fail(Setup, "the setting ca names a file of PEM certificates", "there is no certificate in %s", path)
	}
	return pool, nil
}

// do asks and decodes an answer of JSON into to. What is not 2xx is an *Error
// with status, whose words are ours.
func (e *endpoint) do(ctx context.Context, method, path, query string, header http.Header, body []byte, to any) (int, error) {
	u := *e.base
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+path, query
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(string(body))) //nolint:gosec // the address is of an approved nbhush.toml
	if err != nil {
		return 0, fail(Setup, "", "the reference makes no URL")
	}
	for key, v := range header {
		req.Header[key] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.client.Do(req) //nolint:gosec // as above
	if err != nil {
		return 0, unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, statusError(resp.StatusCode, retryAfter(resp.Header))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	defer clear(b)
	if err == nil && len(b) <= MaxAnswer { // the end was seen: nobody reads on
		defer e.wires.wipe()
	}
	switch {
	case len(b) > MaxAnswer:
		return resp.StatusCode, fail(TooLong, "", "its answer is longer than %d bytes", MaxAnswer)
	case err != nil && ctx.Err() != nil:
		return resp.StatusCode, unreachable(ctx, err)
	case err != nil:
		return resp.StatusCode, fail(Malformed, "", "its answer broke off")
	case to == nil || len(b) == 0 && resp.StatusCode == http.StatusNoContent:
		return resp.StatusCode, nil
	}
	if err := json.Unmarshal(b, to); err != nil {
		return resp.StatusCode, fail(Malformed, "", "its answer is not what its API describes")
	}
	return resp.StatusCode, nil
}

// unreachable says why there was no answer, in words that do not come from the
// other side.
func unreachable(ctx context.Context, err error) *Error {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &verify):
		return fail(Unreachable, "if its certificate is of your own authority, name that file: ca = \"ca.pem\"", "its certificate does not prove that it is the server")
	case errors.As(err, &record), errors.As(err, &alert):
		return fail(Unreachable, "check the address", "it does not speak TLS as it should")
	case errors.As(err, &dns):
		return fail(Unreachable, "", "its host is not found")
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return fail(Unreachable, "", "it did not answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "malformed HTTP"):
		return fail(Malformed, "", "its answer broke off")
	}
	return fail(Unreachable, "", "it cannot be reached")
}

// statusError is what an HTTP status says, unless an API has a word of its own for it.
func statusError(status int, after time.Duration) *Error {
	var e *Error
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e = fail(Denied, "", "permission denied")
	case status == http.StatusNotFound:
		e = fail(Missing, "", "there is no such secret")
	case status == http.StatusTooManyRequests:
		e = fail(Throttled, "", "it is asked too often")
	case status/100 == 3:
		e = fail(Setup, "set address to the server that it names", "it sends us to another address")
	case status/100 == 5:
		e = fail(Failed, "", "it answered with an error of its own, status %d", status)
	default:
		e = fail(Malformed, "", "it did not understand the question, status %d", status)
	}
	e.RetryAfter = after
	return e
}

// retryAfter reads RFC 9110, section 10.2.3.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return min(time.Duration(min(n, 3600))*time.Second, longRetry)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, min(time.Until(at), longRetry))
	}
	return 0
}
