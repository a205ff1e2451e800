package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// desktop is a notification server that keeps what it is shown.
type desktop struct{ shown chan [2]string }

func (d desktop) Notify(_ string, _ uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.shown <- [2]string{title, body}
	return 1, nil
}

// playNotify shows a notification to a server of its own; it runs in a D-Bus
// session of its own.
func playNotify() error {
	c, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	defer c.Close()
	d := desktop{make(chan [2]string, 1)}
	if err := c.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		return err
	}
	reply, err := c.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("own the name: %v, %w", reply, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	al := alerts{set: alertSettings{Desktop: true}}
	if err := al.tell(ctx, alert{Alert: alertDenied, Text: "<b>a.ipynb</b> was denied A"}); err != nil {
		return err
	}
	shown := <-d.shown
	fmt.Println(strings.Join(shown[:], "|"))
	return nil
}

func TestDesktopNotification(t *testing.T) {
	if _, err := exec.LookPath("dbus-run-session"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "dbus-run-session", "--", os.Args[0], "play", "notify")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR=")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	if want := "nbhush: denied|&lt;b&gt;a.ipynb&lt;/b&gt; was denied A\n"; err != nil || string(out) != want {
		t.Errorf("%v, %q, want %q", err, out, want)
	}
}

// A command that does not end is ended, and one that fails is an error.
func TestAlertCommand(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	al := alerts{set: alertSettings{Command: []string{"sh", "-c", `cat >"$0"`, told}}}
	if err := al.tell(t.Context(), alert{Alert: alertDenied, Text: "a 'word' and $HOME"}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(told); err != nil || !strings.Contains(string(b), `"text":"a 'word' and $HOME"`) {
		t.Errorf("%s, %v", b, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	al.set.Command = []string{"sleep", "600"}
	if err := al.tell(ctx, alert{}); err == nil {
		t.Error("a command that was ended is no error")
	}
}
