//go:build unix

package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/socket"
)

// playing is one run of the test binary as a part.
type playing struct {
	*exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Scanner
}

func startPart(t testing.TB, args ...string) *playing {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"play"}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &playing{cmd, in, bufio.NewScanner(out)}
}

// next decodes the next line that the part reports.
func (p *playing) next(t testing.TB, v any) {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("the part said no more: %v", p.out.Err())
	}
	if err := json.Unmarshal(p.out.Bytes(), v); err != nil {
		t.Fatal(err)
	}
}

func (p *playing) end(t testing.TB) {
	t.Helper()
	_ = p.stdin.Close()
	if err := p.Wait(); err != nil {
		t.Errorf("the part: %v", err)
	}
}

// A real tree: the hook, a process below it, and the one that asks below that.
func TestProcessesBelowAHook(t *testing.T) {
	w := newWorld(t)
	w.listen(t)
	w.set(t, "LISTED")
	w.set(t, "UNLISTED")
	hook := startPart(t, "hook", w.project, "below", "below", "requests", "LISTED")
	var g api.Grant
	hook.next(t, &g)
	if len(g.Values) != 1 || g.Notice == nil {
		t.Errorf("grant: %d values, notice %v", len(g.Values), g.Notice)
	}
	var got map[string]string
	hook.next(t, &got)
	want := map[string]string{
		"get": "ok", "stream get": "ok", "find": "ok", "names": "ok", "status": "ok", "stream": "ok",
		"get unlisted": "denied", "stream get unlisted": "denied", "list": "denied", "set": "denied", "delete": "denied",
		"allow": "denied", "deny": "denied", "allowed": "denied", "lock": "denied", "unlock": "denied", "stop": "denied",
	}
	want["names"] = "[LISTED LISTED_TOO]"
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("what a process below a hook may do (-want +got):\n%s", d)
	}
	// This process is the parent of the hook and not below it.
	c := &client.Client{NoStart: true}
	defer c.Close()
	if _, err := c.Get(t.Context(), []secret.Name{"UNLISTED"}, "/"); err != nil {
		t.Errorf("the owner: %v", err)
	}
	hook.end(t)
	if _, err := c.List(t.Context()); err != nil {
		t.Errorf("the owner after the hook: %v", err)
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	w := newWorld(t)
	w.listen(t)
	base := filepath.Dir(w.home.Run)
	exe := filepath.Join(base, "t")
	src, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, src, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{base, w.home.Run, w.home.Socket(), exe} { // or the modes would keep it out
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	// The client refuses the agent of another user as well, so this one speaks for itself.
	cmd := exec.Command(exe, "play", "shout", w.home.Socket())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Env = append(os.Environ(), "HOME=/")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil || len(out) != 0 {
		t.Errorf("another user got %q, %v", out, err)
	}
	cmd = exec.Command(exe, "play", "requests", "LISTED")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err = cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil || len(got) == 0 {
		t.Fatalf("%q: %v", out, err)
	}
	for what, code := range got {
		if code != string(api.CodeAway) && what != "delete" || code == "ok" {
			t.Errorf("the client of another user: %s: %s", what, code)
		}
	}
	log, err := os.ReadFile(w.home.Audit())
	if err != nil || !bytes.Contains(log, []byte("connection of user id 65534")) {
		t.Errorf("the refusal is not in the audit log: %v", err)
	}
}

// agentPID returns the PID of the agent that runs.
func agentPID(t testing.TB) int {
	t.Helper()
	st, err := (&client.Client{NoStart: true}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.PID
}

func stopAgent(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		c := &client.Client{NoStart: true}
		_, err := c.Stop(ctx)
		c.Close()
		if errors.Is(err, &api.Error{Code: api.CodeDenied}) {
			continue // it has not seen yet that this process has ceased to be a hook
		}
		if err != nil && !errors.Is(err, &api.Error{Code: api.CodeAway}) {
			t.Errorf("stop: %v", err)
		}
		return
	}
}

func TestFiftyStartersMakeOneAgent(t *testing.T) {
	h := tempHome(t)
	t.Setenv("NBHUSH_TEST_START", "1")
	defer waitGone(t, h.AgentLock())
	defer stopAgent(t)
	pids := make(chan int, 50)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "play", "status")
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			var st api.Status
			if err != nil || json.Unmarshal(out, &st) != nil {
				t.Errorf("starter: %q, %v", out, err)
				return
			}
			pids <- st.PID
		})
	}
	wg.Wait()
	close(pids)
	agents := map[int]int{}
	for pid := range pids {
		agents[pid]++
	}
	if len(agents) != 1 {
		t.Errorf("agents by PID: %v, want one", agents)
	}
	starts := 0
	log, err := os.ReadFile(h.Audit())
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(log) {
		var e audit.Entry
		if json.Unmarshal(line, &e) == nil && e.Op == audit.OpStart {
			starts++
		}
	}
	if starts != 1 {
		t.Errorf("the audit log has %d starts, want 1", starts)
	}
}

// waitGone waits until nobody holds the lock: the agent has ended.
func waitGone(t testing.TB, lock string) {
	t.Helper()
	f, err := os.Open(lock)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Error(err)
	}
}

