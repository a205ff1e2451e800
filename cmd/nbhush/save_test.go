//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	mathbig "math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// saver is a user with a JupyterLab server that checks what it saves.
type saver struct {
	*world
	lab            *lab
	plain, awkward string
	needles        needles
}

// patient lets saves wait for an agent on a busy machine.
const patient = "import nbhush_save.guard; nbhush_save.guard.STALL = nbhush_save.guard.IDLE = 60"

// newSaver starts a server with lines of configuration that the user had before nbhush came.
func newSaver(t testing.TB, config ...string) *saver {
	s := &saver{world: newWorld(t)}
	s.plain = rand.Text() + strings.ToLower(rand.Text())
	s.awkward = `p"` + rand.Text() + `&<b>\n'` + rand.Text() + `é/+ ` + rand.Text()
	s.needles = newNeedles(s.plain, s.awkward)
	s.setSecret("PLAIN", s.plain)
	s.setSecret("AWKWARD", s.awkward)
	s.configure(config...)
	s.nbhush("", nil, "jupyter", "enable")
	s.lab = s.startLab()
	return s
}

// configure writes lines of Python into the server's configuration.
func (w *world) configure(lines ...string) {
	w.Helper()
	folder := filepath.Dir(w.script("save_managers.py"))
	w.mkdir(".jupyter")
	w.write(".jupyter/jupyter_server_config.py", fmt.Sprintf("import sys; sys.dont_write_bytecode = True; sys.path.insert(0, %q)\n", folder)+strings.Join(lines, "\n"))
}

// ask sends a request to the contents interface.
func (s *saver) ask(method, path string, body any) map[string]any {
	s.Helper()
	b, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(s.Context(), method, s.lab.url+"/api/contents/"+path, bytes.NewReader(b))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Authorization", "token "+s.lab.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		s.Fatalf("%s %s: %s, %v\n%s\n%s", method, path, res.Status, err, s.needles.mask(out), s.needles.mask(s.read("server.log")))
	}
	var m map[string]any
	if len(out) > 0 {
		if err := json.Unmarshal(out, &m); err != nil {
			s.Fatal(err)
		}
	}
	return m
}

func (s *saver) put(path, kind, format string, content any) map[string]any {
	s.Helper()
	return s.ask("PUT", path, map[string]any{"type": kind, "format": format, "content": content})
}

// leaky is a notebook with values in many places.
func (s *saver) leaky() map[string]any {
	cell := map[string]any{
		"cell_type": "code", "execution_count": 1, "id": "a", "metadata": map[string]any{"tags": []string{s.awkward}},
		"source": []string{"key = '" + s.plain[:9], s.plain[9:] + "'\n", "print(1)"},
		"outputs": []any{
			map[string]any{"output_type": "stream", "name": "stdout", "text": "é " + s.awkward + "\nend"},
			map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{
				"image/png":        base64.StdEncoding.EncodeToString([]byte("image " + s.plain + " end")),
				"application/json": map[string]any{s.plain: []string{s.awkward, "x"}},
			}},
		},
	}
	return map[string]any{"cells": []any{cell}, "metadata": map[string]any{"note": s.plain}, "nbformat": 4, "nbformat_minor": 5}
}

// mustBeClean reads what the server wrote: it holds a placeholder and no value.
func (s *saver) mustBeClean(path string) []byte {
	s.Helper()
	b := s.read("project/" + path)
	s.needles.mustNotBeIn(s, path, b)
	if !bytes.Contains(b, []byte("[nbhush:PLAIN]")) {
		s.Errorf("%s holds no placeholder:\n%s\n%s", path, s.needles.mask(b), s.needles.mask(s.read("server.log")))
	}
	return b
}

// TestSave saves through a real server's contents interface in every way that
// a front end has, with the managers that Jupyter brings.
func TestSave(t *testing.T) {
	if testing.Short() {
		t.Skip("starts JupyterLab servers")
	}
	t.Parallel()
	const late = `import save_managers; c.ContentsManager.pre_save_hook = save_managers.hook`
	for name, config := range map[string][]string{
		"asynchronous files":        {patient},
		"synchronous files":         {patient, `c.ServerApp.contents_manager_class = "jupyter_server.services.contents.largefilemanager.LargeFileManager"`},
		"a pre-save hook of others": {patient, late},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSaver(t, config...)
			s.write("late", "late: "+s.plain)
			s.saveNotebooks()
			s.saveFiles()
			s.uploadInChunks()
			s.checkpoints()
			s.copies()
			if name == "asynchronous files" {
				s.stall()
			}
			s.put("notes.txt", "file", "text", s.plain)
			if got := s.read("project/notes.txt"); string(got) != s.plain {
				t.Error("a file that is no notebook was changed")
			}
			if log := s.read("server.log"); bytes.Contains(log, []byte("unchecked")) {
				t.Errorf("%s", s.needles.mask(log))
			}
			s.needles.mustNotBeIn(t, "server.log", s.read("server.log"))
		})
	}
}

