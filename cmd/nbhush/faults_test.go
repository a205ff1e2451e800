//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The agent is killed with -9 while a cell asks for a secret in a loop: every
// request has the value or an error that says what mends it, the agent that starts
// next serves the cell, and nothing shows the value.
func TestAgentKilledDuringGet(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a kernel")
	}
	t.Parallel()
	w := newWorld(t)
	value := rand.Text() + rand.Text()
	w.setSecret("CANARY", value)
	w.write("project/nbhush.toml", "[secrets]\nCANARY = {}\n")
	w.nbhush("project", nil, "allow")
	w.twoSpecs()
	out := w.run(w.command("project", w.python, w.script("agent_killed.py"), "hooked", w.program, "CANARY"))
	newNeedles(value).mustNotBeIn(t, "the output", out)
	var told struct {
		OK, Away, Wrong, Kills int
		Slowest                float64
		Error, Shown, Failed   string
		Last                   bool
	}
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", told)
	if told.OK < 10 || told.Wrong > 0 || !told.Last || told.Kills < 3 || told.Failed != "" {
		t.Errorf("%+v", told)
	}
	if told.Shown != "[nbhush:CANARY]\n" && !strings.HasPrefix(told.Shown, "[nbhush: output withheld") {
		t.Errorf("shown: %q", told.Shown)
	}
	if told.Away > 0 && !strings.Contains(told.Error, "nbhush") {
		t.Errorf("the error says nothing that mends it: %q", told.Error)
	}
}

// The runtime directory is full: a kernel that runs goes on and is served; one
// that starts says that there is no room, and in which directory.
func TestRuntimeDirectoryFull(t *testing.T) {
	if testing.Short() {
		t.Skip("starts kernels")
	}
	if os.Getuid() != 0 {
		t.Skip("only root mounts a small file system")
	}
	t.Parallel()
	w := newWorld(t)
	run := filepath.Join(w.dir, "run")
	if err := syscall.Mount("tmpfs", run, "tmpfs", 0, "size=128k,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		w.stop() // its socket goes with the mount
		if err := syscall.Unmount(run, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w.setSecret("CANARY", rand.Text())
	w.write("project/nbhush.toml", "[secrets]\nCANARY = {}\n")
	w.nbhush("project", nil, "allow")
	w.twoSpecs()
	cmd := w.command("project", w.python, w.script("full.py"), "hooked", run)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	want := `{"running": "[nbhush:CANARY] [nbhush:CANARY]\n", "fresh": "[nbhush:CANARY]\n", "again": "[nbhush:CANARY]\n"}`
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("got %s, want %s\n%s", got, want, log.String())
	}
	fmt.Fprint(t.Output(), log.String())
}
