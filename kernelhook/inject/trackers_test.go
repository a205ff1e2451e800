package inject

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/ambient"
)

// python runs testdata/trackers.py, in which nbhush can be imported, with input and
// returns what it prints.
func python(t *testing.T, script string, input any) []byte {
	t.Helper()
	program := os.Getenv("NBHUSH_TEST_PYTHON")
	if program == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON is not set")
	}
	stdin, err := json.Marshal(map[string]any{"install": text("python_install.py"), "sources": packed(), "input": input})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "testdata/"+script)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, cmd.Stderr)
	}
	return out
}

// What is a secret by its name and value is decided in Python as package ambient
// decides it, but for values that only its English dictionary knows.
func TestTrackersSecrets(t *testing.T) {
	t.Parallel()
	long := "Zk3-vT9x_Lm2qR7"
	var pairs [][2]string
	for _, name := range []string{
		"API_KEY", "apiKey", "MY_TOKEN", "PGPASSWORD", "client-secret", "_authToken", "DB_PASS", "PWD", "OLDPWD", "AWS_SECRET_ACCESS_KEY",
		"AWS_ACCESS_KEY_ID", "TOKEN_FILE", "KEY_PATH", "PUBLIC_KEY", "GPG_KEY", "SSH_AUTH_SOCK", "TOKEN_URL", "SECRETS", "MONKEY", "KEYBOARD",
		"PASSWORD_HASH", "KEY_LENGTH", "HOME", "PARTITION_KEY", "HF_TOKEN", "tokenizer", "NOTOKEN", "USER", "PAT", "PATH", "OAUTH_PROVIDER", "NBTOKEN2",
	} {
		pairs = append(pairs, [2]string{name, long})
	}
	for _, value := range []string{
		"", "short1", long, "$OTHER_KEY_NAME", "{{ secret }} value", "op://Team/item/field", "vault://a/b/c#d", "/usr/bin/env", "/no/such/file-" + long,
		"~/some/secret/file", "file:/etc/ssl/key.pem", "aaaaaaaaaaaa", "https://example.com/path", "postgres://me:" + long + "@db/x", "postgres://me:$PASSWORD@db/x", "keyring:a/b/c/d",
	} {
		pairs = append(pairs, [2]string{"API_KEY", value}, [2]string{"PLACE", value})
	}
	var want, got []bool
	for _, p := range pairs {
		want = append(want, ambient.Secret(p[0], p[1]))
	}
	if err := json.Unmarshal(python(t, "trackers_secrets.py", pairs), &got); err != nil {
		t.Fatal(err)
	}
	for i, p := range pairs {
		if got[i] != want[i] {
			t.Errorf("%s=%q: %v in Python, %v in package ambient", p[0], p[1], got[i], want[i])
		}
	}
}

// What cannot be searched is withheld, the user's call works, and what is no secret
// stays the object that it was.
func TestTrackersMask(t *testing.T) {
	t.Parallel()
	var failed []string
	if err := json.Unmarshal(python(t, "trackers_mask.py", nil), &failed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{}, failed); diff != "" {
		t.Error(diff)
	}
}
