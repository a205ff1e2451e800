package watch

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// desktop is a notification service; the test reads what it is told to show.
type desktop struct{ notes chan note }

type note struct {
	app, summary, body string
	replaces           uint32
}

func (d *desktop) Notify(app string, replaces uint32, _, summary, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.notes <- note{app, summary, body, replaces}
	return 7, nil
}

// bus starts a session bus of the test's own.
func bus(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no dbus-daemon")
	}
	cmd := exec.CommandContext(t.Context(), "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", "--address=unix:dir="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context ends it
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
}

func TestDesktop(t *testing.T) {
	bus(t)
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	d := &desktop{make(chan note, 1)}
	if err := conn.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	show := Desktop(t.Context())
	for i, line := range []string{"took API_KEY out of a.ipynb", "took <b> & more out of b.ipynb"} {
		show(line)
		want := note{app: "nbhush", summary: line}
		if i > 0 {
			want.replaces = 7 // the first one's number
		}
		if got := <-d.notes; got != want {
			t.Errorf("shown %+v, want %+v", got, want)
		}
	}
}

// TestNoDesktop: nothing waits for a desktop that is not there.
func TestNoDesktop(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+t.TempDir()+"/none")
	show := Desktop(t.Context())
	n := 0
	for range 100 {
		show("a line")
		n++
	}
	if n != 100 {
		t.Error("it waited")
	}
}
