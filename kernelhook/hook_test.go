package kernelhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rig is a place with an agent, in which scripts start kernels behind the hook.
type rig struct {
	t          *testing.T
	run, agent string
	python     string
	prefix     []string // of the command of scripts
	values     map[string]testValue
	log        bytes.Buffer // stdout of the hooks and stderr of everything
}

// newRig makes random values: TOKEN is granted at the start, ASKED can be asked
// for, OTHER is known and denied.
func newRig(t *testing.T) *rig {
	t.Helper()
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON, a python3 with ipykernel and nbclient, is not set")
	}
	dir, err := os.MkdirTemp("", "kh") // t.TempDir is too deep for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &rig{t: t, run: filepath.Join(dir, "run"), agent: filepath.Join(dir, "agent"), python: python}
	r.values = map[string]testValue{
		"TOKEN": {Value: "t0-" + rand.Text(), Granted: true, Allowed: true},
		"ASKED": {Value: "a0-" + rand.Text(), Allowed: true},
		"OTHER": {Value: "o0-" + rand.Text()},
	}
	if err := os.Mkdir(r.agent, 0o700); err != nil {
		t.Fatal(err)
	}
	r.save()
	return r
}

// add gives the agents of kernels that start from now on one more value.
func (r *rig) add(name string, v testValue) {
	r.t.Helper()
	r.values[name] = v
	r.save()
}

func (r *rig) save() {
	r.t.Helper()
	b, err := json.Marshal(r.values)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.agent, "values.json"), b, 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// script runs testdata/name and returns the objects that it printed, one by one.
func (r *rig) script(name string, args ...string) []map[string]any {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	hook, err := json.Marshal([]string{self, "hook", r.run, r.agent})
	if err != nil {
		r.t.Fatal(err)
	}
	limit, done := context.WithTimeout(r.t.Context(), 3*time.Minute+*realTime)
	defer done()
	argv := append(slices.Clone(r.prefix), append([]string{r.python, filepath.Join("testdata", name)}, args...)...)
	cmd := exec.CommandContext(limit, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "NBHUSH_TEST_HOOK="+string(hook), "NBHUSH_TEST_AGENT="+r.agent,
		"PYTHONDONTWRITEBYTECODE=1", "IPYTHONDIR="+filepath.Join(filepath.Dir(r.run), "ipython"),
		"JUPYTER_RUNTIME_DIR="+filepath.Join(filepath.Dir(r.run), "jupyter"),
		"EVCXR_TMPDIR="+filepath.Join(filepath.Dir(r.run), "rust")) // which Rust's kernel leaves behind
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &r.log
	err = cmd.Run()
	var told []map[string]any
	for line := range strings.Lines(out.String()) {
		o := map[string]any{}
		if json.Unmarshal([]byte(line), &o) != nil {
			r.log.WriteString(line) // what a kernel printed on its own stdout
			continue
		}
		told = append(told, o)
	}
	if err != nil {
		r.t.Fatalf("%s: %v\n%s\n%v", name, err, r.log.String(), told)
	}
	r.clean(out.String())
	return told
}

// clean fails if a value is in text or in the log, which never holds one.
func (r *rig) clean(text string) {
	r.t.Helper()
	for name, v := range r.values {
		if strings.Contains(text+r.log.String(), v.Value) {
			r.t.Errorf("the value of %s was delivered", name)
		}
	}
}

// gone fails if a hook left something behind.
func (r *rig) gone() {
	r.t.Helper()
	left, err := os.ReadDir(r.run)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range left {
		r.t.Errorf("%s is left", e.Name())
	}
}

// same fails if what a script told is not want, which is JSON.
func same(t *testing.T, told map[string]any, want string) {
	t.Helper()
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(told)
	norm, _ := json.Marshal(w)
	if !bytes.Equal(got, norm) {
		t.Errorf("got  %s\nwant %s", got, norm)
	}
}

// A cell reads a secret from its environment, or asks for it, and prints it.
func TestFirstCell(t *testing.T) {
	r := newRig(t)
	told := r.script("first.py")
	same(t, told[0], `{"stream":"T=[nbhush:TOKEN]\n","result":"42","count":1,"types":["status","execute_input","stream","execute_result","status"]}`)
	same(t, told[1], `{"result":"[nbhush:ASKED]","stream":"True\n"}`)
	same(t, told[2], `{"end":false}`)
	r.gone()
}

