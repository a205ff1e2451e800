package kernelhook

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/proxy"
)

func TestConnection(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       proxy.Endpoints
		fails      bool
	}{
		{
			"tcp", `{"ip":"127.0.0.1","transport":"tcp","shell_port":1,"control_port":2,"stdin_port":3,"iopub_port":4,"hb_port":5}`,
			proxy.Endpoints{Shell: "tcp://127.0.0.1:1", Control: "tcp://127.0.0.1:2", Stdin: "tcp://127.0.0.1:3", IOPub: "tcp://127.0.0.1:4", Heartbeat: "tcp://127.0.0.1:5"},
			false,
		},
		{
			"IPv6", `{"ip":"::1","shell_port":1}`,
			proxy.Endpoints{Shell: "tcp://[::1]:1", Control: "tcp://[::1]:0", Stdin: "tcp://[::1]:0", IOPub: "tcp://[::1]:0", Heartbeat: "tcp://[::1]:0"},
			false,
		},
		{
			"ipc", `{"ip":"/tmp/k x","transport":"ipc","shell_port":1,"control_port":2,"stdin_port":3,"iopub_port":4,"hb_port":5}`,
			proxy.Endpoints{Shell: "ipc:///tmp/k x-1", Control: "ipc:///tmp/k x-2", Stdin: "ipc:///tmp/k x-3", IOPub: "ipc:///tmp/k x-4", Heartbeat: "ipc:///tmp/k x-5"},
			false,
		},
		{"half of a pair", `{"transport":"ipc","ip":"k","curve_publickey":"x"}`, proxy.Endpoints{Shell: "ipc://k-0", Control: "ipc://k-0", Stdin: "ipc://k-0", IOPub: "ipc://k-0", Heartbeat: "ipc://k-0"}, false},
		{"keys that are none", `{"curve_publickey":"x","curve_secretkey":"y"}`, proxy.Endpoints{}, true},
		{"another transport", `{"transport":"pgm"}`, proxy.Endpoints{}, true},
		{"not JSON", `{"key":"k`, proxy.Endpoints{}, true},
		{"ports that are none", `{"shell_port":"1"}`, proxy.Endpoints{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.json")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readConnection(path)
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			if err == nil && got.endpoints() != c.want {
				t.Errorf("got %+v", got.endpoints())
			}
		})
	}
}

