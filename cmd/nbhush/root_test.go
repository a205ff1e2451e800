package main

import (
	"os"
	"slices"
	"testing"
)

// TestOneCommand: the command that is asked for is built alone, and is the same one
// that help and completion list.
func TestOneCommand(t *testing.T) {
	a := &app{ui: &ui{stdio: stdio{os.Stdin, os.Stdout, os.Stderr}, getenv: os.Getenv}}
	var built []string
	for _, c := range newRootCmd(a, nil).Commands() {
		built = append(built, c.Name())
		alone := newRootCmd(a, []string{c.Name(), "--json"}).Commands()
		if len(alone) != 1 || alone[0].Name() != c.Name() || alone[0].GroupID != c.GroupID || alone[0].Short != c.Short {
			t.Errorf("nbhush %s builds %d commands", c.Name(), len(alone))
		}
	}
	for _, args := range [][]string{{"ls"}, {"help", "set"}, {"completion", "bash"}, {"__complete", "se"}, {"--help"}, {"sett"}} {
		var all []string
		for _, c := range newRootCmd(a, args).Commands() {
			all = append(all, c.Name())
		}
		if !slices.Equal(all, built) {
			t.Errorf("nbhush %v builds %v", args, all)
		}
	}
}
