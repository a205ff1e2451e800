package attach

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/nbhush/nbhush/kernelhook"
)

const (
	followPause    = time.Second // after the agent could not be asked, or the kernel not be told
	maxFollowPause = time.Minute
)

// follow has the kernel follow what changes at the agent until ctx ends. The code
// waits in the kernel's queue, so it is executed between two cells.
func (s Serving) follow(ctx context.Context, f *kernelhook.Follower) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return // it has new values at its next nbhush get
	}
	defer func() { _ = w.Close() }()
	if w.Add(s.Epoch) != nil {
		return
	}
	var again <-chan time.Time
	pause := followPause
	for {
		select {
		case <-w.Events:
			pause = followPause
		case <-w.Errors: //nolint:errcheck // some went past
		case <-again:
		case <-ctx.Done():
			return
		}
		again = nil
		if !s.changes(ctx, f) {
			again = time.After(pause)
			pause = min(2*pause, maxFollowPause)
		}
	}
}

// changes has the kernel execute what it has to, and reports whether it did. An
// agent that was stopped is not started for it; one that is about to start says so
// before it answers. A cell that fails takes away what is queued behind it.
func (s Serving) changes(ctx context.Context, f *kernelhook.Follower) bool {
	if !s.Up(ctx) {
		return false
	}
	code, err := f.Changes(ctx, s.Language)
	for _, one := range code {
		if err == nil {
			err = s.Client.Execute(ctx, one)
		}
	}
	return err == nil
}
