package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCanary is the promise: a fresh value goes into the store, a real
// JupyterLab server starts a real kernel, cells do with the value what people
// do by accident, the server saves the notebook, git commits it. Afterwards the
// value, or twelve bytes of it in any encoding, is nowhere but in the store.
//
// Whoever adds a path that a value can travel adds a cell or a place here.
func TestCanary(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a JupyterLab server")
	}
	t.Parallel()
	w := newWorld(t)
	plain := rand.Text() + strings.ToLower(rand.Text())
	awkward := `p"` + rand.Text() + `&<b>\n'` + rand.Text() + `é/+ ` + rand.Text()
	w.setSecret("CANARY", plain)
	w.setSecret("AWKWARD", awkward)
	w.write("project/nbhush.toml", "[secrets]\nCANARY = {}\nAWKWARD = {}\n")
	w.nbhush("project", nil, "allow")
	w.nbhush("", nil, "jupyter", "enable")
	w.git("init", "-q", "-b", "main")
	w.nbhush("project", nil, "git", "install")

	lab := w.startLab()
	cells := canaryCells()
	report := w.runNotebook(lab, "leaky.ipynb", cells)

	needles := newNeedles(plain, awkward)
	for _, pid := range w.otherProcesses(report.kernelPID(t)) {
		for _, file := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join("/proc", pid, file))
			if err == nil {
				needles.mustNotBeIn(t, "/proc/"+pid+"/"+file, b)
			}
		}
	}
	saved := w.read("project/leaky.ipynb")
	needles.mustNotBeIn(t, "the notebook that the server saved", saved)
	for i, source := range cells[1:] {
		out, _ := json.Marshal(report.Outputs[i+1])
		if !bytes.Contains(out, []byte("[nbhush:CANARY]")) && !bytes.Contains(out, []byte("[nbhush:AWKWARD]")) {
			t.Errorf("cell %d shows no placeholder; source:\n%s\noutputs:\n%s", i+1, source, needles.mask(out))
		}
	}

	// A literal in a cell, as an editor without a before-save hook writes it.
	literal, _ := json.Marshal("key = '" + plain + "'")
	w.write("project/literal.ipynb", `{"cells":[{"cell_type":"code","execution_count":null,"id":"a","metadata":{},"outputs":[],"source":[`+
		string(literal)+`]}],"metadata":{},"nbformat":4,"nbformat_minor":5}`)
	w.git("add", ".")
	w.git("commit", "-qm", "canary")
	staged := w.git("show", "HEAD:literal.ipynb")
	if !bytes.Contains(staged, []byte("[nbhush:CANARY]")) {
		t.Error("the literal was not replaced in the commit")
	}
	needles.mustNotBeIn(t, "a git object", w.git("cat-file", "--batch", "--batch-all-objects", "--unordered"))
	if err := os.Remove(filepath.Join(w.dir, "project/literal.ipynb")); err != nil { // it holds the value by design
		t.Fatal(err)
	}

	lab.stop(t)
	w.searchHome(needles)
}

