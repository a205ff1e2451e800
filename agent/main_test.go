package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
	"github.com/nbhush/nbhush/agent/store"
)

// The test binary also plays the agent, hooks and their children, so that the
// tests meet real processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "agent" && os.Args[2] == "serve" {
		h, err := home.Find(os.Getenv)
		if err == nil {
			err = Serve(context.Background(), Options{Home: h, Version: "test"})
		}
		if err != nil && !errors.Is(err, ErrRunning) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == "play" {
		if err := play(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play runs one part of a test in a process of its own.
func play(args []string) error {
	ctx := context.Background()
	c := &client.Client{NoStart: os.Getenv("NBHUSH_TEST_START") == ""}
	switch args[0] {
	case "status": // start the agent on demand
		if err := c.Up(ctx); err != nil {
			return err
		}
		st, err := c.Status(ctx)
		return report(st, err)
	case "hook": // register with a directory, run the rest as the kernel, wait for the end of stdin
		s, err := c.Stream(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		g, err := s.RegisterKernel(ctx, api.Kernel{Dir: args[1], Argv0: "test"})
		if err := report(g, err); err != nil {
			return err
		}
		if len(args) > 2 {
			if err := child(args[2:]); err != nil {
				return err
			}
		}
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	case "below": // one process more between the hook and the rest
		return child(args[1:])
	case "shout": // ask for a value without the client's own checks
		conn, err := net.Dial("unix", args[1])
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /v1/secrets HTTP/1.1\r\nHost: nbhush\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(os.Stdout, conn)
		return nil
	case "serve":
		h, err := home.Find(os.Getenv)
		if err != nil {
			return err
		}
		h.Run = args[1]
		return Serve(ctx, Options{Home: h})
	case "move":
		return playMove(args[1])
	case "notify":
		return playNotify()
	case "harden":
		return playHarden()
	case "requests":
		return report(tryAll(ctx, c, args[1]), nil)
	}
	return fmt.Errorf("no part called %s", args[0])
}

func child(args []string) error {
	cmd := exec.Command(os.Args[0], append([]string{"play"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func report(v any, err error) error {
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// tryAll makes every request and says what became of it: "ok" or a code.
func tryAll(ctx context.Context, c *client.Client, name string) map[string]string {
	res := map[string]string{}
	note := func(what string, err error) {
		res[what] = "ok"
		var e *api.Error
		if errors.As(err, &e) {
			res[what] = string(e.Code)
		} else if err != nil {
			res[what] = err.Error()
		}
	}
	n := secret.Name(name)
	values, err := c.Get(ctx, []secret.Name{n}, "/")
	note("get", err)
	wipeAll(values)
	_, err = c.Get(ctx, []secret.Name{"UNLISTED"}, "/")
	note("get unlisted", err)
	_, err = c.Status(ctx)
	note("status", err)
	_, err = c.List(ctx)
	note("list", err)
	_, err = c.Set(ctx, n, secret.New([]byte(rand.Text())))
	note("set", err)
	_, err = c.Delete(ctx, n)
	note("delete", err)
	_, err = c.Allow(ctx, "/"+policy.FileName, "")
	note("allow", err)
	_, err = c.Deny(ctx, "/"+policy.FileName)
	note("deny", err)
	_, err = c.Allowed(ctx)
	note("allowed", err)
	_, err = c.Lock(ctx)
	note("lock", err)
	_, err = c.Unlock(ctx, nil)
	note("unlock", err)
	_, err = c.Stop(ctx)
	note("stop", err)
	s, err := c.Stream(ctx)
	note("stream", err)
	if err != nil {
		return res
	}
	defer s.Close()
	v, err := s.Get(ctx, n)
	note("stream get", err)
	v.Wipe()
	_, err = s.Get(ctx, "UNLISTED")
	note("stream get unlisted", err)
	_, err = s.Find(ctx, []byte("text"))
	note("find", err)
	names, err := s.Names(ctx)
	note("names", err)
	res["names"] = fmt.Sprint(names)
	return res
}

// tempHome is short, since a socket's path is, and is the home of every process
// that the test starts.
func tempHome(t testing.TB) home.Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "nba") // its path is short, as a socket's must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("NBHUSH_HOME", dir)
	h, err := home.Find(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{h.Run, h.Data, h.State} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// world is an agent in memory and what it was made of.
type world struct {
	*agent
	home    home.Home
	store   *faulty
	journal *audit.Log
	project string // a folder with an nbhush.toml that is approved for LISTED
	stopped chan struct{}
}

// faulty is a store whose Get and Set first do, also while others call them, what is
// put here, and fail if that does.
type faulty struct {
	store.Store
	onGet, onSet atomic.Pointer[func() error]
}

func (f *faulty) Get(name secret.Name) (secret.Value, error) {
	if err := before(&f.onGet); err != nil {
		return secret.Value{}, err
	}
	return f.Store.Get(name)
}

func (f *faulty) Set(name secret.Name, v secret.Value) error {
	if err := before(&f.onSet); err != nil {
		return err
	}
	return f.Store.Set(name, v)
}

func before(p *atomic.Pointer[func() error]) error {
	if f := p.Load(); f != nil {
		return (*f)()
	}
	return nil
}

// failing is what always fails with err.
func failing(err error) *func() error {
	f := func() error { return err }
	return &f
}

// lookFinder finds the word look.
type lookFinder struct{}

func (lookFinder) Find(_ context.Context, text []byte) (r match.Result, err error) {
	if i := bytes.Index(text, []byte("look")); i >= 0 {
		r.Spans = []match.Span{{Start: i, End: i + len("look"), Name: "LOOK-1234"}}
	}
	return r, nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldIn(t, tempHome(t), nil)
}

// newWorldIn keeps what providers gave to kernels in served.
func newWorldIn(t testing.TB, h home.Home, served *servedFile) *world {
	t.Helper()
	journal, err := audit.Open(h.Audit())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{home: h, store: &faulty{Store: store.NewMemory()}, journal: journal, stopped: make(chan struct{})}
	w.agent = newAgent(parts{
		version: "test", store: w.store, index: store.NewIndex(h.Index()),
		approvals: policy.NewApprovals(h.Allowed()), allowed: h.Allowed(), grants: h.Grants(), audit: journal, log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		ghosts: filepath.Join(h.Run, "kernels.json"), stop: func() { close(w.stopped) }, looks: lookFinder{}, served: served,
	})
	if err := w.epoch.open(filepath.Join(h.Run, api.EpochFile), w.log); err != nil {
		t.Fatal(err)
	}
	w.values.open()
	t.Cleanup(func() {
		w.close()
		_ = journal.Close()
	})
	w.project = w.writeProject(t, "LISTED", "LISTED_TOO")
	w.approve(t, w.project)
	w.settle()
	return w
}

// writeProject makes a folder with an nbhush.toml that lists names.
func (w *world) writeProject(t testing.TB, names ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, names...)
	return dir
}

func writeConfig(t testing.TB, dir string, names ...string) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("[secrets]\n")
	for _, name := range names {
		fmt.Fprintf(&b, "%s = {}\n", name)
	}
	if err := os.WriteFile(filepath.Join(dir, policy.FileName), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) approve(t testing.TB, dir string) {
	t.Helper()
	path := filepath.Join(dir, policy.FileName)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.session().Allow(t.Context(), path, policy.Hash(src)); err != nil {
		t.Fatal(err)
	}
}

// session is one of the owner, or of the process with these ancestors.
func (w *world) session(pids ...int) *session {
	s := &session{agent: w.agent, exe: "test"}
	for _, pid := range append(pids, 1) {
		s.line = append(s.line, socket.Process{PID: pid, Start: uint64(pid)})
	}
	return s
}

// listen serves w at its socket until the test ends.
func (w *world) listen(t testing.TB) {
	t.Helper()
	l, err := socket.Listen(w.home.Socket())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- newServer(w.agent, l).serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
		if _, err := net.Dial("unix", w.home.Socket()); err == nil {
			t.Error("the socket answers after the end")
		}
	})
}

// set keeps a new random value and returns its text.
func (w *world) set(t testing.TB, name secret.Name) string {
	t.Helper()
	text := "V" + rand.Text() // a name could look like it
	if _, err := w.session().Set(t.Context(), name, secret.New([]byte(text))); err != nil {
		t.Fatal(err)
	}
	w.settle() // a test may change what its goroutine reads
	return text
}

func wantCode(t testing.TB, what string, err error, want api.Code) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || apiError(err).Code != want):
		t.Errorf("%s: %v, want code %s", what, err, want)
	}
}

func ancestors(t testing.TB) []socket.Process {
	t.Helper()
	line, err := socket.Ancestors(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return line
}

type brokenLog struct{}

func (brokenLog) Append(audit.Entry) error { return errors.New("the disk is full") }

func hashOf(t testing.TB, path string) string {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Hash(src)
}