// Whatever a cell does to show a value, no client and no log sees it, and the
// rest of what it shows is there.
func TestCells(t *testing.T) {
	r := newRig(t)
	told := r.script("cells.py")
	seen := map[string]bool{}
	for _, o := range told {
		cell := o["cell"].(string)
		seen[cell] = true
		shown := o["shown"].(string)
		if reply, ok := o["reply"].(string); ok {
			shown += reply
		}
		switch cell {
		case "literal":
			if strings.Contains(shown, "nbhush") {
				t.Errorf("%s: %s", cell, shown)
			}
		case "asked":
			if !strings.Contains(shown, "[nbhush:ASKED]") {
				t.Errorf("%s: %s", cell, shown)
			}
		default:
			if !strings.Contains(shown, "[nbhush:TOKEN]") {
				t.Errorf("%s: %s", cell, shown)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d cells ran", len(seen))
	}
	if !strings.Contains(r.log.String(), "on the own stdout: [nbhush:TOKEN]") {
		t.Errorf("the log lacks the kernel's own stdout: %s", r.log.String())
	}
	for name, v := range r.values {
		for form, encoded := range map[string]string{
			"base64": base64.StdEncoding.EncodeToString([]byte(v.Value)), "hex": hex.EncodeToString([]byte(v.Value)),
		} {
			if all, _ := json.Marshal(told); strings.Contains(string(all), strings.TrimRight(encoded, "=")) {
				t.Errorf("the %s of %s was delivered", form, name)
			}
		}
	}
	r.gone()
}

func TestComms(t *testing.T) {
	r := newRig(t)
	told := r.script("comms.py")
	n := len("headtail") + len(r.values["TOKEN"].Value)
	same(t, told[0], `{"data":{"k":"[nbhush:TOKEN]","n":1.1},"small":`+strconv.Itoa(n)+`,"head":"head","tail":"tail","middle":["*"],"same":true}`)
	same(t, told[1], `{"sent":[{"deep":[{"x":"[nbhush:TOKEN]"}]}]}`)
	same(t, told[2], `{"same":true,"echo":"echo"}`)
}

// A kernel behind the hook lives and dies as a bare one: interrupts, restarts,
// and the status that Jupyter sees at its end.
func TestLife(t *testing.T) {
	r := newRig(t)
	by := map[string]map[string]any{}
	for _, mode := range []string{"hooked", "bare"} {
		by[mode] = map[string]any{}
		for _, o := range r.script("life.py", mode) {
			by[mode][o["what"].(string)] = o["got"]
		}
	}
	if len(by["bare"]) < 11 {
		t.Errorf("only %d things were compared", len(by["bare"]))
	}
	for what, want := range by["bare"] {
		if got := by["hooked"][what]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: hooked %v, bare %v", what, got, want)
		}
	}
	r.gone()
}

// Two clients get their own replies and prompts, all output, their
// iopub_welcome; subshells and the debugger work.
func TestClients(t *testing.T) {
	r := newRig(t)
	told := r.script("clients.py")
	for i, want := range []string{
		`{"distinct":true}`,
		`{"replies":["ok",2],"result":"1"}`,
		`{"seen":["from the second\n"]}`,
		`{"input":{"one":["to one\n",["one? "]],"two":["to two\n",["two? "]]}}`,
		`{"order":["sub ok","main ok"],"text":"[nbhush:ASKED] \n"}`,
		`{"welcome":["iopub_welcome",{"subscription":""},{}]}`,
		`{"debug":["debug_reply",true,"debugInfo"]}`,
		`{"heart":true}`,
	} {
		same(t, told[i], want)
	}
}

// The kernel runs without the agent, says so once, and shows nothing unsearched
// once it has a value.
func TestAway(t *testing.T) {
	r := newRig(t)
	told := r.script("away.py")
	const notice = "nbhush: this kernel runs without its secrets, and output is not checked: the agent is away; start it with: nbhush agent start"
	const withheld = "[nbhush: output withheld: the agent is away; start it with: nbhush agent start]"
	for i, want := range []string{
		`{"what":"first cell","stream":"None\n` + notice + `\n","names":["stdout","stderr"]}`,
		`{"what":"get","ename":"Error","evalue":["the agent is away","start it with: nbhush agent start"],"stream":""}`,
		`{"what":"back","stream":"[nbhush:ASKED]\n"}`,
		`{"what":"away again","stream":"` + withheld + `\n","result":{"text/plain":"` + withheld + `"},"status":"ok"}`,
		`{"what":"still away","stream":"` + withheld + `\n"}`,
		`{"what":"back again","stream":"[nbhush:ASKED]\n"}`,
	} {
		same(t, told[i], want)
	}
	if got := strings.Count(r.log.String(), notice); got != 1 {
		t.Errorf("the log has the notice %d times", got)
	}
}

// Cells ask by name, from wherever a cell can run code; errors are short and
// say what mends them; nothing is left in the user's namespace.
func TestAsk(t *testing.T) {
	r := newRig(t)
	want := map[string][3]string{ // stream, result, error
		"namespace":   {"", "([],\n ['',\n  \"sorted(n for n in globals() if 'hush' in n.lower() or n == 'source'), In, Out\"],\n {})", ""},
		"count":       {"", "3", ""},
		"history":     {"", "'sorted(n for n in gl'", ""},
		"names":       {"", "['ASKED', 'TOKEN']", ""},
		"mask":        {"", "['Secret', True, '[nbhush:ASKED]', True, 'str']", ""},
		"env":         {"", "True", ""},
		"magic":       {"", "(True, True, [nbhush:ASKED])", ""},
		"denied":      {"", "", "nbhush.Denied: OTHER is not allowed here\nallow it with: nbhush allow"},
		"unknown":     {"", "", "nbhush.Error: there is no secret called NOT_THERE\nstore it with: nbhush set NOT_THERE"},
		"bad name":    {"", "", "nbhush.Error: a secret's name has only letters, digits and _ and does not begin with a digit\nuse the name of an environment variable, such as OPENAI_API_KEY"},
		"caught":      {"denied True\n", "", ""},
		"wrong token": {"denied\n", "", ""},
		"threads":     {"", "(160, True)", ""},
		"fork":        {"", "(b'same', True)", ""},
		"asyncio":     {"", "(True, True)", ""},
		"timeout":     {"away\n", "True", ""},
		"orphan":      {"", "(True, False)", ""},
	}
	if runtime.GOOS != "linux" {
		delete(want, "orphan")
	}
	for _, o := range r.script("ask.py") {
		what := o["what"].(string)
		if what == "latency" {
			t.Logf("get, µs, p50 and p99: %v", o["stream"])
			continue
		}
		w, ok := want[what]
		if !ok {
			continue
		}
		delete(want, what)
		got := [3]string{o["stream"].(string), join(o["result"]), join(o["error"])}
		if got != w {
			t.Errorf("%s: got %q, want %q", what, got, w)
		}
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
}

func join(list any) string {
	var parts []string
	for _, v := range list.([]any) {
		parts = append(parts, v.(string))
	}
	return strings.Join(parts, "|")
}

// A hook that was killed leaves no kernel, and the next hook removes its directory.
func TestKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties a kernel to its hook's life")
	}
	r := newRig(t)
	told := r.script("killed.py")
	same(t, told[0], `{"kernel":false,"dirs":1,"left":1}`)
	same(t, told[1], `{"swept":true,"dirs":1}`)
	same(t, told[2], `{"mode":"0o700","files":["0o600"]}`)
	same(t, told[3], `{"pids":2,"alive":0}`)
	r.gone()
}

