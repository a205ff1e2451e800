package zsock

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// libzmq is a process with sockets of libzmq, driven by testdata/libzmq.py.
type libzmq struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func startLibzmq(t testing.TB) *libzmq {
	t.Helper()
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON is not set: it names a python3 that has pyzmq")
	}
	cmd := exec.Command(python, "testdata/libzmq.py")
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
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	z := &libzmq{t, cmd, in, bufio.NewReader(out)}
	var version string
	z.answer(&version)
	return z
}

type args map[string]any

// do runs one command; result may be nil.
func (z *libzmq) do(command string, a args, result any) {
	z.t.Helper()
	z.begin(command, a)
	z.answer(result)
}

// begin starts a command whose answer is read later.
func (z *libzmq) begin(command string, a args) {
	z.t.Helper()
	a["do"] = command
	line, err := json.Marshal(a)
	if err != nil {
		z.t.Fatal(err)
	}
	if _, err := z.in.Write(append(line, '\n')); err != nil {
		z.t.Fatal(err)
	}
}

func (z *libzmq) answer(result any) {
	z.t.Helper()
	stuck := time.AfterFunc(2*time.Minute, func() { _ = z.cmd.Process.Kill() })
	defer stuck.Stop()
	line, err := z.out.ReadBytes('\n')
	if err != nil {
		z.t.Fatalf("libzmq: %v", err)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(line, result); err != nil {
		z.t.Fatalf("libzmq: %v in %s", err, line)
	}
}

func (z *libzmq) open(name, socketType, endpoint string, more args) (bound string) {
	z.t.Helper()
	a := args{"name": name, "type": socketType, "endpoint": endpoint}
	for k, v := range more {
		a[k] = v
	}
	z.do("open", a, &bound)
	return bound
}

func (z *libzmq) send(name string, frames ...string) {
	z.t.Helper()
	var taken bool
	if z.do("send", args{"name": name, "frames": frames}, &taken); !taken {
		z.t.Fatalf("libzmq did not take %q for %s", frames, name)
	}
}

func (z *libzmq) recv(name string) [][]byte {
	z.t.Helper()
	var f []string
	z.do("recv", args{"name": name}, &f)
	return frames(f...)
}

// counted is what the command count answers.
type counted struct {
	N, Last, Bytes int
	Ordered        bool
}
