//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestBrowserConsent has cells ask for names that nothing allows, in JupyterLab
// in a real browser: the question stands below the cell and has the focus, each
// answer does what it says, two notebooks ask at once, and a page that is loaded
// anew or closed while it is asked leaves nothing waiting. NBHUSH_TEST_SCREENSHOTS names a
// folder for pictures.
func TestBrowserConsent(t *testing.T) {
	b := newBrowsed(t, findChromium(t))
	t.Parallel()
	for _, name := range []string{"API_TOKEN", "DB_PASSWORD", "OTHER_TOKEN", "PROGRAMS_OWN"} {
		b.setSecret(name, b.key)
	}
	b.start(false)
	b.writeEmpty("second.ipynb")
	var got []struct {
		What, Prompt, Shown   string
		OtherWaits, Questions int
	}
	b.run(&got, "", "consent_browser.py", "first.ipynb", os.Getenv("NBHUSH_TEST_SCREENSHOTS"), "second.ipynb")
	asks := func(who, name string) string {
		return fmt.Sprintf("nbhush: %s asks for %s. Allow it?\no = once, k = this kernel, a = always this notebook, Enter = no:", who, name)
	}
	for i, want := range []struct{ what, prompt, shown string }{
		{"no", asks("first.ipynb", "API_TOKEN"), "nbhush.Denied: you said no to API_TOKEN"},
		{"once", asks("first.ipynb", "API_TOKEN"), "got 55"},
		{"kernel", asks("first.ipynb", "API_TOKEN"), "got 55"},
		{"kernel again", "", "got 55"},
		{"always", asks("first.ipynb", "DB_PASSWORD"), "got 55"},
		{"program", asks("process  of first.ipynb", "PROGRAMS_OWN"), "55"},
		{"at once, second", asks("second.ipynb", "API_TOKEN"), "got 55"},
		{"at once, first", asks("first.ipynb", "OTHER_TOKEN"), "nbhush.Denied: you said no to OTHER_TOKEN"},
		{"reloaded", "", ""},
		{"opened again", "", ""},
	} {
		if i >= len(got) {
			t.Fatalf("%s: not told", want.what)
		}
		g := got[i]
		b.needles.mustNotBeIn(t, want.what, []byte(g.Shown))
		prompt := strings.TrimSpace(g.Prompt)
		if want.what == "program" {
			prompt = digits.ReplaceAllString(prompt, "")
		}
		if g.What != want.what || prompt != want.prompt || !strings.Contains("\n"+g.Shown, "\n"+want.shown) || g.Questions != 0 {
			t.Errorf("got %+v, want %+v", g, want)
		}
		if want.what == "at once, second" && g.OtherWaits != 1 {
			t.Error("the other notebook's question does not stand any more")
		}
	}
	// What stays is the answer "always", for the notebook that gave it.
	grants := string(b.nbhush("project", nil, "grants"))
	if !strings.Contains(grants, "DB_PASSWORD\t"+b.dir+"/project/first.ipynb\t") || strings.Contains(grants, "OTHER_TOKEN") {
		t.Errorf("grants:\n%s", grants)
	}
	audit := string(b.nbhush("", nil, "audit", "--json"))
	if n := strings.Count(audit, `"name":"OTHER_TOKEN","verdict":"deny","reason":"there was nobody to ask"`); n != 2 {
		t.Errorf("the audit log says %d times that the page went away, want 2:\n%s", n, audit)
	}
}
