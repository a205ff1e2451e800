package watch

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// noteWait is how long a desktop may take for one note.
const noteWait = 10 * time.Second

// Desktop returns a function that shows a line on the user's desktop by way of
// org.freedesktop.Notifications (Desktop Notifications Specification 1.2, section 9), each in
// the place of the one before. It never waits: where there is no desktop, or it is slow,
// nothing is shown. It may be called by many goroutines until ctx ends.
func Desktop(ctx context.Context) func(line string) {
	lines := make(chan string, 16)
	go show(ctx, lines)
	return func(line string) {
		select {
		case lines <- line:
		default:
		}
	}
}

func show(ctx context.Context, lines <-chan string) {
	var conn *dbus.Conn
	var last uint32
	for {
		select {
		case <-ctx.Done():
			if conn != nil {
				_ = conn.Close()
			}
			return
		case line := <-lines:
			if conn == nil {
				var err error
				if conn, err = session(ctx); err != nil {
					return // no desktop, and there will be none
				}
			}
			last = notify(ctx, conn, line, last)
		}
	}
}

// session connects to the user's bus, and starts none.
func session(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		_ = conn.Close()
	}
	return conn, err
}

// notify shows line, which is plain text, in the place of the note last, and returns the number of the new one.
func notify(ctx context.Context, conn *dbus.Conn, line string, last uint32) (id uint32) {
	ctx, cancel := context.WithTimeout(ctx, noteWait)
	defer cancel()
	call := conn.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").CallWithContext(ctx,
		"org.freedesktop.Notifications.Notify", 0,
		"nbhush", last, "", line, "", []string{}, map[string]dbus.Variant{}, int32(-1))
	if call.Store(&id) != nil {
		return last
	}
	return id
}