// canaryCells are the sources. Cell 0 tells the kernel's pid; every other one
// leaks a value in its own way.
func canaryCells() []string {
	return []string{
		"import os; print(os.getpid())",
		"import nbhush, os; v = nbhush.get('CANARY'); a = nbhush.get('AWKWARD'); s = v[:0] + ''.join(list(v)); print(v)",
		"print(os.environ['CANARY'], os.environ['AWKWARD'])",
		"''.join(list(v))",
		"v",
		"a, ''.join(list(a))",
		"raise ValueError('wrong key ' + s)",
		"raise KeyError(''.join(list(a)))",
		"from IPython.display import HTML, JSON, Markdown, display; import html; display(HTML('<b>' + html.escape(a) + '</b><i>' + s + '</i>'))",
		"display({'application/json': {'k': [a, {s: 1}]}, 'text/plain': a}, raw=True)",
		"import sys, time\nsys.stdout.write('half ' + s[:9]); sys.stdout.flush(); sys.stdout.write(s[9:] + ' done'); sys.stdout.flush()",
		"for c in s:\n    print(c, end='', flush=True)",
		"import base64; print(base64.b64encode(s.encode()), base64.urlsafe_b64encode(('user:' + a).encode()).decode())",
		"print(s.encode().hex(), a.encode().hex().upper())",
		"import urllib.parse, json; print(urllib.parse.quote(a), urllib.parse.quote_plus(a), json.dumps(a), repr(a.encode()))",
		"print('stderr ' + s, file=sys.stderr)",
		"import subprocess; print(subprocess.run(['sh', '-c', 'echo $CANARY'], capture_output=True, text=True).stdout)",
		"os.system('echo $CANARY; echo $AWKWARD 1>&2'); print(v)",
		"%hush CANARY\nprint(CANARY, s[3:-3])",
		"print(dict(os.environ))",
		"h = display('waiting', display_id=True); h.update({'text/plain': s}, raw=True)",
		"%xmode Verbose\ndef f(x):\n    raise RuntimeError\nf(s)",
		"import logging; logging.warning('key %s', s)",
		"from ipykernel.comm import Comm; c = Comm(target_name='nobody', data={'key': s}); c.send({'again': a}); print(a)",
		"nbhush.env('CANARY'); print(os.environ['CANARY'])",
		"!nbhush get CANARY",
	}
}

// needles are the forms of values that must not turn up, written down
// independently of agent/match: every window of twelve bytes of every form.
type needles map[[12]byte]bool

func newNeedles(values ...string) needles {
	n := needles{}
	add := func(form string) {
		for i := 0; i+12 <= len(form); i++ {
			n[[12]byte([]byte(form[i:i+12]))] = true
		}
	}
	for _, v := range values {
		j, _ := json.Marshal(v)
		add(v)
		add(strings.Trim(string(j), `"`))
		add(strings.Trim(strconv.QuoteToASCII(v), `"`))
		add(url.QueryEscape(v))
		add(url.PathEscape(v))
		add(html.EscapeString(v))
		add(hex.EncodeToString([]byte(v)))
		add(strings.ToUpper(hex.EncodeToString([]byte(v))))
		for shift := range 3 {
			// The first and last four characters depend on what stands beside the value.
			padded := strings.Repeat("x", shift) + v
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				form := enc.EncodeToString([]byte(padded))
				add(form[4 : len(form)-4])
			}
		}
	}
	return n
}

func (n needles) find(b []byte) int {
	for i := 0; i+12 <= len(b); i++ {
		if n[[12]byte(b[i:i+12])] {
			return i
		}
	}
	return -1
}

func (n needles) mustNotBeIn(t testing.TB, where string, b []byte) {
	t.Helper()
	if i := n.find(b); i >= 0 {
		t.Errorf("%s holds a value or a piece of one at byte %d of %d: …%s", where, i, len(b), n.mask(b[max(0, i-60):i]))
	}
}

// mask makes text fit for a test log.
func (n needles) mask(b []byte) []byte {
	b = bytes.Clone(b)
	for i := n.find(b); i >= 0; i = n.find(b) {
		copy(b[i:], "############")
	}
	return b
}

