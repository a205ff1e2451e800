//go:build !linux

package watch

import "context"

// Desktop returns a function that would show a line on the user's desktop; this system's is not spoken to.
func Desktop(context.Context) func(line string) { return func(string) {} }