func (s *saver) saveNotebooks() {
	s.Helper()
	saved := s.put("a.ipynb", "notebook", "json", s.leaky())
	first := s.mustBeClean("a.ipynb")
	// What the front end compares before its next save.
	now := s.ask("GET", "a.ipynb?content=0&hash=1", nil)
	if now["last_modified"] != saved["last_modified"] || now["size"] != saved["size"] {
		s.Errorf("saved as %v, there is %v", saved, now)
	}
	s.put("a.ipynb", "notebook", "json", s.leaky()) // the open document still has the values
	if again := s.mustBeClean("a.ipynb"); !bytes.Equal(first, again) {
		s.Errorf("the second save differs:\n%s\n%s", first, again)
	}
	if then := s.ask("GET", "a.ipynb?content=0&hash=1", nil); then["hash"] != now["hash"] {
		s.Errorf("the hash is %v and was %v", then["hash"], now["hash"])
	}
}

func (s *saver) saveFiles() {
	s.Helper()
	// Written in a way that nobody would write it again.
	text := "{\"cells\":  [ {\"cell_type\":\"raw\",\r\n\"metadata\":{}, \"source\":[\"1e-5 \\u0041 " + s.plain[:7] + "\",\t\"" + s.plain[7:] + "\"]} ],\"metadata\":{\"x\": 1.10},\"nbformat\":4,\"nbformat_minor\":2}"
	want := strings.Replace(text, s.plain[:7]+"\",\t\""+s.plain[7:], "[nbhush:PLAIN]\",\t\"", 1)
	s.put("t.ipynb", "file", "text", text)
	s.put("u.ipynb", "file", "base64", base64.StdEncoding.EncodeToString([]byte(text)))
	for _, path := range []string{"t.ipynb", "u.ipynb"} {
		if diff := cmp.Diff(want, string(s.read("project/"+path))); diff != "" {
			s.Errorf("%s: %s", path, s.needles.mask([]byte(diff)))
		}
	}
	broken := "{\"cells\": [ <<<<<<< é " + s.plain + " \xff"
	s.put("b.ipynb", "file", "base64", base64.StdEncoding.EncodeToString([]byte(broken)))
	if got, want := s.read("project/b.ipynb"), strings.Replace(broken, s.plain, "[nbhush:PLAIN]", 1); string(got) != want {
		s.Errorf("broken: %s", s.needles.mask(got))
	}
}

// uploadInChunks sends a notebook as JupyterLab sends large ones.
func (s *saver) uploadInChunks() {
	s.Helper()
	src, _ := json.Marshal(s.leaky())
	cut := bytes.Index(src, []byte(s.plain[9:])) + 5
	var model map[string]any
	for i, part := range [][]byte{src[:cut], src[cut : cut+3], src[cut+3:]} {
		chunk := []int{1, 2, -1}[i]
		model = s.ask("PUT", "c.ipynb", map[string]any{
			"type": "file", "format": "base64", "name": "c.ipynb", "chunk": chunk, "content": base64.StdEncoding.EncodeToString(part),
		})
	}
	got := s.mustBeClean("c.ipynb")
	if now := s.ask("GET", "c.ipynb?content=0", nil); model["size"] != float64(len(got)) || model["last_modified"] != now["last_modified"] {
		s.Errorf("the answer is %v, there are %d bytes of %v", model, len(got), now["last_modified"])
	}
	for i, text := range []string{"{\"cells\": [ <<<<<<< ", s.plain} {
		s.ask("PUT", "d.ipynb", map[string]any{"type": "file", "format": "text", "chunk": []int{1, -1}[i], "content": text})
	}
	s.mustBeClean("d.ipynb")
}

func (s *saver) checkpoints() {
	s.Helper()
	made := s.ask("POST", "a.ipynb/checkpoints", nil)
	kept := ".ipynb_checkpoints/a-checkpoint.ipynb"
	s.mustBeClean(kept)
	old, _ := json.Marshal(s.leaky()) // from before nbhush was there
	s.write("project/"+kept, string(old))
	s.ask("POST", fmt.Sprintf("a.ipynb/checkpoints/%v", made["id"]), nil)
	s.mustBeClean("a.ipynb")
}

