//go:build unix

package home

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nbhush/nbhush/agent/socket"
)

// Who makes the folder in the temporary directory first is not in the way, and
// does not take the agent's clients with him when he goes.
func TestSomebodyWasFirst(t *testing.T) {
	base, err := os.MkdirTemp("", "h") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	t.Setenv("TMPDIR", filepath.Join(base, "tmp"))
	if err := os.Mkdir(filepath.Join(base, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": filepath.Join(base, "u")}
	theirs := find(t, env).Run
	if filepath.Dir(theirs) != filepath.Join(base, "tmp") {
		t.Fatalf("run is %s", theirs)
	}
	if err := socket.MkdirPrivate(theirs); err != nil {
		t.Fatal(err)
	}
	if got := find(t, env).Run; got != theirs {
		t.Errorf("run is %s where %s is ours", got, theirs)
	}
	if err := os.Remove(theirs); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		err = os.Mkdir(theirs, 0o755)
		if err == nil {
			err = os.Chown(theirs, 65534, 65534)
		}
	} else { // what only root can do is done by a link, which is not ours either
		err = os.Symlink(base, theirs)
	}
	if err != nil {
		t.Fatal(err)
	}
	ours := find(t, env).Run
	if want := filepath.Join(base, "u", ".local", "state", "nbhush", "run"); ours != want {
		t.Fatalf("run is %s, want %s", ours, want)
	}
	if err := socket.MkdirPrivate(ours); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(theirs); err != nil {
		t.Fatal(err)
	}
	if got := find(t, env).Run; got != ours {
		t.Errorf("when they went run was %s, want %s", got, ours)
	}
}
