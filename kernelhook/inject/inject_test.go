package inject

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// source holds values by name; a name without one is denied.
type source map[string]string

func (s source) Get(_ context.Context, name string) (secret.Value, error) {
	if v, ok := s[name]; ok {
		return secret.New([]byte(v)), nil
	}
	return secret.Value{}, &api.Error{Code: api.CodeDenied, Message: name + " is not allowed here", Mend: "nbhush allow"}
}

func (s source) Know(name string, v secret.Value) { s["KNOWN"+name] = string(v.Reveal()) }

func (s source) Consent(_ context.Context, q Question) (secret.Value, error) {
	if q.From == nil {
		return secret.Value{}, errors.New("nobody asks")
	}
	v, ok := s["consent "+q.Name+q.Cell]
	if !ok {
		return secret.Value{}, &api.Error{Code: api.CodeDenied, Message: "you said no"}
	}
	return secret.New([]byte(v)), nil
}

func (s source) Refresh(_ context.Context, held []api.Held) (r api.Refreshed, err error) {
	for _, h := range held {
		if string(h.Sum) == "old" {
			r.New = map[string][]byte{h.Name: []byte(s[h.Name])}
		} else {
			r.Gone = append(r.Gone, h.Name)
		}
	}
	return r, nil
}

func (s source) Hold(ctx context.Context, name string) (secret.Value, error) {
	v, err := s.Get(ctx, name)
	return secret.New(append([]byte("held "), v.Reveal()...)), err
}

func (s source) Follow(_ context.Context, name string, v secret.Value) (secret.Value, bool, error) {
	switch {
	case name == "DENIED":
		return secret.Value{}, false, &api.Error{Code: api.CodeDenied, Message: "not for you"}
	case string(v.Reveal()) != s[name]:
		return secret.Value{}, true, nil
	}
	return secret.New([]byte(s["next "+name])), false, nil
}

func (s source) Profile(context.Context) (api.Profile, error) {
	return api.Profile{Profile: "dev"}, nil
}

// refusals are what sources were told; a test that looks at them empties it.
var refusals = make(chan string, 100)

func (s source) Refused(_ context.Context, from zsock.Conn, why string) {
	if from != nil {
		refusals <- why
	}
}

func (s source) Names(context.Context) ([]string, error) { return []string{"A", "B"}, nil }

// serve returns an endpoint that answers from s.
func serve(t testing.TB, s source) (endpoint, token string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "in") // t.TempDir is too deep for a socket
	if err != nil {
		t.Fatal(err)
	}
	token, endpoint = rand.Text(), "ipc://"+filepath.Join(dir, "get")
	server, err := Listen(endpoint, token, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return endpoint, token
}