// Much output arrives whole and in order, and the memory for it goes back.
func TestBulk(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	r := newRig(t)
	told := r.script("bulk.py", "20000", "200000000")
	idle := told[0]["idle"].(float64)
	t.Logf("resident, MB: idle %.1f, after a burst %.1f", idle, told[4]["after"])
	same(t, told[1], `{"count":20000,"ordered":true}`)
	same(t, told[2], `{"size":200000000,"same":true}`)
	same(t, told[3], `{"lines":true}`)
	if raceEnabled {
		return // its shadow memory is not the hook's
	}
	if idle > 15 {
		t.Errorf("idle with %.1f MB, budget 15", idle)
	}
	if after := told[4]["after"].(float64); after > 40 {
		t.Errorf("%.1f MB after a burst, budget 40", after)
	}
}

// Clients that misbehave disturb nobody else.
func TestStress(t *testing.T) {
	r := newRig(t)
	told := r.script("stress.py")
	for i, want := range []string{
		`{"what":"dead subscriber","got":[300,true]}`,
		`{"what":"stuck DEALER","got":true}`,
		`{"what":"silent connections","got":[true,true]}`,
		`{"what":"silent handshakes","got":[true,true]}`,
		`{"what":"200 connects","got":[true,true]}`,
		`{"what":"garbage","got":[true,true]}`,
		`{"what":"frames","got":[true,true]}`,
		`{"what":"forged","got":[true,true,true]}`,
		`{"what":"duplicate identity","got":[true,true]}`,
	} {
		same(t, told[i], want)
	}
	r.gone()
}
