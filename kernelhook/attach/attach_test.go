package attach

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/kernelhook"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// connection is a connection file whose ports are all the same.
func connection(port int) string {
	return fmt.Sprintf(`{"transport": "tcp", "ip": "127.0.0.1", "key": "not-a-real-key", "signature_scheme": "hmac-sha256",
"shell_port": %[1]d, "iopub_port": %[1]d, "stdin_port": %[1]d, "control_port": %[1]d, "hb_port": %[1]d}`, port)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// What lies in a runtime directory and means no kernel costs a deadline at most:
// files of kernels that were killed, ports where somebody else listens and says
// nothing or nonsense, files that are none.
func TestWhatIsNoKernel(t *testing.T) {
	dir := t.TempDir()
	silent, chatty, closed := listen(t), listen(t), listen(t)
	go func() {
		for {
			c, err := chatty.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 100)))
			_ = c.Close()
		}
	}()
	gone := port(closed)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		write(t, filepath.Join(dir, fmt.Sprintf("kernel-gone%d.json", i)), connection(gone))
	}
	for name, text := range map[string]string{
		"silent": connection(port(silent)), "chatty": connection(port(chatty)), "empty": "", "list": "[]", "other": `{"transport": "udp"}`,
		"long": strings.Repeat(" ", 2<<20), "ipc": `{"transport": "ipc", "ip": "` + dir + `/none", "key": "k"}`,
	} {
		write(t, filepath.Join(dir, "kernel-"+name+".json"), text)
	}
	if err := os.Mkdir(filepath.Join(dir, "kernel-folder.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := Places{Runtime: dir, Run: t.TempDir()}.Kernels(t.Context())
	if err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := (Places{Runtime: filepath.Join(dir, "none")}).Kernels(t.Context()); err != nil || got != nil {
		t.Errorf("without a runtime directory: %v, %v", got, err)
	}
}

func TestIDOf(t *testing.T) {
	for name, want := range map[string]string{
		"kernel-1234.json": "1234", "/run/kernel-v2-1a2b.json": "v2-1a2b", "kernel-1.json.tmp": "", "nbserver-1.json": "", "jpserver-1.json": "", "": "",
	} {
		if id, ok := IDOf(name); ok != (want != "") || ok && id != want {
			t.Errorf("%s: %q, %v", name, id, ok)
		}
	}
}

// Servers say which kernel belongs to which notebook; the token goes to them alone.
func TestNotebooks(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	book := write(t, filepath.Join(root, "sub", "a b.ipynb"), "{}")
	odd := write(t, filepath.Join(root, "x:y.ipynb"), "{}")
	outside := write(t, filepath.Join(filepath.Dir(root), "outside.ipynb"), "{}")
	t.Cleanup(func() { _ = os.Remove(outside) })
	stray := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger was asked, with %d bytes of authorization", len(r.Header.Get("Authorization")))
	}))
	defer stray.Close()
	const token = "not-a-real-token"
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/base/api/sessions" || r.Header.Get("Authorization") != "token "+token {
			t.Errorf("asked for %s", r.URL.Path)
		}
		fmt.Fprint(w, `[{"path": "sub/a b.ipynb", "kernel": {"id": "1"}}, {"path": "RTC:sub/a b.ipynb", "kernel": {"id": "2"}},
{"path": "x:y.ipynb", "kernel": {"id": "3"}}, {"path": "console-1", "kernel": {"id": "4"}}, {"path": "../outside.ipynb", "kernel": {"id": "5"}},
{"path": "", "kernel": {"id": "6"}}, {"kernel": null}, {"path": "sub/a b.ipynb"}]`)
	}))
	defer server.Close()
	moved := httptest.NewServer(http.RedirectHandler(stray.URL, http.StatusFound))
	defer moved.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{") }))
	defer broken.Close()
	for i, s := range []map[string]any{
		{"url": server.URL + "/base/", "token": token, "root_dir": root, "pid": os.Getpid()},
		{"url": stray.URL + "/", "token": token, "root_dir": root, "pid": 1 << 30}, // its process has ended
		{"url": stray.URL + "/", "token": token, "root_dir": root},
		{"url": moved.URL + "/", "token": token, "root_dir": root, "pid": os.Getpid()},
		{"url": broken.URL + "/", "token": token, "root_dir": root, "pid": os.Getpid()},
		{"url": "http://127.0.0.1:1/", "root_dir": root, "pid": os.Getpid()},
		{"url": ":", "pid": os.Getpid()},
	} {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, fmt.Sprintf("jpserver-%d.json", i)), string(b))
	}
	write(t, filepath.Join(dir, "jpserver-x.json"), "[")
	want := map[string]string{"1": book, "2": book, "3": odd}
	if diff := cmp.Diff(want, notebooks(t.Context(), dir)); diff != "" {
		t.Error(diff)
	}
	if asked != 1 {
		t.Errorf("the server was asked %d times", asked)
	}
}