// world is a user's machine: a home of its own, the real program, a project.
type world struct {
	testing.TB
	dir, program, python string
	env                  []string
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, python: testPython(t)}
	// Not t.TempDir: a socket's path must stay short.
	dir, err := os.MkdirTemp("", "nb")
	if err != nil {
		t.Fatal(err)
	}
	w.dir = dir
	w.program = filepath.Join(dir, "bin", "nbhush")
	built, err := builtProgram()
	if err != nil {
		t.Fatal(err)
	}
	w.mkdir("bin")
	for _, suffix := range []string{"", "-hook"} { // names of its own, below a home of its own
		if err := os.Link(built+suffix, w.program+suffix); err != nil {
			t.Fatal(err)
		}
	}
	w.env = []string{
		"HOME=" + dir, "XDG_RUNTIME_DIR=" + filepath.Join(dir, "run"), "TMPDIR=" + dir,
		"PATH=" + filepath.Dir(w.program) + ":" + filepath.Dir(w.python) + ":" + os.Getenv("PATH"),
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + filepath.Join(dir, "no-bus"),
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_CONFIG_NOSYSTEM=1", "LANG=C.UTF-8",
	}
	w.mkdir("run")
	w.mkdir("project")
	t.Cleanup(func() {
		w.ended(func(argv []string) bool { return !slices.Equal(argv[1:], []string{"agent", "serve"}) })
		w.stop()
		for pid, argv := range w.ended(func([]string) bool { return true }) {
			t.Errorf("process %d is left: %q", pid, argv)
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return w
}

// stop ends the agent, if one runs.
func (w *world) stop() {
	w.Helper()
	if out, err := w.command("", w.program, "agent", "stop").CombinedOutput(); err != nil {
		w.Errorf("agent stop: %v\n%s", err, out)
	}
}

// ended waits until none of those processes runs whose program lies below the
// world's home, since what they served ends before them, and returns those that do
// not end: their arguments by their pid.
func (w *world) ended(which func(argv []string) bool) (left map[int][]string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		left = w.processes()
		maps.DeleteFunc(left, func(_ int, argv []string) bool { return !which(argv) })
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// processes are those whose program lies below the world's home, where /proc tells.
func (w *world) processes() map[int][]string {
	found := map[int][]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(b, []byte(w.dir+string(filepath.Separator))) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			found[pid] = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
		}
	}
	return found
}

// in is the same world for a subtest.
func (w *world) in(t testing.TB) *world {
	sub := *w
	sub.TB = t
	return &sub
}

// testPython is a Python that has what .ci/requirements.txt lists.
func testPython(t testing.TB) string {
	t.Helper()
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if _, err := exec.LookPath(python); python == "" || err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON does not name a Python; run: make test")
		}
		t.Skip("NBHUSH_TEST_PYTHON does not name a Python; run: make test")
	}
	return python
}

func (w *world) command(dir, name string, args ...string) *exec.Cmd {
	// Not w.Context: it is over when the clean-up runs.
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join(w.dir, dir)
	cmd.Env = w.env
	return cmd
}

func (w *world) run(cmd *exec.Cmd) []byte {
	w.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return out
}

func (w *world) nbhush(dir string, stdin []byte, args ...string) []byte {
	w.Helper()
	cmd := w.command(dir, w.program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	return w.run(cmd)
}

func (w *world) setSecret(name, value string) {
	w.Helper()
	w.nbhush("", []byte(value), "set", name)
	if got := w.nbhush("", nil, "get", name); string(got) != value {
		w.Fatalf("%s came back as another value", name)
	}
}

func (w *world) git(args ...string) []byte {
	w.Helper()
	return w.run(w.command("project", "git", args...))
}

func (w *world) mkdir(path string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, path), 0o700); err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(path, content string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, path), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(path string) []byte {
	w.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, path))
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// lab is a running JupyterLab server.
type lab struct {
	url, token string
	cmd        *exec.Cmd
	exited     chan error
}

// startLab starts a server. Its port is free when it is chosen, and may be taken when
// the server gets to it.
func (w *world) startLab() *lab {
	w.Helper()
	for range 4 {
		if lab := w.tryLab(); lab != nil {
			return lab
		}
	}
	w.Fatal("four ports were taken")
	return nil
}