// stall stops the agent while a save waits for it: the server goes on answering others.
func (s *saver) stall() {
	s.Helper()
	resume := s.stopAgent()
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		s.put("stall.ipynb", "notebook", "json", s.leaky())
	}()
	for range 50 {
		s.ask("GET", "a.ipynb?content=0", nil)
	}
	select {
	case <-saved:
		s.Error("the save did not wait")
	default:
	}
	resume()
	<-saved
	s.mustBeClean("stall.ipynb")
}

// stopAgent stops the agent's process, which takes connections from then on and
// answers none, and returns what lets it go on.
func (s *saver) stopAgent() (resume func()) {
	s.Helper()
	pid := s.agentPID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.Fatal(err)
	}
	resume = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	s.Cleanup(resume)
	// A thread has to see the signal before the others stop.
	s.until("stopped", func() bool {
		states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, path := range states {
			if b, err := os.ReadFile(path); err == nil && !bytes.Contains(b, []byte(") T ")) {
				return false
			}
		}
		return err == nil && len(states) > 0
	})
	return resume
}

func (s *saver) copies() {
	s.Helper()
	old, _ := json.Marshal(s.leaky())
	s.write("project/old.ipynb", string(old))
	m := s.ask("POST", "", map[string]any{"copy_from": "old.ipynb"})
	s.mustBeClean(m["path"].(string))
}

// TestSaveElsewhere saves through contents managers that call no hooks.
func TestSaveElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("starts JupyterLab servers")
	}
	t.Parallel()
	for _, class := range []string{"Plain", "LatePlain"} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			s := newSaver(t, patient, `c.ServerApp.contents_manager_class = "save_managers.`+class+`"`)
			s.put("a.ipynb", "notebook", "json", s.leaky())
			s.mustBeClean("a.ipynb")
			text := `{"cells":[],"metadata":{"a":"` + s.plain + `"},"nbformat":4,"nbformat_minor":2}`
			s.put("t.ipynb", "file", "text", text)
			s.mustBeClean("t.ipynb")
			s.ask("PUT", "u.ipynb", map[string]any{"type": "file", "format": "text", "chunk": -1, "content": text})
			s.mustBeClean("u.ipynb")
		})
	}
}

// TestSaveWithoutAgent ends and stops the agent under a server: no save is
// lost, none waits, and what was not checked is said once.
func TestSaveWithoutAgent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a JupyterLab server")
	}
	t.Parallel()
	s := newSaver(t)
	save := func(path string) time.Duration {
		t.Helper()
		nb := s.leaky()
		began := time.Now()
		s.put(path, "notebook", "json", nb)
		return time.Since(began)
	}
	s.until("stripped", func() bool { save("warm.ipynb"); return s.clean("warm.ipynb") })
	s.mustBeClean("warm.ipynb")

	// Killed: another one is started, which may or may not be in time.
	if err := syscall.Kill(s.agentPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Logf("save after the agent was killed: %v", save("killed.ipynb"))
	s.until("stripped again", func() bool { save("killed.ipynb"); return s.clean("killed.ipynb") })
	s.mustBeClean("killed.ipynb")

	// Killed while it searches: the save is whole, and what comes after it is checked.
	big := plainNotebook(6_000_000)
	big["metadata"] = map[string]any{"note": s.plain}
	for range 4 {
		pid := s.agentPID()
		var wait sync.WaitGroup
		wait.Go(func() {
			n, _ := rand.Int(rand.Reader, mathbig.NewInt(200))
			time.Sleep(time.Duration(n.Int64()) * time.Millisecond)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		})
		s.put("big.ipynb", "notebook", "json", big)
		wait.Wait()
		var saved map[string]any
		if err := json.Unmarshal(s.read("project/big.ipynb"), &saved); err != nil || len(saved["cells"].([]any)) != len(big["cells"].([]any)) {
			t.Fatalf("the notebook is not whole: %v", err)
		}
		t.Logf("killed at a random moment: checked %v", s.clean("big.ipynb"))
		s.until("stripped again", func() bool { save("killed.ipynb"); return s.clean("killed.ipynb") })
	}

	// Stopped: it takes connections and answers none.
	resume := s.stopAgent()
	first, second := save("stopped.ipynb"), save("stopped2.ipynb")
	t.Logf("saves beside a stopped agent: %v, %v", first, second)
	if first > time.Minute || second > time.Minute { // 200 ms, but machines are busy
		t.Error("a save waited for an agent that does not answer")
	}
	for _, path := range []string{"stopped.ipynb", "stopped2.ipynb"} {
		if !bytes.Contains(s.read("project/"+path), []byte(s.plain)) {
			t.Errorf("%s is not as it was saved", path)
		}
	}
	log := string(s.read("server.log"))
	if n := strings.Count(log, "stopped.ipynb was saved unchecked"); n != 1 || strings.Contains(log, "stopped2.ipynb was saved unchecked") {
		t.Errorf("said %d times:\n%s", n, s.needles.mask([]byte(log)))
	}
	resume()
	s.until("stripped after a while", func() bool { save("stopped.ipynb"); return s.clean("stopped.ipynb") })

	// Locked: it answers that it does not know.
	s.nbhush("", nil, "agent", "lock")
	save("locked.ipynb")
	if log := s.read("server.log"); !bytes.Contains(log, []byte("nbhush agent unlock")) {
		t.Errorf("nothing is said:\n%s", s.needles.mask(log))
	}
	s.nbhush("", nil, "agent", "unlock")
	s.until("stripped when unlocked", func() bool { save("locked.ipynb"); return s.clean("locked.ipynb") })
	s.needles.mustNotBeIn(t, "server.log", s.read("server.log"))
}

