package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
)

// raw sends bytes to the agent and returns everything that it answers until it
// closes the connection.
func raw(t testing.TB, w *world, in []byte) []byte {
	t.Helper()
	c, err := net.Dial("unix", w.home.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(in) // the agent may refuse before it has read everything
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Log(err)
	}
	out, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the agent keeps the connection open after %.40q", in)
	}
	return out
}

func TestWebPagesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	value := w.set(t, "LISTED")
	body := `{"names":["LISTED"]}`
	post := func(head string) string {
		return fmt.Sprintf("POST /v1/get HTTP/1.1\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", head, len(body), body)
	}
	for _, c := range []struct {
		name, request, status string
	}{
		{"ours", post("Host: nbhush\r\n"), "200"},
		{"Origin", post("Host: nbhush\r\nOrigin: https://evil.example\r\n"), "403"},
		{"Origin null", post("Host: nbhush\r\nOrigin: null\r\n"), "403"},
		{"Origin empty", post("Host: nbhush\r\norigin:\r\n"), "403"},
		{"Referer", post("Host: nbhush\r\nReferer: http://nbhush/\r\n"), "403"},
		{"Host of another", post("Host: localhost:8888\r\n"), "403"},
		{"Host with a port", post("Host: nbhush:80\r\n"), "403"},
		{"Host empty", post("Host:\r\n"), "403"},
		{"no Host", post(""), "400"},
		{"Host in the request line", strings.Replace(post("Host: nbhush\r\n"), "/v1", "http://evil.example/v1", 1), "403"},
		{"stream with Origin", "GET /v1/stream HTTP/1.1\r\nHost: nbhush\r\nOrigin: x\r\nConnection: Upgrade\r\nUpgrade: " + api.Protocol + "\r\n\r\n", "403"},
		{"unknown route with Origin", "GET /nothing HTTP/1.1\r\nHost: nbhush\r\nOrigin: x\r\n\r\n", "403"},
	} {
		out := string(raw(t, w, []byte(c.request)))
		if !strings.HasPrefix(out, "HTTP/1.1 "+c.status) {
			t.Errorf("%s: %.60q, want status %s", c.name, out, c.status)
		}
		if c.status != "200" && strings.Contains(out, value) {
			t.Errorf("%s: the value was served", c.name)
		}
		if noted := w.lastNoted(t); c.status == "403" && (noted.Verdict != audit.Denied || noted.Reason != "request of a web page" || noted.Who.PID != os.Getpid()) {
			t.Errorf("%s: the audit log ends with %+v", c.name, noted)
		}
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	huge := strings.Repeat("x", api.MaxBody+1)
	for _, c := range []struct {
		name, method, path, body string
		want                     api.Code
	}{
		{"unknown route", "GET", "/v1/everything", "", api.CodeNotFound},
		{"wrong method", "POST", "/v1/status", "", api.CodeNotFound},
		{"newer version", "GET", fmt.Sprintf("/v%d/status", api.Version+1), "", api.CodeVersion},
		{"not JSON", "POST", "/v1/get", "names", api.CodeBadInput},
		{"wrong type", "POST", "/v1/get", `{"names":7}`, api.CodeBadInput},
		{"deep JSON", "POST", "/v1/get", strings.Repeat("[", 100_000), api.CodeBadInput},
		{"body too long", "POST", "/v1/get", huge, api.CodeBadInput},
		{"value too long", "PUT", "/v1/secrets/A", huge[:api.MaxValue+1], api.CodeBadInput},
		{"name in the path", "PUT", "/v1/secrets/..%2f..", "x", api.CodeBadInput},
		{"too many names", "POST", "/v1/get", `{"names":["A"` + strings.Repeat(`,"A"`, maxNames) + `]}`, api.CodeBadInput},
		{"stream without Upgrade", "GET", "/v1/stream", "", api.CodeBadInput},
	} {
		req := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: nbhush\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", c.method, c.path, len(c.body), c.body)
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw(t, w, []byte(req)))), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var e api.Error
		err = json.NewDecoder(resp.Body).Decode(&e)
		_ = resp.Body.Close()
		if err != nil || e.Code != c.want || e.Message == "" || resp.Header.Get(api.VersionHeader) != strconv.Itoa(api.Version) {
			t.Errorf("%s: status %d, %+v, %v; want code %s", c.name, resp.StatusCode, e, err, c.want)
		}
	}
	chunked := "PUT /v1/secrets/A HTTP/1.1\r\nHost: nbhush\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + huge[:0x200000] + "\r\n0\r\n\r\n"
	if out := raw(t, w, []byte(chunked)); !bytes.Contains(out, []byte(api.CodeBadInput)) {
		t.Errorf("a chunked body that is too long: %.100q", out)
	}
}

