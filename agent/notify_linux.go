package agent

import (
	"context"
	"fmt"
	"html"

	"github.com/godbus/dbus/v5"
)

// notify shows a notification on the user's desktop: Desktop Notifications
// Specification 1.3, Notify. The body may have markup, so it is escaped.
func notify(ctx context.Context, title, body string) error {
	c, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("show a notification: %w", err)
	}
	defer func() { _ = c.Close() }()
	o := c.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications")
	call := o.CallWithContext(ctx, "org.freedesktop.Notifications.Notify", 0,
		"nbhush", uint32(0), "dialog-password", title, html.EscapeString(body), []string{}, map[string]dbus.Variant{}, int32(-1))
	if call.Err != nil {
		return fmt.Errorf("show a notification: %w", call.Err)
	}
	return nil
}