func TestAsk(t *testing.T) {
	s := source{"prod/A": "of-prod", "A": rand.Text(), "B": "two\nlines\x00 and a zero", "EMPTY": ""}
	endpoint, token := serve(t, s)
	for _, c := range []struct {
		name, token string
		names       []string
		code        api.Code
	}{
		{"one", token, []string{"A"}, ""},
		{"three in their order", token, []string{"B", "EMPTY", "A"}, ""},
		{"denied", token, []string{"A", "NO"}, api.CodeDenied},
		{"bad name", token, []string{"not a name"}, api.CodeBadInput},
		{"no name", token, nil, api.CodeBadInput},
		{"too many names", token, slices.Repeat([]string{"A"}, maxNames+1), api.CodeBadInput},
		{"wrong token", rand.Text(), []string{"A"}, api.CodeDenied},
		{"no token", "", []string{"A"}, api.CodeDenied},
		{"in a profile", token, []string{"prod/A"}, ""},
		{"bad name in a profile", token, []string{"prod/not a name"}, api.CodeBadInput},
		{"no profile", token, []string{strings.Repeat("p", 100) + "/A"}, api.CodeBadInput},
	} {
		t.Run(c.name, func(t *testing.T) {
			values, err := Ask(t.Context(), endpoint, c.token, c.names)
			var e *api.Error
			if c.code != "" {
				if !errors.As(err, &e) || e.Code != c.code || len(values) > 0 {
					t.Fatalf("got %v, %d values, want code %s", err, len(values), c.code)
				}
				if refused := len(refusals); (refused == 1) != (c.token != token) {
					t.Errorf("noted as refused %d times", refused)
				}
				for len(refusals) > 0 {
					<-refusals
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range c.names {
				if string(values[i].Reveal()) != s[n] {
					t.Errorf("%s is another value", n)
				}
			}
		})
	}
}

func TestAskNobody(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := Ask(ctx, "ipc://"+filepath.Join(t.TempDir(), "no"), "t", []string{"A"})
	var e *api.Error
	if !errors.As(err, &e) || e.Code != api.CodeAway || e.Hint() == "" {
		t.Errorf("got %v", err)
	}
}

// Requests of other forms are answered with an error or not at all; the next
// good one is served.
func TestRequests(t *testing.T) {
	endpoint, token := serve(t, source{"A": "value-of-a"})
	d, err := zsock.DialDealer(t.Context(), endpoint, nil, zsock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, c := range []struct {
		name    string
		request []string
		want    []string // "" in front is the delimiter; nil: no answer
	}{
		{"names", []string{"", Version, token, "names"}, []string{"", "ok", "A", "B"}},
		{"with a request id", []string{"id", "", Version, token, "get", "A"}, []string{"id", "", "ok", "value-of-a"}},
		{"other version", []string{"", "nbhush/9", token, "get", "A"}, []string{"", "error", "version"}},
		{"profile", []string{"", Version, token, "profile"}, []string{"", "ok", "dev"}},
		{"unknown op", []string{"", Version, token, "set", "A"}, []string{"", "error", "bad-input"}},
		{"nothing after the delimiter", []string{""}, []string{"", "error", "version"}},
		{"no delimiter", []string{Version, token, "get", "A"}, nil},
		{"again", []string{"", Version, token, "get", "A"}, []string{"", "ok", "value-of-a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var frames [][]byte
			for _, f := range c.request {
				frames = append(frames, []byte(f))
			}
			if err := d.Send(frames); err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				return
			}
			m, err := d.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range m.Frames {
				var e api.Error
				if strings.HasPrefix(string(f), "{") && json.Unmarshal(f, &e) == nil {
					f = []byte(e.Code)
				}
				got = append(got, string(f))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzRequest holds that no request without the token gets a value.
func FuzzRequest(f *testing.F) {
	token, value := rand.Text(), rand.Text()
	s := &Server{token: []byte(token), source: source{"A": value}}
	f.Add("nbhush/1", "x", "get", "A")
	f.Add("nbhush/1", "", "names", "")
	f.Add("nbhush/1", "x", "consent", "A")
	f.Fuzz(func(t *testing.T, version, tok, op, name string) {
		frames, values, err := s.ask(func() zsock.Conn { return nil }, [][]byte{[]byte(version), []byte(tok), []byte(op), []byte(name)})
		if (err == nil || len(values) > 0 || len(frames) > 0) && tok != token {
			t.Errorf("answered %q", frames)
		}
	})
}

func TestBootstrap(t *testing.T) {
	if Bootstrap("R") != "" || Bootstrap("") != "" {
		t.Error("code for a language that has none")
	}
	code := Bootstrap("Python")
	if !strings.HasPrefix(code, "exec(compile(") || strings.Contains(code, "\n") {
		t.Errorf("not one expression: %.60s…", code)
	}
	for _, r := range code {
		if r >= 0x80 {
			t.Fatalf("%q is not ASCII, which every kernel reads alike", r)
		}
	}
}

// BenchmarkGet measures a request over a socket that stays open, as a cell's does.
func BenchmarkGet(b *testing.B) {
	endpoint, token := serve(b, source{"A": rand.Text()})
	d, err := zsock.DialDealer(b.Context(), endpoint, nil, zsock.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	request := [][]byte{{}, []byte(Version), []byte(token), []byte("get"), []byte("A")}
	for b.Loop() {
		if err := d.Send(request); err != nil {
			b.Fatal(err)
		}
		m, err := d.Recv(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		m.Release()
	}
}

// What stands in the environment of a kernel is replaced where it is what nbhush put there.
func TestFollow(t *testing.T) {
	endpoint, token := serve(t, source{"A": "now", "next A": "then", "B": "now"})
	for _, c := range []struct{ name, now, want string }{
		{"A", "now", "then"}, {"A", "mine", "same"}, {"A", "", "same"}, {"B", "now", ""}, {"NONE", "now", "same"},
	} {
		v, same, err := Follow(t.Context(), endpoint, token, c.name, secret.New([]byte(c.now)))
		got := string(v.Reveal())
		if same {
			got = "same"
		}
		if err != nil || got != c.want {
			t.Errorf("%s=%s: %q, %v, want %q", c.name, c.now, got, err, c.want)
		}
	}
	if _, _, err := Follow(t.Context(), endpoint, "another token", "A", secret.New([]byte("now"))); err == nil {
		t.Error("another token was taken")
	}
	if _, _, err := Follow(t.Context(), endpoint, token, "no name", secret.New([]byte("now"))); err == nil {
		t.Error("what is no name was taken")
	}
	var e *api.Error
	if _, _, err := Follow(t.Context(), endpoint, token, "DENIED", secret.New([]byte("now"))); !errors.As(err, &e) || e.Code != api.CodeDenied {
		t.Errorf("denied: %v", err)
	}
	if v, err := Hold(t.Context(), endpoint, token, "A"); err != nil || string(v.Reveal()) != "held now" {
		t.Errorf("hold: %q, %v", v.Reveal(), err)
	}
	if _, err := Hold(t.Context(), endpoint, token, "NONE"); err == nil {
		t.Error("a value of none is held")
	}
}
