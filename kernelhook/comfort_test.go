package kernelhook

import (
	"strings"
	"testing"
)

// byWhat returns what a script told by its "what", once for each.
func byWhat(t *testing.T, told []map[string]any) map[string]map[string]any {
	t.Helper()
	by := map[string]map[string]any{}
	for _, o := range told {
		what, _ := o["what"].(string)
		if by[what] != nil {
			t.Errorf("%q was told twice", what)
		}
		by[what] = o
	}
	return by
}

// A cell has names only while it runs, with its own last value, line numbers
// and status; names are completed where they are asked for and nowhere else.
func TestComfort(t *testing.T) {
	r := newRig(t)
	by := byWhat(t, r.script("comfort.py"))
	for what, want := range map[string][3]string{ // stream, result, error
		"first import":    {"", "[]", ""},
		"profile":         {"", "", "nbhush.Error: there is no profile 'staging': this version of nbhush has the default profile only\nleave profile out"},
		"default profile": {"", "True", ""},
		"no names":        {"", "", "nbhush.Error: %hush lacks the names of secrets\nwrite for example: %hush API_TOKEN"},
		"cell":            {"True\n", "[nbhush:ASKED]", ""},
		"after":           {"", "([], None, False)", ""},
		"after exception": {"", "([], None, False)", ""},
		"before":          {"", "", ""},
		"nested":          {"True\n", "2|True", ""},
		"after nested":    {"", "(1, 'x', False)", ""},
		"inside another":  {"", "", ""},
		"after inside":    {"", `('True\n', 1)`, ""},
		"cell denied":     {"", "", "nbhush.Denied: OTHER is not allowed here\nallow it with: nbhush allow"},
		"after denied":    {"", "(1, 'x')", ""},
		"after syntax":    {"", "1", ""},
	} {
		o := by[what]
		if o == nil {
			t.Errorf("%s: not told", what)
			continue
		}
		if got := [3]string{o["stream"].(string), join(o["result"]), join(o["error"])}; got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
		if wantStatus := map[bool]string{true: "ok", false: "error"}[want[2] == ""]; o["status"] != wantStatus {
			t.Errorf("%s: status %v, want %s", what, o["status"], wantStatus)
		}
	}
	for what, want := range map[string]string{
		"exception":     "line 3",
		"syntax":        "line 2",
		"not the magic": "%%hushed",
	} {
		text := join(by[what]["error"]) + by[what]["stream"].(string)
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q lacks %q", what, text, want)
		}
	}
	for what, want := range map[string]string{
		"get": "nbhush.get('ASKED", "get, double quotes": `x = nbhush.get("ASKED|x = nbhush.get("TOKEN`, "env": `nbhush.env("TOKEN", "ASKED`,
		"hush": "%hush ASKED", "cell hush": "%%hush TOKEN ASKED", "elsewhere": "",
	} {
		if got := join(by[what]["got"]); got != want {
			t.Errorf("completion, %s: got %q, want %q", what, got, want)
		}
	}
}