func TestKilledAgentIsStartedAgain(t *testing.T) {
	h := tempHome(t)
	ctx := t.Context()
	c := &client.Client{}
	defer c.Close()
	defer func() { stopAgent(t); waitGone(t, h.AgentLock()) }()
	value := rand.Text()
	if _, err := c.Set(ctx, "LISTED", secret.New([]byte(value))); err != nil {
		t.Fatal(err)
	}
	w := &world{home: h}
	dir := w.writeProject(t, "LISTED")
	src, hash := filepath.Join(dir, "nbhush.toml"), ""
	hash = hashOf(t, src)
	if _, err := c.Allow(ctx, src, hash); err != nil {
		t.Fatal(err)
	}
	s, err := c.Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c.Close() // or its connection would soon be one of the kernel's
	g, err := s.RegisterKernel(ctx, api.Kernel{Dir: dir})
	if err != nil || string(g.Values["LISTED"]) != value {
		t.Fatalf("grant: %v, notice %v", err, g.Notice)
	}
	for range 3 {
		pid := agentPID(t)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		waitGone(t, h.AgentLock())
		// A process below the hook, before the hook has come back, starts the agent.
		if _, err := c.Get(ctx, []secret.Name{"OTHER"}, "/"); !errors.Is(err, &api.Error{Code: api.CodeDenied}) {
			t.Errorf("a kernel without its hook: %v, want denied", err)
		}
		r, err := s.Find(ctx, []byte(value))
		if err != nil || len(r.Spans) != 1 {
			t.Errorf("find by the stream: %v, %v", r.Spans, err)
		}
		st, err := c.Status(ctx)
		if err != nil || st.PID == pid || st.Kernels != 1 {
			t.Errorf("status: %+v, %v; want another agent with one kernel", st, err)
		}
	}
}

func TestStopAndStartAgain(t *testing.T) {
	h := tempHome(t)
	defer func() { stopAgent(t); waitGone(t, h.AgentLock()) }()
	c := &client.Client{}
	defer c.Close()
	seen := map[int]bool{}
	for range 5 {
		if _, err := c.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := c.Stop(t.Context())
		if err != nil || seen[st.PID] {
			t.Fatalf("stop: %+v, %v; seen %v", st, err, seen)
		}
		seen[st.PID] = true
		// It wrote its last line before Stop returned: whoever removes the state now removes all of it.
		log, err := os.ReadFile(h.Audit())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, `"op":"stop"`) || strings.Count(string(log), `"op":"stop"`) != 2*len(seen) {
			t.Errorf("the audit log after the stop ends with %s", last)
		}
	}
}

func TestSigtermIsACleanEnd(t *testing.T) {
	h := tempHome(t)
	c := &client.Client{}
	defer c.Close()
	s, err := c.Stream(t.Context()) // an open stream does not hold the agent up
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := syscall.Kill(agentPID(t), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitGone(t, h.AgentLock())
	if _, err := os.Lstat(h.Socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	log, err := os.ReadFile(h.Audit())
	if err != nil || !bytes.Contains(log, []byte(`"op":"stop"`)) {
		t.Errorf("no stop in the audit log: %v", err)
	}
	if n, err := audit.Verify(h.Audit()); err != nil || n < 2 {
		t.Errorf("audit log: %d entries, %v", n, err)
	}
	_, err = c.Status(t.Context())
	wantCode(t, "status", err, api.CodeAway)
}

// An agent that is stopped in its tracks must not stop who asks.
func TestAgentThatHangs(t *testing.T) {
	h := tempHome(t)
	c := &client.Client{}
	defer c.Close()
	s, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pid := agentPID(t)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Find(ctx, make([]byte, 900_000)) // more than the socket holds
	wantCode(t, "find", err, api.CodeAway)
	_, err = c.Status(ctx)
	wantCode(t, "status", err, api.CodeAway)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), []byte("text")); err != nil {
		t.Errorf("find when it goes on: %v", err)
	}
	stopAgent(t)
	waitGone(t, h.AgentLock())
}

func TestSecondAgentGivesUp(t *testing.T) {
	h := tempHome(t)
	c := &client.Client{}
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer waitGone(t, h.AgentLock())
	defer stopAgent(t)
	if _, err := lockHome(t.Context(), h); !errors.Is(err, ErrRunning) {
		t.Errorf("second agent: %v, want ErrRunning", err)
	}
	// Silent connections and a socket that is there do not make it answer slower.
	conn, err := net.Dial("unix", h.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServeRefusesAForeignRunDirectory(t *testing.T) {
	h := tempHome(t)
	link := h.Run + "-link"
	if err := os.Symlink(h.Run, link); err != nil {
		t.Fatal(err)
	}
	h.Run = link
	if err := socket.MkdirPrivate(link); err == nil {
		t.Fatal("a link was taken")
	}
	cmd := exec.Command(os.Args[0], "play", "serve", link)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "directory of the socket") {
		t.Errorf("serve in a linked directory: %q, %v", out, err)
	}
}