func TestGarbageOnTheSocket(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	upgrade := "GET /v1/stream HTTP/1.1\r\nHost: nbhush\r\nConnection: Upgrade\r\nUpgrade: " + api.Protocol + "\r\n\r\n"
	random := make([]byte, 10_000)
	_, _ = rand.Read(random)
	for name, in := range map[string][]byte{
		"nothing":             nil,
		"random bytes":        random,
		"zeros":               make([]byte, 10_000),
		"half a request":      []byte("GET /v1/status HT"),
		"long header":         []byte("GET / HTTP/1.1\r\nHost: nbhush\r\nX: " + strings.Repeat("x", 1<<16)),
		"stream, random":      append([]byte(upgrade), random...),
		"stream, empty frame": append([]byte(upgrade), 0, 0, 0, 0),
		"stream, long frame":  append([]byte(upgrade), 0xff, 0xff, 0xff, 0xff, 'F'),
		"stream, unknown op":  api.AppendFrame([]byte(upgrade), 'X', nil),
		"stream, half frame":  append([]byte(upgrade), 0, 0, 1, 0, 'F', 'x'),
	} {
		out := raw(t, w, in)
		if strings.HasPrefix(name, "stream") && !bytes.HasPrefix(out, []byte("HTTP/1.1 101")) {
			t.Errorf("%s: %.60q", name, out)
		}
	}
	c := &client.Client{NoStart: true}
	defer c.Close()
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("the agent does not answer any more: %v", err)
	}
}

// Pipelined requests are answered in their order, errors among them.
func TestStreamOrder(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	value := w.set(t, "LISTED")
	in := []byte("GET /v1/stream HTTP/1.1\r\nHost: nbhush\r\nConnection: Upgrade\r\nUpgrade: " + api.Protocol + "\r\n\r\n")
	const n = 100
	for i := range n {
		in = api.AppendFrame(in, byte(api.OpFind), append(make([]byte, i), value...))
		in = api.AppendFrame(in, byte(api.OpGet), []byte("MISSING"))
		in = api.AppendFrame(in, byte(api.OpGet), []byte("LISTED"))
	}
	r := bufio.NewReader(bytes.NewReader(raw(t, w, in)))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status, err)
	}
	for i := range n {
		status, payload, err := api.ReadFrame(r, nil)
		if err != nil || status != api.StatusOK {
			t.Fatalf("find %d: status %d, %v", i, status, err)
		}
		res, err := api.ParseResult(payload, i+len(value))
		if err != nil || len(res.Spans) != 1 || res.Spans[0] != (match.Span{Start: i, End: i + len(value), Name: "LISTED"}) {
			t.Fatalf("find %d: %v, %v", i, res, err)
		}
		if status, _, err = api.ReadFrame(r, nil); err != nil || status != api.StatusError {
			t.Fatalf("get %d of nothing: status %d, %v", i, status, err)
		}
		if status, payload, err = api.ReadFrame(r, nil); err != nil || status != api.StatusOK || string(payload) != value {
			t.Fatalf("get %d: status %d, %d bytes, %v", i, status, len(payload), err)
		}
	}
	if _, _, err := api.ReadFrame(r, nil); !errors.Is(err, io.EOF) {
		t.Errorf("after the last reply: %v", err)
	}
}

