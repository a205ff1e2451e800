package kernelhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/kernelhook/proxy"
	"github.com/nbhush/nbhush/kernelhook/wire"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// echoKernel is a kernel whose reply to an echo_request is an echo_reply with the
// same content. It verifies and signs as kernels do.
func echoKernel(file string) int {
	c, err := readConnection(file)
	if err != nil {
		return 1
	}
	e := c.endpoints()
	signer, _ := wire.NewSigner(c.Scheme, []byte(c.Key))
	shell, err1 := zsock.ListenRouter(e.Shell, zsock.Options{})
	_, err2 := zsock.ListenRouter(e.Control, zsock.Options{})
	_, err3 := zsock.ListenRouter(e.Stdin, zsock.Options{})
	iopub, err4 := zsock.ListenXPub(e.IOPub, zsock.Options{})
	_, err5 := zsock.ListenEcho(e.Heartbeat, zsock.Options{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	publish := func(state string, parent []byte) {
		m := wire.New(signer, [][]byte{[]byte("status")}, []byte(`{"msg_type":"status","msg_id":"s"}`), parent, []byte("{}"), []byte(`{"execution_state":"`+state+`"}`), nil)
		_ = iopub.Send(m.Frames)
	}
	for {
		msg, err := shell.Recv(context.Background())
		if err != nil {
			return 0
		}
		m, err := wire.Parse(msg.Frames)
		if err != nil || !signer.Verify(m) {
			continue
		}
		shell.Trust(msg.Peer)
		header, content := []byte(`{"msg_type":"echo_reply","msg_id":"r"}`), m.Content()
		if h, _ := wire.ScanHeader(m.Header()); h.MsgType == "kernel_info_request" {
			publish("busy", m.Header())
			publish("idle", m.Header())
			content = []byte(`{"language_info":{"name":"echo"}}`)
		}
		out := wire.New(signer, m.Identities(), header, m.Header(), []byte("{}"), content, nil)
		_ = shell.Send(msg.Peer, out.Frames)
		msg.Release()
	}
}

// echoClient is connected to an echoKernel.
type echoClient struct {
	at     proxy.Endpoints
	shell  *zsock.Dealer
	signer *wire.Signer
}

// newEcho starts an echoKernel, bare or behind the hook.
func newEcho(t testing.TB, dir string, hooked bool) *echoClient {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	key := rand.Text()
	info := map[string]any{"transport": "tcp", "ip": "127.0.0.1", "key": key, "signature_scheme": "hmac-sha256"}
	var held []io.Closer
	for _, name := range []string{"shell_port", "control_port", "stdin_port", "iopub_port", "hb_port"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, ln) // so that the next one is another port
		info[name] = ln.Addr().(*net.TCPAddr).Port
	}
	closeAll(held)
	file := filepath.Join(dir, rand.Text()+".json")
	b, _ := json.Marshal(info)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"echo", file}
	if hooked {
		args = []string{"hook", filepath.Join(dir, "run"), filepath.Join(dir, "agent"), "-f", file, "--", self, "echo", file}
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := readConnection(file)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Signal(os.Interrupt) // absorbed
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	e := &echoClient{at: c.endpoints()}
	e.signer, _ = wire.NewSigner(c.Scheme, []byte(key))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if e.shell, err = zsock.DialDealer(ctx, e.at.Shell, []byte(rand.Text()), zsock.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.shell.Close() })
	return e
}

// roundTrip sends content and waits for the reply, which it verifies.
func (e *echoClient) roundTrip(t testing.TB, content []byte) wire.Message {
	t.Helper()
	header := `{"msg_type":"echo_request","msg_id":"` + rand.Text() + `","session":"s"}` // the same message is dropped
	m := wire.New(e.signer, nil, []byte(header), []byte("{}"), []byte("{}"), content, nil)
	if err := e.shell.Send(m.Frames); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	msg, err := e.shell.Recv(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.Parse(msg.Frames)
	if err != nil || !e.signer.Verify(got) {
		t.Fatalf("reply: %v, or a bad signature", err)
	}
	return got
}

func echoDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "kh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	value := rand.Text()
	b, _ := json.Marshal(map[string]testValue{"TOKEN": {Value: value}})
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "agent"), 0o700), os.WriteFile(filepath.Join(dir, "agent", "values.json"), b, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What a kernel says arrives byte for byte, whatever its size.
func TestEcho(t *testing.T) {
	e := newEcho(t, echoDir(t), true)
	for _, n := range []int{0, 1, 100, 10_000, 1 << 20, 3 << 20} {
		content := []byte(`{"x" : "` + strings.Repeat("é\\u00e9 1.10 ", n/13) + `"}`)
		if got := e.roundTrip(t, content); !bytes.Equal(got.Content(), content) {
			t.Errorf("%d bytes came back as %d others", len(content), len(got.Content()))
		}
	}
}
