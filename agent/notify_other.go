//go:build !linux

package agent

import (
	"context"
	"errors"
	"fmt"
)

// notify knows no desktop here; [alerts] command can show a notification.
func notify(context.Context, string, string) error {
	return fmt.Errorf("show a notification: %w", errors.ErrUnsupported)
}
