package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/provider/peers"
	"github.com/nbhush/nbhush/agent/secret"
)

// A test that needs a peer skips without it, but not in continuous integration.
func need(t *testing.T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, peers.ErrNone) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// The server that several tests share, started by the first that asks.
var (
	bao     = once(func() (*peers.Server, error) { return peers.OpenBao(tempDir()) })
	started []*peers.Server
	temp    []string
	mu      sync.Mutex // of both
)

func once(start func() (*peers.Server, error)) func() (*peers.Server, error) {
	return sync.OnceValues(func() (*peers.Server, error) {
		s, err := start()
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			started = append(started, s)
		}
		return s, err
	})
}

func tempDir() string {
	dir, err := os.MkdirTemp("", "nbp")
	if err != nil {
		panic(err)
	}
	mu.Lock()
	defer mu.Unlock()
	temp = append(temp, dir)
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range started {
		s.Stop()
	}
	for _, dir := range temp {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// resolver has a store of its own.
type world struct {
	*Resolver
	stored map[secret.Name]string
}

func newWorld(t *testing.T) *world {
	w := &world{stored: map[secret.Name]string{}}
	w.Resolver = New(Options{Stored: func(name secret.Name) (secret.Value, error) {
		v, ok := w.stored[name]
		if !ok {
			return secret.Value{}, errors.New("no")
		}
		return secret.New([]byte(v)), nil
	}})
	t.Cleanup(w.Lock)
	return w
}

// source is a Source of a reference with the settings of its provider.
func source(t *testing.T, ref string, settings map[string]string) Source {
	t.Helper()
	r, err := secret.ParseRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Name: "NAME", Ref: r, Providers: map[string]map[string]string{r.Scheme: settings}}
}

// want asks for s and compares.
func (w *world) want(t *testing.T, s Source, want string) {
	t.Helper()
	got, err := w.Get(context.Background(), s)
	if err != nil {
		t.Errorf("%s: %v", s.Ref, err)
		return
	}
	defer got.Value.Wipe()
	if string(got.Value.Reveal()) != want {
		t.Errorf("%s: another value than the one that was put there (%d bytes, want %d)", s.Ref, got.Value.Len(), len(want))
	}
}

// refused asks for s and wants an error of this kind, in one line, with the
// reference and what to do, and without any of the values.
func (w *world) refused(t *testing.T, s Source, kind Kind, values ...string) *Error {
	t.Helper()
	got, err := w.Get(context.Background(), s)
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v, value %v; want %s", s.Ref, err, got.Value.Len() > 0, kind)
		return &Error{}
	}
	text := e.Error() + "\n" + e.Hint()
	if e.Kind != kind || e.Hint() == "" || !strings.HasPrefix(e.Error(), s.Ref.Scheme+": "+s.Ref.String()+": ") || strings.Count(text, "\n") != 1 {
		t.Errorf("%s: kind %s, %q, hint %q; want %s", s.Ref, e.Kind, e.Error(), e.Hint(), kind)
	}
	for _, v := range values {
		if v != "" && strings.Contains(text, v) {
			t.Errorf("%s: the error holds a value", s.Ref)
		}
	}
	return e
}

func random() string { return "nk-" + strings.ToLower(rand.Text()) + rand.Text() }
