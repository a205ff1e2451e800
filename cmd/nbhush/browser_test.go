//go:build linux

package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newBrowsed starts a server for a browser: with an empty notebook, and with
// jupyter-collaboration or without.
func newBrowsed(t *testing.T, secret, value string, collaboration bool) (*world, *lab) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there is no Chromium; run: make test")
	}
	w := newWorld(t)
	w.env = append(w.env, "NBHUSH_TEST_CHROMIUM="+chromium)
	w.setSecret(secret, value)
	w.mkdir(".jupyter/labconfig")
	w.write(".jupyter/jupyter_server_config.json", fmt.Sprintf(`{"ServerApp":{"jpserver_extensions":{"jupyter_server_ydoc":%v}}}`, collaboration))
	page, _ := json.Marshal(map[string]any{"disabledExtensions": map[string]bool{
		"@jupyterlab/apputils-extension:announcements": true,
		"@jupyter/docprovider-extension":               !collaboration,
		"@jupyter/collaboration-extension":             !collaboration,
	}})
	w.write(".jupyter/labconfig/page_config.json", string(page))
	w.write("project/first.ipynb", `{"cells":[{"cell_type":"code","execution_count":null,"id":"a","metadata":{},"outputs":[],"source":[]}],`+
		`"metadata":{"kernelspec":{"display_name":"Python 3","language":"python","name":"python3"}},"nbformat":4,"nbformat_minor":5}`)
	w.write("project/nbhush.toml", "[secrets]\n"+secret+" = {}\n")
	w.nbhush("project", nil, "allow")
	w.configure(patient)
	w.nbhush("", nil, "jupyter", "enable")
	return w, w.startLab()
}

// browse runs a script of testdata/python, which prints JSON, on that notebook.
func (w *world) browse(l *lab, script, picture, stdin string, got any) {
	w.Helper()
	cmd := w.command("project", w.python, w.script(script), l.url, "first.ipynb", picture)
	cmd.Env = append(cmd.Env, "JUPYTER_TOKEN="+l.token, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = strings.NewReader(stdin)
	if err := json.Unmarshal(w.run(cmd), got); err != nil {
		w.Fatal(err)
	}
}

// TestFirstMinute does in a browser what the README's first minute says. With
// -update it makes the README's picture of it.
func TestFirstMinute(t *testing.T) {
	value := "sk-" + rand.Text() + rand.Text()
	w, l := newBrowsed(t, "OPENAI_API_KEY", value, false)
	picture := filepath.Join(t.TempDir(), "picture.png")
	if *update {
		var err error
		if picture, err = filepath.Abs("../../.ci/first-minute.png"); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Shown, Dialogs []string
		Saved          string
	}
	w.browse(l, "first_minute.py", picture, "", &got)
	n := newNeedles(value)
	n.mustNotBeIn(t, "the page", []byte(strings.Join(got.Shown, "\n")))
	n.mustNotBeIn(t, "the saved notebook", []byte(got.Saved))
	if want := []string{"[nbhush:OPENAI_API_KEY]", fmt.Sprintf("(True, %d)", len(value))}; !slices.Equal(got.Shown, want) || len(got.Dialogs) > 0 {
		t.Errorf("shown %q, dialogs %q", n.mask([]byte(strings.Join(got.Shown, "\n"))), got.Dialogs)
	}
	if b, err := os.ReadFile(picture); err != nil || len(b) > 120_000 {
		t.Errorf("the picture has %d bytes, %v", len(b), err)
	}
}

// TestSaveInBrowser types a value into a cell of a real JupyterLab, with and
// without jupyter-collaboration: it is never on the disk, and no dialog stands
// in the way of the next save. NBHUSH_TEST_SCREENSHOTS names a folder to look at.
func TestSaveInBrowser(t *testing.T) {
	for name, collaboration := range map[string]bool{"alone": false, "collaboration": true} {
		t.Run(name, func(t *testing.T) {
			value := "nk-" + rand.Text() + rand.Text()
			w, l := newBrowsed(t, "PLAIN", value, collaboration)
			shots := t.TempDir()
			if dir := os.Getenv("NBHUSH_TEST_SCREENSHOTS"); dir != "" {
				shots = dir
			}
			var got struct{ Saved, Dialogs []string }
			w.browse(l, "save_browser.py", filepath.Join(shots, name+".png"), value, &got)
			n := newNeedles(value)
			for _, saved := range got.Saved {
				n.mustNotBeIn(t, "the saved notebook", []byte(saved))
				if !strings.Contains(saved, "first = '[nbhush:PLAIN]") {
					t.Errorf("no placeholder in %s", n.mask([]byte(saved)))
				}
			}
			if len(got.Saved) != 3 || !strings.Contains(got.Saved[2], "third = 3") || len(got.Dialogs) > 0 {
				t.Errorf("dialogs %q; saved:\n%s", got.Dialogs, n.mask([]byte(strings.Join(got.Saved, "\n"))))
			}
			l.stop(t)
			w.mustBeNowhere(n, map[string]bool{".jupyter_ystore.db": collaboration})
		})
	}
}

// mustBeNowhere searches every file of the home but those that are known to
// hold what is typed: jupyter-collaboration keeps a history of every document.
func (w *world) mustBeNowhere(n needles, known map[string]bool) {
	w.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && !known[d.Name()] {
			n.mustNotBeIn(w, path, b)
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}