// The kernel's connection file keeps what it does not know, has no CURVE keys,
// and is for this user only.
func TestConnectionBehind(t *testing.T) {
	// The example of libzmq's manual.
	const public, secret = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
	dir := t.TempDir()
	front := filepath.Join(dir, "front.json")
	if err := os.WriteFile(front, []byte(`{"ip":"127.0.0.1","key":"k","signature_scheme":"hmac-sha256","kernel_name":"x","new":[1.50],"curve_publickey":"`+public+`","curve_secretkey":"`+secret+`","shell_port":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConnection(front)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "back.json")
	behind, err := c.behind("ipc", "/run/k")
	if err != nil {
		t.Fatal(err)
	}
	if c.endpoints().Curve == nil || behind.endpoints().Curve != nil {
		t.Errorf("CURVE in front %v, behind %v", c.endpoints().Curve, behind.endpoints().Curve)
	}
	if err := behind.write(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"ip": "/run/k/k", "transport": "ipc", "key": "k", "signature_scheme": "hmac-sha256", "kernel_name": "x", "new": []any{1.5},
		"shell_port": 1., "control_port": 2., "stdin_port": 3., "iopub_port": 4., "hb_port": 5.,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestRedirect(t *testing.T) {
	argv := []string{"python", "-f", "/r/kernel-1.json", "--f=/r/kernel-1.json", "julia('/r/kernel-1.json')", "/r/kernel-2.json", "-x"}
	want := []string{"python", "-f", "/n/k.json", "--f=/n/k.json", "julia('/n/k.json')", "/r/kernel-2.json", "-x"}
	if got := redirect(argv, "/r/kernel-1.json", "/n/k.json"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := redirect([]string{"/r/./a.json", "/r/a.json"}, "/r/./a.json", "/n"); !slices.Equal(got, []string{"/n", "/n"}) {
		t.Errorf("got %q", got)
	}
}

func TestEnviron(t *testing.T) {
	grant := api.Grant{Values: map[string][]byte{"A": []byte("from the agent"), "ZERO": []byte("a\x00b")}}
	got := environ([]string{"A=old", "B=2", "NBHUSH_TOKEN=outer", "JPY_PARENT_PID=1"}, grant, map[string]string{"NBHUSH_ENDPOINT": "ipc://e", "NBHUSH_TOKEN": "t"})
	for name, want := range map[string]string{"A": "from the agent", "B": "2", "NBHUSH_TOKEN": "t", "NBHUSH_ENDPOINT": "ipc://e", "ZERO": "", "NBHUSH_NAMES": "A ZERO"} {
		if v := lookup(got, name); v != want {
			t.Errorf("%s is %q", name, v)
		}
	}
	names := map[string]int{}
	for _, kv := range got {
		name, _, _ := strings.Cut(kv, "=")
		names[name]++
	}
	if names["A"] != 1 || names["ZERO"] != 0 || names["JPY_PARENT_PID"] != 1 {
		t.Errorf("%v", names)
	}
}

// A directory whose hook lives stays, one whose hook is gone goes, and what is
// not ours is not touched.
func TestSweep(t *testing.T) {
	run := t.TempDir()
	alive, err := makeDir(run, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dead, err := makeDir(run, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.lock.Unlock(); err != nil { // as the end of a process does
		t.Fatal(err)
	}
	other := filepath.Join(run, "agent.sock")
	fresh := filepath.Join(run, "k-fresh") // a hook is about to lock it
	old := filepath.Join(run, "k-old")
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Mkdir(fresh, 0o700), os.Mkdir(old, 0o700),
		os.Chtimes(old, time.Time{}, time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	next, err := makeDir(run, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{alive.path: true, dead.path: false, other: true, fresh: true, old: false, next.path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	if err := errors.Join(alive.Close(), next.Close()); err != nil {
		t.Error(err)
	}
}

// Where the runtime directory cannot take a kernel's directory, the temporary one does.
func TestNoRuntimeDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	d, err := makeDir(filepath.Join(file, "run"), temp)
	if err != nil || filepath.Dir(d.path) != temp {
		t.Fatalf("%v, %v", d, err)
	}
	if info, err := os.Stat(d.path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := d.lock.Unlock(); err != nil { // as the end of a process does
		t.Fatal(err)
	}
	next, err := makeDir(t.TempDir(), temp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.path); err == nil {
		t.Error("what a killed hook left is still there")
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if _, err := makeDir(filepath.Join(file, "run"), file); err == nil {
		t.Error("no directory, and no error")
	}
}

// fakeAgent is an Agent that can be made to fail.
type fakeAgent struct {
	mu    sync.Mutex
	err   error
	value string
	asked int // Get
	epoch uint64
	again int // served from leases
}

func (f *fakeAgent) fails() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeAgent) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeAgent) Find(context.Context, []byte) (match.Result, error) {
	return match.Result{Tail: 1}, f.fails()
}

func (f *fakeAgent) RegisterKernel(context.Context, api.Kernel) (api.Grant, error) {
	return api.Grant{}, f.fails()
}

func (f *fakeAgent) Get(context.Context, string) (secret.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return secret.New([]byte(f.value)), f.err
}
func (f *fakeAgent) Names(context.Context) ([]string, error) { return nil, f.fails() }
func (f *fakeAgent) Close() error                            { return nil }

func (f *fakeAgent) Consent(context.Context, string, api.Answer, int) (secret.Value, error) {
	return secret.Value{}, f.fails()
}

func (f *fakeAgent) Refresh(context.Context, []api.Held) (api.Refreshed, error) {
	return api.Refreshed{}, f.fails()
}

func (f *fakeAgent) Profile(context.Context) (api.Profile, error) { return api.Profile{}, f.fails() }
func (f *fakeAgent) Refused(context.Context, api.Refused) error   { return f.fails() }

func (f *fakeAgent) Epoch() (uint64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch, true
}

func (f *fakeAgent) Again(_ context.Context, _ string, times int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.again += times
	return f.err
}

// What happens to text that nobody could search.
func TestLinkPolicy(t *testing.T) {
	locked := &api.Error{Code: api.CodeLocked, Message: "locked"}
	for _, c := range []struct {
		name     string
		before   error // of the agent while the kernel starts
		searched bool  // text was searched then
		after    error // of the agent from then on
		shown    bool  // text goes out
	}{
		{"there", nil, true, nil, true},
		{"never there", errTestAway, false, errTestAway, true},
		{"locked from the start", locked, false, locked, true},
		{"there, then away", nil, true, errTestAway, false},
		{"there, then locked", nil, true, locked, false},
		{"away, then there", errTestAway, false, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				agent := &fakeAgent{err: c.before}
				l := newLink(func(context.Context) (Agent, error) { return agent, agent.fails() }, api.Kernel{})
				defer func() {
					_ = l.Close()
					time.Sleep(2 * lastPause) // its mending ends
				}()
				_, err := l.start(t.Context())
				if (err != nil) != (c.before != nil) {
					t.Fatal(err)
				}
				if c.searched {
					if _, err := l.Find(t.Context(), []byte("text")); err != nil {
						t.Fatal(err)
					}
				}
				agent.fail(c.after)
				began := time.Now()
				res, err := l.Find(t.Context(), []byte("text"))
				if shown := err == nil; shown != c.shown {
					t.Errorf("got %v, %v", res, err)
				}
				if waited := time.Since(began); waited > patience {
					t.Errorf("waited %v", waited)
				}
				if err != nil && !errors.Is(err, c.after) {
					t.Errorf("got %v, want %v", err, c.after)
				}
			})
		})
	}
}

// An agent that was restarted is found again, and knows the kernel.
func TestLinkReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agents := []*fakeAgent{{}, {}}
		first := agents[0]
		l := newLink(func(context.Context) (Agent, error) {
			a := agents[0]
			agents = agents[1:]
			return a, nil
		}, api.Kernel{})
		defer func() { _ = l.Close() }()
		if _, err := l.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		first.fail(errTestAway)
		if _, err := l.Find(t.Context(), []byte("text")); err != nil {
			t.Errorf("the first search after a restart: %v", err)
		}
		synctest.Wait()
	})
}

// A value is served again only for a moment, and not after anything changed.
func TestLease(t *testing.T) {
	denied := &api.Error{Code: api.CodeDenied, Message: "denied"}
	for _, c := range []struct {
		name   string
		then   func(*fakeAgent) // between the first and the second request
		asked  int              // how often the agent was, in the end
		want   string
		denied bool
	}{
		{"at once", func(*fakeAgent) {}, 1, "first", false},
		{"a new value", func(f *fakeAgent) { f.value, f.epoch = "second", 1 }, 2, "second", false},
		{"no longer allowed", func(f *fakeAgent) { f.err, f.epoch = denied, 1 }, 2, "", true},
		{"another time", func(f *fakeAgent) { f.value = "second"; time.Sleep(api.Lease) }, 2, "second", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				agent := &fakeAgent{value: "first"}
				l := newLink(func(context.Context) (Agent, error) { return agent, nil }, api.Kernel{})
				if _, err := l.start(t.Context()); err != nil {
					t.Fatal(err)
				}
				v, err := l.Get(t.Context(), "A")
				if err != nil || string(v.Reveal()) != "first" {
					t.Fatalf("the first is wrong: %v", err)
				}
				v.Wipe() // the lease has a copy
				c.then(agent)
				v, err = l.Get(t.Context(), "A")
				if (err != nil) != c.denied || !c.denied && string(v.Reveal()) != c.want {
					t.Errorf("the second is wrong: %v", err)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if agent.asked != c.asked || agent.again != 2-c.asked {
					t.Errorf("asked %d times, told of %d, want %d and %d", agent.asked, agent.again, c.asked, 2-c.asked)
				}
				time.Sleep(2 * api.Lease) // its timers end
			})
		})
	}
}

// What was served from a lease is told when it ends, also if the kernel goes on.
func TestLeaseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent := &fakeAgent{value: "first"}
		l := newLink(func(context.Context) (Agent, error) { return agent, nil }, api.Kernel{})
		defer func() { _ = l.Close() }()
		if _, err := l.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := l.Get(t.Context(), "A"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(api.Lease)
		synctest.Wait()
		if agent.asked != 1 || agent.again != 4 {
			t.Errorf("asked %d times, told of %d", agent.asked, agent.again)
		}
	})
}