func (s *saver) clean(path string) bool { return s.needles.find(s.read("project/"+path)) < 0 }

func (s *saver) until(what string, done func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not %s within a minute\n%s", what, s.needles.mask(s.read("server.log")))
		}
	}
}

// TestSaveEqualsStrip compares what the extension makes of a notebook with what
// nbhush strip makes of the same one, for the notebooks of nbstrip's tests.
func TestSaveEqualsStrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := map[string]string{
		"PLAIN":  rand.Text() + "x",
		"ODD":    rand.Text()[:9] + "\"\\/\t\n<é\U0001f511" + rand.Text()[:9],
		"DIGITS": strings.Map(func(r rune) rune { return '1' + r%9 }, rand.Text()[:12]),
	}
	for name, value := range values {
		w.setSecret(name, value)
	}
	w.nbhush("", nil, "jupyter", "enable")
	paths, err := filepath.Glob("../../testdata/notebooks/*/in.ipynb")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no notebooks (%v)", err)
	}
	var names []string
	var in []json.RawMessage
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		src = bytes.TrimPrefix(fillNotebook(src, values), []byte("\ufeff"))
		var nb map[string]any
		if json.Unmarshal(src, &nb) != nil || nb["cells"] == nil && nb["worksheets"] == nil {
			continue // broken ones are texts
		}
		names, in = append(names, filepath.Base(filepath.Dir(path))), append(in, src)
	}
	long := strings.Repeat("0123456789 ", 300_000)
	in = append(in, json.RawMessage(fmt.Sprintf(`{"cells":[{"cell_type":"raw","metadata":{},"source":["%s%s","%s%s","%s"]}],"metadata":{},"nbformat":4,"nbformat_minor":2}`,
		long[:1<<20-10], values["PLAIN"][:15], values["PLAIN"][15:], long, values["PLAIN"])))
	names = append(names, "long")
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command("", w.python, w.script("save_strip.py"), filepath.Join(w.dir, ".local/share/nbhush/jupyter"), strings.TrimSpace(string(w.nbhush("", nil, "agent", "socket"))))
	cmd.Stdin = bytes.NewReader(body)
	var got []struct {
		Notebook any
		Names    []string
	}
	if err := json.Unmarshal(w.run(cmd), &got); err != nil || len(got) != len(in) {
		t.Fatalf("%d of %d, %v", len(got), len(in), err)
	}
	changed := 0
	for i, src := range in {
		var want any
		if err := json.Unmarshal(w.nbhush("", src, "strip", "-"), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[i].Notebook); diff != "" {
			t.Errorf("%s (-strip +save):\n%.2000s", names[i], diff)
		}
		if len(got[i].Names) > 0 {
			changed++
		}
	}
	if changed < len(in)/2 {
		t.Errorf("only %d of %d notebooks held a value", changed, len(in))
	}
}

// fillNotebook puts values into the places of a golden notebook, which are
// described in nbstrip's golden test.
func fillNotebook(text []byte, values map[string]string) []byte {
	var pairs []string
	quote := func(s string) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(s)
		return strings.TrimSuffix(b.String(), "\"\n")[1:]
	}
	for name, value := range values {
		n := min(7, len(value)/2)
		in64 := base64.StdEncoding.EncodeToString([]byte(value))
		pairs = append(pairs, "@@"+name+"@@", value, "@@"+name+":json@@", quote(value), "@@"+name+":ascii@@", quote(value), "@@"+name+":u@@", quote(value),
			"@@"+name+":head@@", quote(value[:n]), "@@"+name+":tail@@", quote(value[n:]),
			"@@"+name+":base64@@", in64, "@@"+name+":base64lf@@", in64[:len(in64)/2]+`\n`+in64[len(in64)/2:])
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(text)))
}
