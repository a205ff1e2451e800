package kernelhook

import (
	"crypto/rand"
	"encoding/json"
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
		"profile":         {"", "", "nbhush.Error: there is no secret called staging/ASKED\nstore it with: nbhush set staging/ASKED"},
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

// Cells that were written for a hosted service run as they are, and nothing
// that asks whether it runs there is told so.
func TestShims(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{
		"AMLSCOPE_ADLS_KEY", "MY_W_B_KEY", "MY_VAULT_DB_PASSWORD", "MY_SERVICE_ME_EXAMPLE_ORG", "STORAGE_TOKEN", "BIGQUERY_ACCESS_TOKEN",
	} {
		r.add(name, testValue{Value: "v0-" + rand.Text(), Allowed: true})
	}
	by := byWhat(t, r.script("shims.py"))
	for what, want := range map[string][3]string{ // stream, result, error
		"not loaded":            {"[]\n", "", ""},
		"probe for colab":       {"False\n", "", ""},
		"colab":                 {"", "[nbhush:TOKEN]", ""},
		"colab value":           {"True\n", "", ""},
		"colab leaves no trace": {"False False\n", "", ""},
		"probe for colab again": {"False\n", "", ""},
		"colab in one cell":     {"[nbhush:TOKEN]\n", "", ""},
		"colab errors": {
			"Secret not found\n\nThis expects you to create a secret named NOT_THERE in Colab Secret NOT_THERE does not exist.\nstore it with: nbhush set NOT_THERE\n" +
				"You need to grant this notebook access to the secret Notebook does not have access to secret OTHER\nallow it with: nbhush allow\n", "", "",
		},
		"colab error shown":       {"", "", "SecretNotFoundError: Secret NOT_THERE does not exist.\nstore it with: nbhush set NOT_THERE"},
		"colab in a function":     {"True\n", "", ""},
		"colab drive":             {"True\n", "", ""},
		"kaggle":                  {"True\n", "", ""},
		"kaggle label":            {"[nbhush:MY_W_B_KEY]\n", "", ""},
		"kaggle missing":          {"", "", `BackendError: UserSecretsClient().get_secret('nothing'): there is no secret called nothing` + "\nstore it with: nbhush set nothing"},
		"kaggle empty":            {"", "", "ValidationError: Label must be non-empty."},
		"kaggle bigquery":         {"None\n", "", ""},
		"probe for databricks":    {"False\n", "", ""},
		"databricks":              {"[nbhush:AMLSCOPE_ADLS_KEY] {'fs.azure.account.oauth2.client.secret': [nbhush:AMLSCOPE_ADLS_KEY]}\n", "", ""},
		"databricks bytes":        {"<class 'bytes'>\n", "", ""},
		"databricks list":         {"[SecretMetadata(key='ADLS_KEY')] [SecretScope(name='AMLSCOPE'), SecretScope(name='BIGQUERY'), SecretScope(name='MY'), SecretScope(name='STORAGE')]\n", "", ""},
		"databricks all":          {"AMLSCOPE ADLS_KEY True\nBIGQUERY ACCESS_TOKEN True\nMY SERVICE_ME_EXAMPLE_ORG True\nMY VAULT_DB_PASSWORD True\nMY W_B_KEY True\nSTORAGE TOKEN True\n", "", ""},
		"databricks missing":      {"", "", "Error: dbutils.secrets.get('amlscope', 'nothing'): there is no secret called AMLSCOPE_NOTHING\nstore it with: nbhush set AMLSCOPE_NOTHING"},
		"databricks else":         {"", "", "AttributeError: dbutils.fs is not here: nbhush has only secrets of it"},
		"fabric":                  {"[nbhush:MY_VAULT_DB_PASSWORD]\n", "", ""},
		"fabric module":           {"[nbhush:MY_VAULT_DB_PASSWORD]\n", "", ""},
		"fabric token":            {"[nbhush:STORAGE_TOKEN]\n", "", ""},
		"synapse":                 {"[nbhush:MY_VAULT_DB_PASSWORD]\n", "", ""},
		"synapse global":          {"[nbhush:MY_VAULT_DB_PASSWORD]\n", "", ""},
		"keyring":                 {"[nbhush:MY_SERVICE_ME_EXAMPLE_ORG]\n", "", ""},
		"keyring is the real one": {"True me@example.org\n", "", ""},
		"keyring else":            {"mine another\n", "", ""},
		"names":                   {"['notebookutils']\n", "", ""},
		"keyring shim":            {"[nbhush:MY_SERVICE_ME_EXAMPLE_ORG] None\n", "", ""},
		"keyring shim set":        {"a cell cannot store a secret\nstore it in a terminal with: nbhush set MY_SERVICE_ME\n", "", ""},
	} {
		o := by[what]
		if o == nil {
			t.Errorf("%s: not told", what)
			continue
		}
		if got := [3]string{o["stream"].(string), join(o["result"]), join(o["error"])}; got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
}

// A prompt that names a secret is answered, also where no client could; what a
// user types into a password prompt is known from then on.
func TestPrompts(t *testing.T) {
	r := newRig(t)
	r.add("MY_API_KEY", testValue{Value: "m0-" + rand.Text(), Allowed: true})
	r.add("WISHED_TOKEN", testValue{Value: "w0-" + rand.Text(), Ask: true})
	const help = "\nnbhush answers a prompt that names a secret which this kernel may have: run nbhush set %s, list it in nbhush.toml, then run nbhush allow"
	by := byWhat(t, r.script("prompts.py"))
	for what, want := range map[string][3]string{ // stream, error, prompts
		"getpass":                {"[nbhush:ASKED]\n", "", "[]"},
		"getpass, no stdin":      {"[nbhush:TOKEN]\n", "", "[]"},
		"from getpass":           {"[nbhush:MY_API_KEY]\n", "", "[]"},
		"from getpass, again":    {"True\n", "", "[]"},
		"input":                  {"True\n", "", "[]"},
		"not named":              {"[nbhush:password-prompt]\n", "", `[["OTHER_KEY: ",true]]`},
		"typed is known":         {"[nbhush:password-prompt]\n", "", "[]"},
		"typed is known, base64": {"[nbhush:password-prompt]\n", "", "[]"},
		"default prompt":         {"[nbhush:password-prompt]\n", "", `[["",true]]`},
		"denied":                 {"2\n", "", `[["OTHER: ",true]]`},
		"input is not known":     {"17 Long Street, Springfield\n", "", `[["your street: ",false]]`},
		"no stdin, not named": {
			"", "StdinNotImplementedError: getpass was called, but this frontend does not support input requests." + strings.Replace(help, "%s", "OTHER_KEY", 1), "[]",
		},
		"consent": {
			"[nbhush:WISHED_TOKEN]\n", "",
			`[["nbhush: this kernel (python) asks for WISHED_TOKEN. Allow it?\no = once, k = this kernel, Enter = no: ",false]]`,
		},
		"consent, in words": {
			"[nbhush:WISHED_TOKEN]\n", "",
			`[["nbhush: this kernel (python) asks for WISHED_TOKEN. Allow it?\no = once, k = this kernel, Enter = no: ",false]]`,
		},
		"consent, no": {
			"[nbhush:password-prompt]\n", "",
			`[["nbhush: this kernel (python) asks for WISHED_TOKEN. Allow it?\no = once, k = this kernel, Enter = no: ",false],["WISHED_TOKEN: ",true]]`,
		},
		"consent, no stdin": {
			"", "StdinNotImplementedError: getpass was called, but this frontend does not support input requests.\n" +
				"nbhush answers a prompt that names a secret which this kernel may have.\nWISHED_TOKEN: the answer for WISHED_TOKEN was nobody\n" +
				"allow it with: nbhush allow\nif it is not stored yet, run: nbhush set WISHED_TOKEN", "[]",
		},
		"which wishes": {"all\n", "", "[]"},
		"no stdin, input": {
			"", "StdinNotImplementedError: raw_input was called, but this frontend does not support input requests.", "[]",
		},
		"which prompts": {"all\n", "", "[]"},
		"nbclient":      {"[nbhush:ASKED]\n", "", ""},
		"papermill":     {"[nbhush:ASKED]\n", "", ""},
		"load_dotenv":   {"[nbhush:TOKEN] of-the-file\n", "", "[]"},
		"%dotenv":       {"[nbhush:TOKEN] of-the-file\n", "", "[]"},
		"%dotenv -o":    {"of-the-file\n", "", "[]"},
	} {
		o := by[what]
		if o == nil {
			t.Errorf("%s: not told", what)
			continue
		}
		got := [3]string{o["stream"].(string)}
		if errors, ok := o["error"]; ok {
			prompts, err := json.Marshal(o["prompts"])
			if err != nil {
				t.Fatal(err)
			}
			got[1], got[2] = join(errors), string(prompts)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
}
