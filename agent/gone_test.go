//go:build unix

package agent

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/client"
)

// An agent that nobody can reach any more ends, and lets another one begin. What
// else happens in its folder does not matter.
func TestAgentEndsWithItsSocket(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, path string) error{
		"socket removed": func(_ *testing.T, path string) error { return os.Remove(path) },
		"folder removed": func(_ *testing.T, path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"folder renamed": func(_ *testing.T, path string) error {
			return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old")
		},
		"another in its place": func(t *testing.T, path string) error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			l, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := tempHome(t)
			agent := exec.Command(os.Args[0], "agent", "serve")
			agent.Stderr = os.Stderr
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- agent.Wait() }()
			t.Cleanup(func() { _ = agent.Process.Kill() })
			c := &client.Client{NoStart: true}
			for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				_, err := c.Status(t.Context())
				if err == nil {
					break
				}
				if time.Now().After(until) {
					t.Fatal(err)
				}
			}

			other := filepath.Join(h.Run, "other")
			for range 3 {
				if err := os.WriteFile(other, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(other); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Status(t.Context()); err != nil {
				t.Fatalf("after another file went: %v", err)
			}
			if err := lose(t, h.Socket()); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("the agent ended with %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("the agent goes on, and nobody can reach it")
			}
			if _, err := os.Lstat(h.Socket()); (err == nil) != (name == "another in its place") {
				t.Errorf("in the socket's place afterwards: %v", err)
			}
		})
	}
}
