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
	"strings"
	"testing"
)

// TestBrowser does in a real browser, with JupyterLab alone and with
// jupyter-collaboration, what the README's first minute says, and types a value
// into a cell: it is never on the disk, and no dialog stands in the way of the
// next save. With -update it makes the README's picture; NBHUSH_TEST_SCREENSHOTS
// names a folder for pictures of the saves.
func TestBrowser(t *testing.T) {
	chromium := findChromium(t)
	t.Parallel()
	for name, place := range map[string]string{"alone": "lab/tree", "collaboration": "automatic", "Notebook 7": "notebooks"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBrowsed(t, chromium)
			collaboration := place == "automatic"
			b.start(collaboration)
			if name == "alone" {
				b.firstMinute()
			}
			b.typeLiteral(name, place)
			b.lab.stop(t)
			b.mustBeNowhere(map[string]bool{".jupyter_ystore.db": collaboration})
		})
	}
}

func findChromium(t *testing.T) string {
	t.Helper()
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
	return chromium
}

// browsed is a user with a browser, whose one secret is a key of OpenAI's.
type browsed struct {
	*world
	lab     *lab
	key     string
	needles needles
}

func newBrowsed(t *testing.T, chromium string) *browsed {
	b := &browsed{world: newWorld(t), key: "sk-" + rand.Text() + rand.Text()}
	b.env = append(b.env, "NBHUSH_TEST_CHROMIUM="+chromium)
	b.needles = newNeedles(b.key)
	return b
}

// start starts a server, with jupyter-collaboration or without.
func (b *browsed) start(collaboration bool) {
	b.Helper()
	b.setSecret("OPENAI_API_KEY", b.key)
	b.mkdir(".jupyter/labconfig")
	b.write(".jupyter/jupyter_server_config.json", fmt.Sprintf(`{"LabApp":{"expose_app_in_browser":true},"ServerApp":{"jpserver_extensions":{"jupyter_server_ydoc":%v}}}`, collaboration))
	page, _ := json.Marshal(map[string]any{"disabledExtensions": map[string]bool{
		"@jupyterlab/apputils-extension:announcements": true,
		"@jupyter/docprovider-extension":               !collaboration,
		"@jupyter/collaboration-extension":             !collaboration,
	}})
	b.write(".jupyter/labconfig/page_config.json", string(page))
	b.write("project/nbhush.toml", "[secrets]\nOPENAI_API_KEY = {}\n")
	b.nbhush("project", nil, "allow")
	b.configure(patient)
	b.nbhush("", nil, "jupyter", "enable")
	b.lab = b.startLab()
}

// run runs a script of testdata/python, which prints JSON, on an empty notebook.
func (b *browsed) run(got any, stdin, script, notebook, picture string, options ...string) {
	b.Helper()
	b.writeEmpty(notebook)
	cmd := b.command("project", b.python, append([]string{b.script(script), b.lab.url, notebook, picture}, options...)...)
	cmd.Env = append(cmd.Env, "JUPYTER_TOKEN="+b.lab.token, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = strings.NewReader(stdin)
	if err := json.Unmarshal(b.world.run(cmd), got); err != nil {
		b.Fatal(err)
	}
}

func (b *browsed) writeEmpty(notebook string) {
	b.Helper()
	b.write("project/"+notebook, `{"cells":[{"cell_type":"code","execution_count":null,"id":"a","metadata":{},"outputs":[],"source":[]}],`+
		`"metadata":{"kernelspec":{"display_name":"Python 3","language":"python","name":"python3"}},"nbformat":4,"nbformat_minor":5}`)
}

func (b *browsed) firstMinute() {
	b.Helper()
	picture := filepath.Join(b.TempDir(), "picture.png")
	if *update {
		var err error
		if picture, err = filepath.Abs("../../.ci/first-minute.png"); err != nil {
			b.Fatal(err)
		}
	}
	var got struct {
		Shown, Dialogs []string
		Saved          string
	}
	b.run(&got, "", "first_minute.py", "first.ipynb", picture)
	shown := []byte(strings.Join(got.Shown, "\n"))
	b.needles.mustNotBeIn(b, "the page", shown)
	b.needles.mustNotBeIn(b, "the saved notebook", []byte(got.Saved))
	if want := fmt.Sprintf("[nbhush:OPENAI_API_KEY]\n(True, %d)", len(b.key)); string(shown) != want || len(got.Dialogs) > 0 {
		b.Errorf("shown %q, dialogs %q", b.needles.mask(shown), got.Dialogs)
	}
	if png, err := os.ReadFile(picture); err != nil || len(png) > 120_000 {
		b.Errorf("the picture has %d bytes, %v", len(png), err)
	}
}

// typeLiteral types the key into a cell and saves three times: it never is on the
// disk, and the page says so once.
func (b *browsed) typeLiteral(name, place string) {
	b.Helper()
	pictures := os.Getenv("NBHUSH_TEST_SCREENSHOTS")
	if pictures == "" {
		pictures = b.TempDir()
	}
	var got struct {
		Saved, Dialogs, Notes []string
		After                 int
	}
	automatic := place == "automatic"
	b.run(&got, b.key, "save_browser.py", "typed.ipynb", filepath.Join(pictures, name+".png"), place)
	for _, saved := range got.Saved {
		b.needles.mustNotBeIn(b, "the saved notebook", []byte(saved))
		if !strings.Contains(saved, "first = '[nbhush:OPENAI_API_KEY]") {
			b.Errorf("no placeholder in %s", b.needles.mask([]byte(saved)))
		}
	}
	// Where the server saves by itself the page has no answer to read it in.
	if want := "nbhush took OPENAI_API_KEY out of typed.ipynb"; !automatic && (len(got.Notes) != 1 || !strings.Contains(got.Notes[0], want) || got.After > 1) {
		b.Errorf("the page says %q, and %d notes later", got.Notes, got.After)
	}
	if len(got.Saved) != 3 || !strings.Contains(got.Saved[2], "third = 3") || len(got.Dialogs) > 0 {
		b.Errorf("dialogs %q; saved:\n%s", got.Dialogs, b.needles.mask([]byte(strings.Join(got.Saved, "\n"))))
	}
}

// mustBeNowhere searches every file of the home but those that are known to
// hold what is typed: jupyter-collaboration keeps a history of every document.
func (b *browsed) mustBeNowhere(known map[string]bool) {
	b.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && !known[d.Name()] {
			b.needles.mustNotBeIn(b, path, text)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
