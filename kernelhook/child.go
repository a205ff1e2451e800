package kernelhook

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/kernelhook/redact"
)

// child is the real kernel.
type child struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has
	err    error         // of waiting; set before ended is closed
	output chan struct{} // closed when all that it printed is copied
	pipes  []io.Closer
}

// start starts the kernel with its stdout and stderr piped through redactor.
func (h *hook) start(ctx context.Context, argv, env []string, redactor *redact.Redactor) (*child, error) {
	k := &child{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{}), output: make(chan struct{})}
	k.cmd.Env, k.cmd.Stdin = env, os.Stdin
	var copies sync.WaitGroup
	var writers []io.Closer
	for _, p := range []struct {
		end *io.Writer
		dst io.Writer
	}{{&k.cmd.Stdout, h.Stdout}, {&k.cmd.Stderr, h.Stderr}} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		*p.end = w
		writers, k.pipes = append(writers, w), append(k.pipes, r)
		copies.Go(func() { _ = redactor.Copy(ctx, p.dst, r) }) // a log that is gone stops nobody
	}
	wait, err := startChild(k.cmd)
	k.cmd.Env = nil // the values
	closeAll(writers)
	if err != nil {
		closeAll(k.pipes)
		return nil, err
	}
	go func() {
		k.err = wait()
		close(k.ended)
	}()
	go func() {
		copies.Wait()
		close(k.output)
	}()
	return k, nil
}

func closeAll(cs []io.Closer) {
	for _, c := range cs {
		_ = c.Close()
	}
}

// How long the hook outlives its kernel to deliver what it said last.
const (
	lastMessages = 2 * time.Second
	lastOutput   = 300 * time.Millisecond
)

// finish waits for the kernel to end and for its last messages and output to
// be delivered. carried has the proxy's result; stop stops it. A kernel whose
// proxy cannot work is killed: nobody could reach it.
func (k *child) finish(carried <-chan error, stop func()) (Exit, error) {
	select {
	case <-k.ended:
	case err := <-carried:
		if err != nil {
			_ = k.cmd.Process.Kill()
			<-k.ended
			return Exit{}, err
		}
		<-k.ended
		carried = nil
	}
	// Processes that the kernel left behind may hold its sockets and pipes open.
	if carried != nil {
		select {
		case <-carried: //nolint:errcheck // an error now is that the kernel has gone
		case <-time.After(lastMessages):
			stop()
			<-carried //nolint:errcheck // the same
		}
	}
	select {
	case <-k.output:
	case <-time.After(lastOutput):
		closeAll(k.pipes)
		<-k.output
	}
	return exited(k.cmd, k.err)
}

// exited returns how cmd, which was waited for with the result err, ended.
func exited(cmd *exec.Cmd, err error) (Exit, error) {
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		return Exit{}, err
	}
	return exitOf(cmd.ProcessState), nil
}

// forward passes on the signals that end a kernel, until done.
func forward(signals <-chan os.Signal, p *os.Process, done <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			if slices.Contains(forwarded, s) {
				_ = p.Signal(s) // a process that is gone needs none
			}
		case <-done:
			return
		}
	}
}

// parentPause is how often a kernel looks whether its parent is alive, as ipykernel does.
const parentPause = time.Second

// dieWith ends the kernel when the process that started the hook is gone, if
// it asked for that with JPY_PARENT_PID, as ipykernel would end itself.
func dieWith(env []string, p *os.Process) {
	asked := lookup(env, "JPY_PARENT_PID")
	if asked == "" || asked == "1" {
		return
	}
	parent := os.Getppid()
	direct := strconv.Itoa(parent) == asked
	for range time.Tick(parentPause) {
		now := os.Getppid()
		if direct && now != parent || !direct && now == 1 && parent != 1 {
			_ = p.Kill()
			return
		}
	}
}

// lookup returns the last value of a variable in an environment.
func lookup(env []string, name string) (value string) {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// environ returns the environment of the kernel: env, what the hook sets, the
// granted values and their names. Its parent is the hook.
func environ(env []string, grant api.Grant, hooks map[string]string) []string {
	set := maps.Clone(hooks)
	set["NBHUSH_NAMES"] = strings.Join(slices.Sorted(maps.Keys(grant.Values)), " ")
	if lookup(env, "JPY_PARENT_PID") != "" {
		set["JPY_PARENT_PID"] = strconv.Itoa(os.Getpid())
	}
	for name, value := range grant.Values {
		if v := string(value); !strings.Contains(v, "\x00") { // no environment can hold that; get can
			set[name] = v
		}
	}
	out := make([]string, 0, len(env)+len(set))
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if _, ok := set[name]; !ok && name != envSpec && name != envLanguage {
			out = append(out, kv)
		}
	}
	for name, value := range set {
		out = append(out, name+"="+value)
	}
	return out
}

// register tells the agent about the kernel. The notice is what the user has
// to know if it has no values.
func (h *hook) register(ctx context.Context) (grant api.Grant, notice string) {
	grant, err := h.link.start(ctx)
	switch {
	case err != nil:
		err = &api.Error{Code: api.CodeAway, Message: "this kernel runs without its secrets, and output is not checked: " + err.Error(), Mend: mend(err)}
	case grant.Notice != nil:
		err = grant.Notice
	default:
		return grant, ""
	}
	h.warn(err)
	return grant, line(err)
}

// mend returns what mends err.
func mend(err error) string {
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		return hint.Hint()
	}
	return "see: nbhush doctor"
}