func TestManyClients(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	value := w.set(t, "SHARED")
	const clients, requests = 200, 5
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := &client.Client{NoStart: true}
			defer c.Close()
			own := secret.Name(fmt.Sprintf("OWN_%d", i%10))
			if i < 10 {
				if _, err := c.Set(t.Context(), own, secret.New([]byte(rand.Text()))); err != nil {
					t.Errorf("client %d: set: %v", i, err)
				}
			}
			s, err := c.Stream(t.Context())
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			defer s.Close()
			for j := range requests {
				got, err := c.Get(t.Context(), []secret.Name{"SHARED"}, "/")
				if err != nil || string(got["SHARED"].Reveal()) != value {
					t.Errorf("client %d, get %d: %v", i, j, err)
				}
				r, err := s.Find(t.Context(), []byte("x"+value))
				if err != nil || len(r.Spans) != 1 {
					t.Errorf("client %d, find %d: %v, %v", i, j, r.Spans, err)
				}
			}
		})
	}
	wg.Wait()
	list, err := w.session().List(t.Context())
	if err != nil || len(list) != 11 {
		t.Errorf("%d secrets, %v; want 11", len(list), err)
	}
}

// One stream used by many: every answer belongs to its question.
func TestSharedStream(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	value := w.set(t, "SHARED")
	c := &client.Client{NoStart: true}
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for j := range 20 {
				at := i*1000 + j
				if i%10 == 9 { // one that gives up does not disturb the others
					ctx, cancel := context.WithCancel(t.Context())
					go cancel()
					_, _ = s.Find(ctx, make([]byte, 100_000))
					continue
				}
				r, err := s.Find(t.Context(), append(make([]byte, at), value...))
				if err != nil || len(r.Spans) != 1 || r.Spans[0].Start != at {
					t.Errorf("%v, %v; want one at %d", r.Spans, err, at)
				}
			}
		})
	}
	wg.Wait()
}

func TestLongTexts(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	value := w.set(t, secret.Name(strings.Repeat("A", secret.MaxNameLen)))
	c := &client.Client{NoStart: true}
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(name string, text []byte, want int) {
		t.Helper()
		r, err := s.Find(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if len(r.Spans) != want {
			t.Errorf("%s: %d spans, want %d", name, len(r.Spans), want)
		}
		for _, sp := range r.Spans {
			if string(text[sp.Start:sp.End]) != value {
				t.Errorf("%s: span %v is not the value", name, sp)
				return
			}
		}
	}
	for _, at := range []int{1<<20 - 1, 1<<20 - 10, 1 << 20, 2<<20 - 13} {
		text := bytes.Repeat([]byte{'.'}, 2<<20+100)
		copy(text[at:], value)
		check(fmt.Sprint("value at ", at), text, 1)
	}
	// More answers than a frame holds.
	const n = 40_000
	check("dense", bytes.Repeat([]byte(value+" "), n), n)
}

func FuzzServeFrames(f *testing.F) {
	w := newWorld(f)
	value := w.set(f, "LISTED")
	kernel, err := json.Marshal(api.Kernel{API: api.Version, Dir: w.project})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(api.AppendFrame(nil, byte(api.OpFind), []byte("text "+value)))
	f.Add(api.AppendFrame(api.AppendFrame(nil, byte(api.OpKernel), kernel), byte(api.OpNames), nil))
	f.Add(api.AppendFrame(nil, byte(api.OpGet), []byte("LISTED")))
	f.Add([]byte{0, 0, 0, 9, 'K', '{'})
	f.Fuzz(func(t *testing.T, in []byte) {
		requests := 0
		for r := bytes.NewReader(in); ; requests++ {
			if _, _, err := api.ReadFrame(r, nil); err != nil {
				break
			}
		}
		here, there := net.Pipe()
		var out bytes.Buffer
		read := make(chan struct{})
		go func() { _, _ = io.Copy(&out, there); close(read) }()
		s := w.session(1234)
		_ = serveFrames(t.Context(), s, bufio.NewReaderSize(bytes.NewReader(in), 4096), here)
		s.end()
		_ = here.Close()
		<-read
		replies := 0
		for {
			status, _, err := api.ReadFrame(&out, nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || status > api.StatusError {
				t.Fatalf("reply %d: status %d, %v", replies, status, err)
			}
			replies++
		}
		if replies > requests {
			t.Fatalf("%d replies to %d requests", replies, requests)
		}
	})
}
