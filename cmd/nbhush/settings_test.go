package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a hook heeds of the user's settings, which hold more.
func TestKernelSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	for text, want := range map[string]kernelSettings{
		"store = \"vault\"\n":             {},
		"kernel_other_users = true\n":     {OtherUsers: true},
		"redact_spelled = true\n[alerts]": {Spelled: true},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readKernelSettings(path); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if got, err := readKernelSettings(path + "x"); got != (kernelSettings{}) || err != nil {
		t.Errorf("without a file: %+v, %v", got, err)
	}
}
