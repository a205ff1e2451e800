//go:build linux

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKill kills the agent, or the command that asks it, with -9 at a random
// moment of set and rm, a hundred times. What was confirmed is there, what was
// not is the old state or the new one, and no other secret is touched.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred starts of the agent")
	}
	t.Parallel()
	w := newWorld(t)
	steady := rand.Text()
	w.setSecret("STEADY", steady)
	old := ""  // the value of MOVING, "" for none
	late := "" // of a command that was killed: the agent may have gone on with it
	for i := range 100 {
		next := ""
		args := []string{"rm", "MOVING"}
		if old == "" || i%3 > 0 {
			next = fmt.Sprint(i) + "-" + rand.Text()
			args = []string{"set", "MOVING"}
		}
		confirmed := w.killed(i%2 == 0, next, args...)
		got := w.peek("MOVING")
		switch {
		case got == next:
		case (got == old || got == late) && !confirmed:
		default:
			t.Fatalf("round %d, %s: neither the old value nor the new one (confirmed: %v)", i, args[0], confirmed)
		}
		old, late = got, next
		if w.peek("STEADY") != steady {
			t.Fatalf("round %d, %s: another secret was lost", i, args[0])
		}
	}
}

// killed runs a command and kills it, or the agent, at a random moment. It
// reports whether the command had confirmed its work.
func (w *world) killed(agent bool, stdin string, args ...string) (confirmed bool) {
	w.Helper()
	pid := w.agentPID()
	cmd := w.command("", w.program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(12_000))
	if err != nil {
		w.Fatal(err)
	}
	time.Sleep(time.Duration(n.Int64()) * time.Microsecond)
	if agent {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
			w.Fatal(err)
		}
	} else {
		_ = cmd.Process.Kill()
	}
	return cmd.Wait() == nil
}

func (w *world) agentPID() (pid int) {
	w.Helper()
	out := w.nbhush("", nil, "agent", "start", "--json")
	for line := range strings.Lines(string(out)) {
		if _, err := fmt.Sscanf(strings.TrimSpace(line), `"pid": %d,`, &pid); err == nil {
			return pid
		}
	}
	w.Fatalf("no pid in %s", out)
	return 0
}

// peek returns a secret's value, "" where there is none.
func (w *world) peek(name string) string {
	w.Helper()
	cmd := w.command("", w.program, "get", name)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitFailed && strings.Contains(string(exit.Stderr), name) {
		return ""
	}
	if err != nil {
		w.Fatalf("get %s: %v\n%s", name, err, exit.Stderr)
	}
	return string(out)
}
