package kernelhook

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The user is asked by the hook, in the cell that asks; the answer goes to the
// agent, and to nobody else.
func TestConsent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"A_NAME", "B_NAME", "C_NAME", "D_NAME"} {
		r.add(name, testValue{Value: "c0-" + rand.Text(), Ask: true})
	}
	told := r.script("consent.py")
	by := byWhat(t, told)
	prompt := func(names ...string) string {
		for i, n := range names {
			names[i] = "for " + n + "."
		}
		return strings.Join(names, " ")
	}
	const no = "denied the answer for "
	for what, want := range map[string][3]string{ // stream, error, prompts
		"default":                      {no + "A_NAME was no\n" + no + "A_NAME was no\n", "", prompt("A_NAME")},
		"what it says":                 {"", "Denied: the answer for A_NAME was no\nallow it with: nbhush allow", prompt("A_NAME")},
		"once":                         {"A_NAME 29\n", "", prompt("A_NAME")},
		"once more":                    {no + "A_NAME was no\n", "", prompt("A_NAME")},
		"kernel":                       {"A_NAME 29\n", "", prompt("A_NAME")},
		"kernel again":                 {"A_NAME 29\n", "", ""},
		"always":                       {"B_NAME 29\nB_NAME 29\n", "", prompt("B_NAME")},
		"several":                      {"[29, 29, 29, 29]\n", "", prompt("C_NAME", "D_NAME")},
		"magic":                        {"[nbhush:C_NAME]\n", "", prompt("C_NAME")},
		"program":                      {"29\n", "", prompt("C_NAME")},
		"headless":                     {no + "C_NAME was nobody\n", "", ""},
		"thread":                       {"C_NAME 29\n", "", prompt("C_NAME")},
		"input waits":                  {"C_NAME 29\nAnn\n", "", prompt("C_NAME") + " name?"},
		"question waits":               {"Ann\nC_NAME 29\n", "", "name? " + prompt("C_NAME")},
		"two clients C_NAME":           {"C_NAME 29\n", "", prompt("C_NAME")},
		"two clients D_NAME":           {no + "D_NAME was no\n", "", prompt("D_NAME")},
		"after it went":                {"True\n", "", ""},
		"interrupt":                    {"", "KeyboardInterrupt: ", prompt("C_NAME")},
		"after interrupt":              {"Ann\n", "", "name?"},
		"late answer":                  {no + "C_NAME was nobody\n", "", ""},
		"named late answer":            {"Ann\n", "", "name?"},
		"named late answer to another": {no + "C_NAME was no\n", "", prompt("C_NAME")},
		"after restart":                {"29\n", "", ""},
		"late":                         {"denied\nAnn\n", "", prompt("C_NAME") + " name?"},
		"after late":                   {"the answer for C_NAME was nobody\n", "", ""},
	} {
		o := by[what]
		if o == nil {
			t.Errorf("%s: not told", what)
			continue
		}
		if got := [3]string{o["stream"].(string), join(o["error"]), prompts(t, o)}; got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	for _, what := range []string{"meanwhile", "meanwhile, the other way", "meanwhile, late"} {
		if o := by[what]; o == nil || o["heard"] != nil {
			t.Errorf("%s: %v", what, o)
		}
	}
	const form = "nbhush: analysis.ipynb asks for A_NAME. Allow it?\no = once, k = this kernel, a = always this notebook, Enter = no: "
	if got := by["default"]["prompts"].([]any)[0].(string); got != form {
		t.Errorf("the question is %q", got)
	}
	if got := by["program"]["prompts"].([]any)[0].(string); !strings.HasPrefix(noDigits(got), "nbhush: process  of analysis.ipynb asks for C_NAME.") {
		t.Errorf("the question of a program is %q", got)
	}
	// What the agent heard of the client that the kernel's own code had made.
	src, err := os.ReadFile(filepath.Join(r.agent, "answers"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "D_NAME notebook " + by["own client"]["pid"].(string) + "\n"; strings.Count(string(src), want) != 1 {
		t.Errorf("the answers lack %q:\n%s", want, src)
	}
	r.gone()
}

func noDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// prompts returns "for NAME." for a question of the hook and the text of another.
func prompts(t *testing.T, o map[string]any) string {
	t.Helper()
	var all []string
	b, err := json.Marshal(o["prompts"])
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range all {
		if _, rest, ok := strings.Cut(p, " asks "); ok {
			p, _, _ = strings.Cut(rest, " Allow")
		}
		all[i] = strings.TrimSpace(p)
	}
	return strings.Join(all, " ")
}
