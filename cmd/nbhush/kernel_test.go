//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHookProgram: a kernel runs behind nbhush-hook where that lies beside nbhush and
// can be run, else behind nbhush, and ends with the same code.
func TestHookProgram(t *testing.T) {
	w := newWorld(t)
	t.Parallel()
	w.write("connection.json", `{"transport":"tcp","ip":"127.0.0.1","key":"k","signature_scheme":"hmac-sha256",`+
		`"shell_port":0,"iopub_port":0,"stdin_port":0,"control_port":0,"hb_port":0}`)
	hook := w.program + "-hook"
	for _, c := range []struct {
		name string
		make func() error
		want string
	}{
		{"installed", func() error { return nil }, hook},
		{"no program", func() error { return errors.Join(os.Remove(hook), os.WriteFile(hook, nil, 0o600)) }, w.program},
		{"not one that runs", func() error {
			return errors.Join(os.WriteFile(hook, []byte("no program"), 0o700), os.Chmod(hook, 0o700))
		}, w.program},
		{"none", func() error { return os.Remove(hook) }, w.program},
	} {
		if err := c.make(); err != nil {
			t.Fatal(err)
		}
		cmd := w.command("project", w.program, "kernel", "-f", filepath.Join(w.dir, "connection.json"), "--profile", "work", "--",
			"sh", "-c", `readlink /proc/$PPID/exe; echo "$NBHUSH_PROFILE"; exit 7`, filepath.Join(w.dir, "connection.json"))
		out, err := cmd.Output()
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != 7 {
			t.Fatalf("%s: %v\n%s", c.name, err, out)
		}
		// One that ends at once is tried a second time, with TCP.
		if got := string(out); !strings.HasPrefix(got, c.want+"\nwork\n") {
			t.Errorf("%s: the kernel ran behind %q", c.name, got)
		}
	}
}
