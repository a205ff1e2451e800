package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
)

// The test binary, started as the agent, is one that cannot start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		fmt.Fprintln(os.Stderr, "the settings are damaged")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func tempSocket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nbc") // its path is short, as a socket's must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("NBHUSH_HOME", dir)
	return filepath.Join(dir, "s")
}

// fake serves h at path until the test ends.
func fake(t testing.TB, path string, h http.HandlerFunc) {
	t.Helper()
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	conns := 0
	s := &http.Server{Handler: h, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		conns++ // by one goroutine, which accepts them
		return context.WithValue(ctx, connKey{}, strconv.Itoa(conns))
	}}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
}

func code(err error) api.Code {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return api.Code(fmt.Sprint(err))
}

func TestNoAgent(t *testing.T) {
	path := tempSocket(t)
	ctx := t.Context()
	c := &Client{Socket: path, NoStart: true}
	_, err := c.List(ctx)
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeAway || e.Hint() != "nbhush agent start" {
		t.Errorf("list: %v", err)
	}
	if _, err := c.Stream(ctx); code(err) != api.CodeAway {
		t.Errorf("stream: %v", err)
	}

	starts := 0
	c = &Client{Socket: path, Start: func(context.Context) error { starts++; return errors.New("no such program") }}
	for _, ask := range []func() error{
		func() error { _, err := c.Status(ctx); return err },
		func() error { _, err := c.Lock(ctx); return err },
		func() error { _, err := c.Stop(ctx); return err },
	} {
		if err := ask(); code(err) != api.CodeAway || starts != 0 {
			t.Errorf("%v after %d starts, want none", err, starts)
		}
	}
	if _, err := c.List(ctx); code(err) != api.CodeAway || starts != 1 || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("list: %v after %d starts", err, starts)
	}
	if _, err := c.Stream(ctx); code(err) != api.CodeAway || starts != 2 {
		t.Errorf("stream: %v after %d starts", err, starts)
	}

	c = &Client{Socket: path} // this executable, which ends at once
	if _, err := c.List(ctx); code(err) != api.CodeAway || !strings.Contains(err.Error(), "the settings are damaged") {
		t.Errorf("an agent that ends at once: %v", err)
	}
}

func TestVersions(t *testing.T) {
	now := strconv.Itoa(api.Version)
	for _, c := range []struct {
		name, header, body string
		status             int
		want               api.Code
	}{
		{"same", now, `{"api":` + now + `}`, 200, "<nil>"},
		{"newer agent", "7", `{"api":7,"more":true}`, 200, "<nil>"},
		{"older agent", "0", `{"api":0}`, 200, api.CodeVersion},
		{"no agent", "", `{}`, 200, api.CodeVersion},
		{"not JSON", now, `<html>`, 200, api.CodeVersion},
		{"error that is none", now, `<html>`, 500, api.CodeVersion},
		{"error", now, `{"code":"locked","message":"m"}`, 423, api.CodeLocked},
		{"too long", now, strings.Repeat("x", api.MaxBody+1), 200, api.CodeInternal},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := tempSocket(t)
			fake(t, path, func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "nbhush" || r.Header.Get("Idempotency-Key") != "" || r.Header.Get("Origin") != "" {
					t.Errorf("request to %q with %v", r.Host, r.Header)
				}
				if c.header != "" {
					w.Header().Set(api.VersionHeader, c.header)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			cl := &Client{Socket: path, NoStart: true}
			defer cl.Close()
			if _, err := cl.Status(t.Context()); code(err) != c.want {
				t.Errorf("status: %v, want %s", err, c.want)
			}
			if c.want == "<nil>" {
				return
			}
			if _, err := cl.Stream(t.Context()); err == nil || isAbsent(err) {
				t.Errorf("stream: %v", err)
			}
		})
	}
}

// The connection that was kept belongs to an agent that has gone: the request
// is sent again, also one that changes something.
func TestKeptConnectionThatBreaks(t *testing.T) {
	path := tempSocket(t)
	sets := 0
	fake(t, path, func(w http.ResponseWriter, r *http.Request) {
		sets++
		if sets == 2 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		w.Header().Set(api.VersionHeader, strconv.Itoa(api.Version))
		_ = json.NewEncoder(w).Encode(api.SetResult{Secret: api.Secret{Name: "A"}})
	})
	c := &Client{Socket: path, NoStart: true}
	defer c.Close()
	for range 2 {
		if _, err := c.Set(t.Context(), "A", secret.New([]byte(rand.Text()))); err != nil {
			t.Fatal(err)
		}
	}
	if sets != 3 {
		t.Errorf("%d requests, want 3", sets)
	}
}

// What must not be done twice is not sent again.
func TestSentOnce(t *testing.T) {
	path := tempSocket(t)
	var asked atomic.Int32
	fake(t, path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set(api.VersionHeader, strconv.Itoa(api.Version))
			_ = json.NewEncoder(w).Encode(api.Status{})
			return
		}
		asked.Add(1)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	c := &Client{Socket: path, Start: func(context.Context) error { return nil }}
	defer c.Close()
	for what, ask := range map[string]func() error{
		"passphrase": func() error { _, err := c.Passphrase(t.Context(), nil, nil); return err },
		"restore":    func() error { _, err := c.Restore(t.Context(), "A", time.Time{}); return err },
		"rotate":     func() error { _, err := c.RotateFrom(t.Context(), "A", api.RotateRequest{}); return err },
	} {
		if _, err := c.Status(t.Context()); err != nil { // leaves a connection
			t.Fatal(err)
		}
		asked.Store(0)
		if err := ask(); err == nil || asked.Load() != 1 {
			t.Errorf("%s: asked %d times, %v", what, asked.Load(), err)
		}
	}
}