// A server may listen at a socket in the file system.
func TestNotebooksOfAServerAtASocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "at")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	sock := filepath.Join(dir, "s")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Skip(err)
	}
	book := write(t, filepath.Join(dir, "a.ipynb"), "{}")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"path": "a.ipynb", "kernel": {"id": "1"}}]`)
	}))
	s.Listener = l
	s.Start()
	defer s.Close()
	write(t, filepath.Join(dir, "jpserver-1.json"), fmt.Sprintf(`{"url": "http+unix://%s/", "sock": %q, "root_dir": %q, "pid": %d}`,
		strings.ReplaceAll(sock, "/", "%2F"), sock, dir, os.Getpid()))
	if diff := cmp.Diff(map[string]string{"1": book}, notebooks(t.Context(), dir)); diff != "" {
		t.Error(diff)
	}
}

// The process of a kernel is who listens at its port.
func TestListener(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows it")
	}
	four := listen(t)
	path := filepath.Join(t.TempDir(), "a socket")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close() }()
	want := map[string]int{
		"tcp://" + four.Addr().String(): os.Getpid(), "ipc://" + path: os.Getpid(), "tcp://127.0.0.1:1": 0, "ipc://" + path + "x": 0, "tcp://x": 0, "": 0,
	}
	if six, err := net.Listen("tcp", "[::1]:0"); err == nil {
		defer func() { _ = six.Close() }()
		want["tcp://"+six.Addr().String()] = os.Getpid()
	}
	for endpoint, pid := range want {
		if got := listener(endpoint); got != pid {
			t.Errorf("%s: process %d, want %d", endpoint, got, pid)
		}
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got := folder(os.Getpid()); got != cwd {
		t.Errorf("folder %s, want %s", got, cwd)
	}
}

// An offer is found by its connection file as long as it is open; a hook's folder
// that nobody holds any more is not.
func TestStateOf(t *testing.T) {
	run, err := os.MkdirTemp("", "at")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	file := write(t, filepath.Join(run, "kernel-1.json"), connection(1))
	other := write(t, filepath.Join(run, "x", "kernel-1.json"), strings.Replace(connection(1), "not-a", "another", 1))
	state := func(file string, want kernelhook.State) {
		t.Helper()
		if got, _, err := kernelhook.StateOf(run, file); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", file, got, err, want)
		}
	}
	state(file, kernelhook.Bare)
	o, err := kernelhook.NewOffer(run, file, "dev", answers{})
	if err != nil {
		t.Fatal(err)
	}
	state(file, kernelhook.Attached)
	if _, profile, err := kernelhook.StateOf(run, file); profile != "dev" || err != nil {
		t.Errorf("profile %q, %v", profile, err)
	}
	state(other, kernelhook.Bare)
	// Where the runtime directory can take none, it lies in the temporary one.
	full := write(t, filepath.Join(run, "full"), "")
	t.Setenv("TMPDIR", run)
	there := write(t, filepath.Join(run, "kernel-2.json"), connection(2))
	elsewhere, err := kernelhook.NewOffer(full, there, "", answers{})
	if err != nil {
		t.Fatal(err)
	}
	state(there, kernelhook.Attached)
	if err := elsewhere.Close(); err != nil {
		t.Fatal(err)
	}
	state(there, kernelhook.Bare)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	state(file, kernelhook.Bare)
	write(t, filepath.Join(run, "k-left", "kernel-1.json"), connection(1))
	write(t, filepath.Join(run, "k-left", "lock"), "")
	state(file, kernelhook.Bare)
	if left, _ := filepath.Glob(filepath.Join(run, "k-*", "get")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
