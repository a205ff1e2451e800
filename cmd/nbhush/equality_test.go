package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// twoSpecs makes two kernel specs of the same ipykernel, and wraps one.
func (w *world) twoSpecs() {
	w.Helper()
	for _, name := range []string{"bare", "hooked"} {
		spec, _ := json.Marshal(map[string]any{
			"argv":         []string{w.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"},
			"display_name": name, "language": "python",
		})
		w.mkdir(".local/share/jupyter/kernels/" + name)
		w.write(".local/share/jupyter/kernels/"+name+"/kernel.json", string(spec))
	}
	w.nbhush("", nil, "kernels", "enable", "hooked")
}

func (w *world) script(name string) string {
	w.Helper()
	path, err := filepath.Abs("../../testdata/python/" + name)
	if err != nil {
		w.Fatal(err)
	}
	return path
}

// TestOutputsEqualBare runs the canary's cells through nbclient and papermill
// on the bare kernel and on the wrapped one: the outputs are the same, but for
// the placeholders. The expectation is made by strip from the bare outputs.
func TestOutputsEqualBare(t *testing.T) {
	if testing.Short() {
		t.Skip("starts kernels")
	}
	t.Parallel()
	w := newWorld(t)
	plain := rand.Text() + rand.Text()
	awkward := `p"` + rand.Text() + `&<b>\n'` + rand.Text() + `é/+ ` + rand.Text()
	w.setSecret("CANARY", plain)
	w.setSecret("AWKWARD", awkward)
	w.write("project/nbhush.toml", "[secrets]\nCANARY = {}\nAWKWARD = {}\n")
	w.nbhush("project", nil, "allow")
	w.twoSpecs()
	cells, _ := json.Marshal(comparableCells())
	needles := newNeedles(plain, awkward)
	for _, how := range []string{"nbclient", "papermill"} {
		t.Run(how, func(t *testing.T) {
			w := w.in(t)
			bare := w.command("project", w.program, "run", "--", w.python, w.script("run_notebook.py"), how, "bare")
			bare.Stdin = bytes.NewReader(cells)
			want := w.stripped(w.run(bare))
			hooked := w.command("project", w.python, w.script("run_notebook.py"), how, "hooked")
			hooked.Stdin = bytes.NewReader(cells)
			out := w.run(hooked)
			needles.mustNotBeIn(t, "the outputs of the wrapped kernel", out)
			var got any
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outputs differ (-bare and stripped +wrapped):\n%s", needles.mask([]byte(diff)))
			}
		})
	}
}

// stripped passes outputs through strip as the cells of a notebook.
func (w *world) stripped(outputs []byte) (got any) {
	w.Helper()
	var cells []json.RawMessage
	if err := json.Unmarshal(outputs, &cells); err != nil {
		w.Fatal(err)
	}
	type cell struct {
		Type    string          `json:"cell_type"`
		Source  string          `json:"source"`
		Outputs json.RawMessage `json:"outputs"`
	}
	var nb struct {
		Cells    []cell         `json:"cells"`
		Metadata map[string]any `json:"metadata"`
		Major    int            `json:"nbformat"`
		Minor    int            `json:"nbformat_minor"`
	}
	nb.Major, nb.Minor, nb.Metadata = 4, 5, map[string]any{}
	for _, c := range cells {
		nb.Cells = append(nb.Cells, cell{Type: "code", Outputs: c})
	}
	src, _ := json.Marshal(nb)
	if err := json.Unmarshal(w.nbhush("", src, "strip", "-"), &nb); err != nil {
		w.Fatal(err)
	}
	var all []any
	for _, c := range nb.Cells {
		var o any
		if err := json.Unmarshal(c.Outputs, &o); err != nil {
			w.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// comparableCells print the same on every run and need nothing that a bare
// kernel lacks. A value that is printed character by character is in the canary
// instead: how many placeholders it takes depends on time.
func comparableCells() []string {
	return []string{
		"import os, sys; s = os.environ['CANARY']; a = os.environ['AWKWARD']; print(s, a)",
		"s",
		"a, s",
		"raise ValueError('wrong key ' + s)",
		"raise KeyError(a)",
		"from IPython.display import HTML, display; import html; display(HTML('<b>' + html.escape(a) + '</b><i>' + s + '</i>'))",
		"display({'application/json': {'k': [a, {s: 1}]}, 'text/plain': a}, raw=True)",
		"sys.stdout.write('half ' + s[:9]); sys.stdout.flush(); sys.stdout.write(s[9:] + ' done'); sys.stdout.flush()",
		"import base64; print(base64.b64encode(s.encode()), base64.urlsafe_b64encode(('user:' + a).encode()).decode())",
		"print(s.encode().hex(), a.encode().hex().upper())",
		"import urllib.parse, json; print(urllib.parse.quote(a), urllib.parse.quote_plus(a), json.dumps(a), repr(a.encode()))",
		"print('stderr ' + s, file=sys.stderr)",
		"import subprocess; print(subprocess.run(['sh', '-c', 'echo $CANARY'], capture_output=True, text=True).stdout)",
		"print('nothing to hide', 1 + 1); [i ** 2 for i in range(10)]",
		"for i in range(2000): print(i, 'a line that is no secret')",
		"from IPython.display import clear_output; print('gone'); clear_output(); print('stays', s[2:])",
		"h = display('waiting', display_id='x'); h.update({'text/plain': s}, raw=True)",
		"int('not a number')",
		"'the end'",
	}
}

// TestKernelContract runs jupyter_kernel_test on both kernels: each test has
// the same result.
func TestKernelContract(t *testing.T) {
	if testing.Short() {
		t.Skip("starts kernels")
	}
	t.Parallel()
	w := newWorld(t)
	w.setSecret("CANARY", rand.Text())
	w.twoSpecs()
	results := func(kernel string) (r map[string]any) {
		if err := json.Unmarshal(w.run(w.command("", w.python, w.script("kernel_contract.py"), kernel)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	bare, hooked := results("bare"), results("hooked")
	if diff := cmp.Diff(bare, hooked); diff != "" {
		t.Errorf("results differ (-bare +wrapped):\n%s", diff)
	}
	passed := 0
	for _, r := range bare {
		if r == "ok" {
			passed++
		}
	}
	if passed < 10 {
		t.Errorf("only %d tests passed on the bare kernel: %v", passed, bare)
	}
}