func TestBadNamesAreNotSent(t *testing.T) {
	c := &Client{Socket: tempSocket(t), NoStart: true}
	if _, err := c.Set(t.Context(), "../status", secret.New([]byte("x"))); code(err) != api.CodeBadInput {
		t.Errorf("set: %v", err)
	}
	if _, err := c.Delete(t.Context(), "A?b"); code(err) != api.CodeBadInput {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.Set(t.Context(), "A", secret.New(make([]byte, api.MaxValue+1))); code(err) != api.CodeBadInput {
		t.Errorf("set of a long value: %v", err)
	}
}

func TestAgentEnv(t *testing.T) {
	got := agentEnv([]string{
		"HOME=/h", "PATH=/bin", "NBHUSH_HOME=/n", "XDG_RUNTIME_DIR=/r", "DBUS_SESSION_BUS_ADDRESS=a", "LC_ALL=C",
		"OPENAI_API_KEY=value", "NBHUSH_TOKEN=token", "NBHUSH_ENDPOINT=ipc", "LD_PRELOAD=x.so", "HOMEX=1", "",
		"IDENTITY_ENDPOINT=e", "IDENTITY_HEADER=h", "MSI_ENDPOINT=m", "MSI_SECRET=s", "AZURE_CLIENT_SECRET=value", "AWS_SECRET_ACCESS_KEY=value",
	})
	want := []string{"HOME=/h", "PATH=/bin", "NBHUSH_HOME=/n", "XDG_RUNTIME_DIR=/r", "DBUS_SESSION_BUS_ADDRESS=a", "LC_ALL=C", "IDENTITY_ENDPOINT=e", "IDENTITY_HEADER=h", "MSI_ENDPOINT=m", "MSI_SECRET=s"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// stubborn answers a stream with replies that are wrong.
func TestWrongReplies(t *testing.T) {
	for name, reply := range map[string][]byte{
		"nothing":             nil,
		"garbage":             []byte("HTTP/1.1 200 OK\r\n\r\n"),
		"empty frame":         {0, 0, 0, 0},
		"short result":        api.AppendFrame(nil, api.StatusOK, []byte{1}),
		"span out of text":    api.AppendFrame(nil, api.StatusOK, api.AppendResult(nil, match.Result{Spans: []match.Span{{Start: 0, End: 9999, Name: "A"}}})),
		"error that is none":  api.AppendFrame(nil, api.StatusError, []byte("no")),
		"reply to nobody too": api.AppendFrame(api.AppendFrame(nil, api.StatusError, nil), api.StatusOK, nil),
	} {
		t.Run(name, func(t *testing.T) {
			path := tempSocket(t)
			serve(t, path, func(c net.Conn) { answer(c, reply) })
			s, err := (&Client{Socket: path, NoStart: true}).Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if r, err := s.Find(t.Context(), []byte("text")); err == nil {
				t.Errorf("a result: %v", r)
			}
		})
	}
}

// serve has each connection to path served by f, and then closed.
func serve(t *testing.T, path string, f func(net.Conn)) {
	t.Helper()
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
}

func answer(c net.Conn, reply []byte) {
	_, _ = c.Read(make([]byte, 4096))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n%s: %d\r\n\r\n", api.Protocol, api.VersionHeader, api.Version)
	_, _ = c.Read(make([]byte, 4096))
	_, _ = c.Write(reply)
}

// FuzzFindParts: a text in parts has the spans of the whole.
func FuzzFindParts(f *testing.F) {
	f.Add(uint64(1), 100, 30)
	f.Add(uint64(2), 64, 1000)
	f.Fuzz(func(t *testing.T, seed uint64, size, n int) {
		size, n = 64+abs(size)%1000, abs(n)%20_000
		r := mrand.New(mrand.NewPCG(seed, 0))
		value := make([]byte, 8+r.IntN(40))
		for i := range value {
			value[i] = byte('a' + r.IntN(26))
		}
		set := match.New([]match.Known{{Name: "A", Value: secret.New(bytes.Clone(value))}})
		text := bytes.Repeat([]byte{'.'}, n)
		for range r.IntN(20) {
			if len(text) > len(value) {
				copy(text[r.IntN(len(text)-len(value)):], value)
			}
		}
		want, err := set.Find(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := findParts(text, size, func(part []byte) (match.Result, error) {
			res, err := set.Find(t.Context(), part)
			if err == nil && len(res.Spans) > 3 { // an answer that does not fit
				return match.Result{}, &api.Error{Code: api.CodeBadInput}
			}
			return res, err
		})
		if errors.Is(err, &api.Error{Code: api.CodeBadInput}) {
			return // more than 3 in the shortest part
		}
		if err != nil || !slices.Equal(got.Spans, want.Spans) {
			t.Fatalf("%d bytes in parts of %d: %v, %v; want %v", n, size, got.Spans, err, want.Spans)
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

// A match that is longer than the part makes the part longer.
func TestFindPartsOfALongMatch(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	text := slices.Concat(make([]byte, 100), value, make([]byte, 100))
	got, err := findParts(text, 1000, func(part []byte) (match.Result, error) {
		// As a finder that sees the beginning of the value at the end of the part.
		var r match.Result
		if i := bytes.Index(part, value); i >= 0 {
			r.Spans = []match.Span{{Start: i, End: i + len(value), Name: "A"}}
		} else if i := bytes.Index(part, value[:50]); i >= 0 {
			r.Tail = len(part) - i
		}
		return r, nil
	})
	want := []match.Span{{Start: 100, End: 100 + len(value), Name: "A"}}
	if err != nil || !slices.Equal(got.Spans, want) {
		t.Errorf("%v, %v; want %v", got.Spans, err, want)
	}
}
