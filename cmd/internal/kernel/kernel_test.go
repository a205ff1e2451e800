package kernel

import (
	"os"
	"path/filepath"
	"testing"
)

// What a hook heeds of the user's settings, which hold more.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for text, want := range map[string]settings{
		"store = \"vault\"\n":             {},
		"kernel_other_users = true\n":     {OtherUsers: true},
		"redact_spelled = true\n[alerts]": {Spelled: true},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSettings(path); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if got, err := readSettings(path + "x"); got != (settings{}) || err != nil {
		t.Errorf("without a file: %+v, %v", got, err)
	}
}