// tryLab returns nil if somebody else took the port.
func (w *world) tryLab() *lab {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	lab := &lab{url: fmt.Sprintf("http://127.0.0.1:%d", port), token: rand.Text(), exited: make(chan error, 1)}
	log, err := os.Create(filepath.Join(w.dir, "server.log"))
	if err != nil {
		w.Fatal(err)
	}
	args := []string{"-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port_retries=0", "--port=" + strconv.Itoa(port)}
	lab.cmd = w.command("project", w.python, args...)
	lab.cmd.Env = append(lab.cmd.Env, "JUPYTER_TOKEN="+lab.token)
	lab.cmd.Stdout, lab.cmd.Stderr = log, log
	if err := lab.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	go func() { lab.exited <- lab.cmd.Wait() }()
	w.Cleanup(func() { lab.stop(w.TB) })
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, lab.url+"/api/status?token="+lab.token, nil)
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK { // it is not somebody else's
				return lab
			}
		}
		select {
		case err := <-lab.exited:
			lab.exited <- err
			if bytes.Contains(w.read("server.log"), []byte("no available port could be found")) {
				return nil
			}
			w.Fatalf("the server ended: %v\n%s", err, w.read("server.log"))
		case <-ctx.Done():
			w.Fatalf("the server does not answer\n%s", w.read("server.log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop ends the server as a service manager does, so that it ends its kernels. A
// server that has ended them may be left waiting for an idle thread of AnyIO
// (jupyterlab/jupyterlab#10442): that is killed, as a service manager would.
func (l *lab) stop(t testing.TB) {
	if l.cmd.ProcessState != nil {
		return
	}
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	kernels := fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", l.cmd.Process.Pid)
	for range 12 {
		select {
		case <-l.exited:
			return
		case <-time.After(10 * time.Second):
		}
		if pids, _ := os.ReadFile(kernels); len(pids) == 0 {
			break
		}
	}
	pids, _ := os.ReadFile(kernels)
	_ = l.cmd.Process.Kill()
	<-l.exited
	if len(pids) > 0 {
		t.Errorf("the server did not end its kernels within two minutes: %s", pids)
	}
}

type labReport struct {
	Kernel  string
	Outputs [][]map[string]any
}

var digits = regexp.MustCompile(`[0-9]+`)

func (r labReport) kernelPID(t *testing.T) string {
	t.Helper()
	out, _ := json.Marshal(r.Outputs[0])
	pid := digits.Find(out)
	if pid == nil {
		t.Fatalf("cell 0 tells no pid: %s", out)
	}
	return string(pid)
}

func (w *world) runNotebook(l *lab, path string, cells []string) (r labReport) {
	w.Helper()
	cmd := w.command("project", w.python, w.script("lab_client.py"), l.url, path)
	cmd.Env = append(cmd.Env, "JUPYTER_TOKEN="+l.token)
	in, _ := json.Marshal(cells)
	cmd.Stdin = bytes.NewReader(in)
	if err := json.Unmarshal(w.run(cmd), &r); err != nil {
		w.Fatal(err)
	}
	if len(r.Outputs) != len(cells) {
		w.Fatalf("%d cells came back of %d", len(r.Outputs), len(cells))
	}
	return r
}

// otherProcesses lists every process but this one and the kernel.
func (w *world) otherProcesses(kernel string) (pids []string) {
	w.Helper()
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	self := strconv.Itoa(os.Getpid())
	seen := false
	for _, dir := range dirs {
		switch pid := filepath.Base(dir); pid {
		case self:
		case kernel:
			seen = true
		default:
			pids = append(pids, pid)
		}
	}
	if !seen && len(dirs) > 0 {
		w.Errorf("kernel %s is not among the processes, so its environment cannot be told from others'", kernel)
	}
	return pids
}

// searchHome reads every file of the home. The vault is encrypted, so it is
// searched like the rest.
func (w *world) searchHome(n needles) {
	w.Helper()
	files := 0
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		n.mustNotBeIn(w.TB, strings.TrimPrefix(path, w.dir), b)
		return nil
	})
	if err != nil {
		w.Error(err)
	}
	if files < 20 {
		w.Errorf("only %d files were searched", files)
	}
}
