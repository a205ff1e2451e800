package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
)

type demoOptions struct {
	private bool
	keep    bool
}

func newDemoCmd(a *app) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "do the main job for real, in a temporary place",
		Long: `Stores a made-up secret, runs a notebook that reads and prints it in a real kernel,
commits the notebook and searches every git object for the value. Nothing of
yours is touched. Where there is no Jupyter, a private one is made once in the
cache directory.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), a, o) },
	}
	cmd.Flags().BoolVar(&o.private, "private", false, "use the private Jupyter even if there is another")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "keep the temporary place, to look at it")
	return cmd
}

// demo is one run: a home of its own, so that the user's is not touched.
type demo struct {
	*app
	self    string // path of nbhush
	dir     string
	own     home.Home
	env     []string
	jupyter string // path of jupyter-execute
	value   secret.Value
}

const demoName = "DEMO_API_KEY"

func runDemo(ctx context.Context, a *app, o demoOptions) error {
	d, err := newDemo(a)
	if err != nil {
		return err
	}
	defer d.end(o.keep)
	steps := []struct {
		what string
		do   func(context.Context) (string, error)
	}{
		{"find Jupyter", func(ctx context.Context) (string, error) { return d.findJupyter(ctx, o.private) }},
		{"store a made-up secret", d.store},
		{"approve the project's names", d.approve},
		{"run a notebook in a real kernel", d.execute},
		{"read the notebook", d.checkNotebook},
		{"commit it, and a cell with the value typed in", d.commit},
		{"search every git object", d.searchObjects},
	}
	for _, s := range steps {
		done, err := s.do(ctx)
		if err != nil {
			a.cross("%s", s.what)
			return fmt.Errorf("demo: %s: %w", s.what, err)
		}
		a.tick("%s", done)
	}
	if o.keep {
		a.say("the notebook is %s", filepath.Join(d.dir, "project", "demo.ipynb"))
	}
	return nil
}

func newDemo(a *app) (*demo, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nbhush-demo-")
	if err != nil {
		return nil, err
	}
	d := &demo{app: a, self: self, dir: dir, value: secret.New([]byte("demo-" + rand.Text()))}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "NBHUSH_") || strings.HasPrefix(name, "GIT_") || name == "PYTHONPATH" {
			continue
		}
		d.env = append(d.env, kv)
	}
	base := filepath.Join(dir, "home")
	if d.own, err = home.Find(func(string) string { return base }); err != nil {
		return nil, err
	}
	d.env = append(
		d.env,
		"NBHUSH_HOME="+base,
		"JUPYTER_CONFIG_DIR="+filepath.Join(dir, "jupyter"),
		"PYTHONPATH="+d.own.Jupyter(),
		"JUPYTER_DEFAULT_PROVISIONER_NAME=nbhush",
		"GIT_CONFIG_GLOBAL="+filepath.Join(dir, "gitconfig"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=nbhush demo", "GIT_AUTHOR_EMAIL=demo@localhost",
		"GIT_COMMITTER_NAME=nbhush demo", "GIT_COMMITTER_EMAIL=demo@localhost",
	)
	return d, nil
}

// end stops the demo's own agent and removes the temporary place.
func (d *demo) end(keep bool) {
	d.value.Wipe()
	ctx := context.Background() // also after Ctrl-C
	if _, err := d.run(ctx, "", nil, d.self, "agent", "stop"); err != nil {
		d.warningf("the demo's agent was not stopped: %s", err)
	}
	if keep {
		return
	}
	for _, dir := range []string{d.own.Run, d.dir} { // Run may lie elsewhere, as its path has to be short
		if err := os.RemoveAll(dir); err != nil {
			d.warningf("%s was not removed: %s", dir, err)
		}
	}
}

// run runs a program in the demo's folder; its last words are the error.
func (d *demo) run(ctx context.Context, dir string, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = filepath.Join(d.dir, dir), d.env, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	words := strings.TrimSpace(stderr.String())
	if lines := strings.Split(words, "\n"); len(lines) > 3 {
		words = strings.Join(lines[len(lines)-3:], "\n")
	}
	return out, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, words)
}

func (d *demo) findJupyter(ctx context.Context, private bool) (string, error) {
	if path, err := exec.LookPath("jupyter-execute"); err == nil && !private {
		d.jupyter = path
		return "found Jupyter: " + path, nil
	}
	venv := filepath.Join(d.home.Cache, "demo-venv")
	bin := "bin"
	if runtime.GOOS == "windows" {
		bin = "Scripts"
	}
	d.jupyter = filepath.Join(venv, bin, "jupyter-execute")
	if _, err := exec.LookPath(d.jupyter); err == nil {
		return "found the private Jupyter: " + venv, nil
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", &demoError{"there is neither Jupyter nor Python 3 on PATH", "install Python 3, then: nbhush demo"}
	}
	d.say("there is no Jupyter on PATH; making a private one in %s (half a minute)", venv)
	if err := os.MkdirAll(d.home.Cache, 0o700); err != nil {
		return "", err
	}
	for _, argv := range [][]string{
		{python, "-m", "venv", "--clear", venv},
		{filepath.Join(venv, bin, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "ipykernel", "nbclient"},
	} {
		if _, err := d.run(ctx, "", nil, argv[0], argv[1:]...); err != nil {
			_ = os.RemoveAll(venv)
			return "", &demoError{err.Error(), "install Jupyter yourself (pip install jupyterlab), then: nbhush demo"}
		}
	}
	return "made a private Jupyter: " + venv, nil
}

// demoError is a failure that the user can mend.
type demoError struct{ message, hint string }

func (e *demoError) Error() string { return e.message }

// Hint is the next command.
func (e *demoError) Hint() string { return e.hint }

func (d *demo) store(ctx context.Context) (string, error) {
	for _, dir := range []string{filepath.Join(d.dir, "project"), d.own.Config} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
	}
	// The demo's secret goes into a vault of its own, whatever the user chose.
	if err := store.Choose(d.own.ConfigFile(), store.KindVault); err != nil {
		return "", err
	}
	_, err := d.run(ctx, "", d.value.Reveal(), d.self, "set", demoName)
	return "stored a made-up secret as " + demoName, err
}

func (d *demo) approve(ctx context.Context) (string, error) {
	toml := filepath.Join(d.dir, "project", "nbhush.toml")
	if err := os.WriteFile(toml, []byte("[secrets]\n"+demoName+" = {}\n"), 0o600); err != nil {
		return "", err
	}
	_, err := d.run(ctx, "project", nil, d.self, "allow")
	return "allowed it for the kernels of a project", err
}

// demoCells read the secret in the three ways and print it in full.
var demoCells = []string{
	"import os\nprint('environment:', os.environ['" + demoName + "'])",
	"import nbhush\nprint('nbhush.get:', nbhush.get('" + demoName + "'))",
	"%hush " + demoName + "\nprint('%hush:', " + demoName + ")",
}

type demoCell struct {
	Type     string           `json:"cell_type"`
	ID       string           `json:"id"`
	Metadata struct{}         `json:"metadata"`
	Source   any              `json:"source"` // a string, or a list of lines
	Count    *int             `json:"execution_count"`
	Outputs  []map[string]any `json:"outputs"`
}

type demoNotebook struct {
	Cells    []demoCell     `json:"cells"`
	Metadata map[string]any `json:"metadata"`
	Major    int            `json:"nbformat"`
	Minor    int            `json:"nbformat_minor"`
}

func (d *demo) notebook() string { return filepath.Join(d.dir, "project", "demo.ipynb") }

func (d *demo) execute(ctx context.Context) (string, error) {
	nb := demoNotebook{Major: 4, Minor: 5, Metadata: map[string]any{"kernelspec": map[string]string{"name": "python3", "display_name": "Python 3"}}}
	for i, source := range demoCells {
		nb.Cells = append(nb.Cells, demoCell{Type: "code", ID: fmt.Sprintf("cell-%d", i), Source: source, Outputs: []map[string]any{}})
	}
	if err := writeNotebook(d.notebook(), nb); err != nil {
		return "", err
	}
	if _, err := d.run(ctx, "project", nil, d.self, "jupyter", "enable"); err != nil {
		return "", err
	}
	_, err := d.run(ctx, "project", nil, d.jupyter, "--inplace", "--timeout=60", "demo.ipynb")
	return "ran a notebook in a real kernel behind the hook", err
}

func writeNotebook(path string, nb demoNotebook) error {
	b, err := json.MarshalIndent(nb, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}

func readNotebook(path string) (nb demoNotebook, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nb, err
	}
	return nb, json.Unmarshal(b, &nb)
}

var errDemoLeak = errors.New("the value is there")

func (d *demo) checkNotebook(ctx context.Context) (string, error) {
	nb, err := readNotebook(d.notebook())
	if err != nil {
		return "", err
	}
	want := match.Placeholder(demoName)
	for i, c := range nb.Cells {
		out, err := json.Marshal(c.Outputs)
		if err != nil {
			return "", err
		}
		if !bytes.Contains(out, []byte(want)) {
			return "", fmt.Errorf("the output of cell %d does not show %s", i+1, want)
		}
	}
	b, err := os.ReadFile(d.notebook())
	if err != nil {
		return "", err
	}
	if err := d.absent(ctx, b); err != nil {
		return "", fmt.Errorf("demo.ipynb: %w", err)
	}
	return "the environment, nbhush.get and %hush all printed " + want, nil
}

// absent says whether b holds the value in any encoding.
func (d *demo) absent(ctx context.Context, b []byte) error {
	set := match.New([]match.Known{{Name: demoName, Value: d.value}})
	defer set.Wipe()
	res, err := set.Find(ctx, b)
	if err != nil {
		return err
	}
	if len(res.Spans) > 0 {
		return errDemoLeak
	}
	return nil
}

func (d *demo) commit(ctx context.Context) (string, error) {
	nb, err := readNotebook(d.notebook())
	if err != nil {
		return "", err
	}
	nb.Cells = append(nb.Cells, demoCell{
		Type: "code", ID: "typed", Outputs: []map[string]any{},
		Source: "api_key = '" + string(d.value.Reveal()) + "'",
	})
	if err := writeNotebook(d.notebook(), nb); err != nil {
		return "", err
	}
	for _, argv := range [][]string{
		{"git", "init", "-q"},
		{d.self, "git", "install"},
		{"git", "add", "."},
		{"git", "commit", "-q", "-m", "demo"},
	} {
		if _, err := d.run(ctx, "project", nil, argv[0], argv[1:]...); err != nil {
			return "", err
		}
	}
	return "committed it, with the value typed into one more cell", nil
}

func (d *demo) searchObjects(ctx context.Context) (string, error) {
	objects, err := d.run(ctx, "project", nil, "git", "cat-file", "--batch-all-objects", "--batch")
	if err != nil {
		return "", err
	}
	if err := d.absent(ctx, objects); err != nil {
		return "", fmt.Errorf("a git object: %w", err)
	}
	blob, err := d.run(ctx, "project", nil, "git", "show", "HEAD:demo.ipynb")
	if err != nil {
		return "", err
	}
	if !bytes.Contains(blob, []byte("api_key = '"+match.Placeholder(demoName))) {
		return "", errors.New("the typed value was not replaced in the commit")
	}
	return "searched every git object: the value is in none", nil
}
