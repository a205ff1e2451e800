package gitfilter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigQuote: git and sh read back the values that configQuote and shellQuote wrote.
func TestConfigQuote(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	for _, program := range []string{
		"/usr/bin/nbhush", "/home/a b/nbhush", `/it's/"here"/nbhush`, `/back\slash/nb#hush;`, "/tab\there/n",
		"/ümlaut/nbhush", " /blank/at end ", "/dollar/$HOME/`id`", "/100%f/nbhush",
	} {
		if err := os.WriteFile(file, []byte(configBlock(Options{Program: program})), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, s := range settings {
			out, err := exec.Command("git", "config", "--file", file, "--get", "filter.nbhush."+s.key).Output()
			got := strings.TrimSuffix(string(out), "\n")
			if want := setting(s.value, program); err != nil || got != want {
				t.Errorf("%s of %q: got %q, want %q, %v", s.key, program, got, want, err)
			}
		}
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(program)).Output()
		if err != nil || string(out) != program {
			t.Errorf("sh reads %q as %q, %v", program, out, err)
		}
	}
}
