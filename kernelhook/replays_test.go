package kernelhook

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// The first message that is sent again is told at once, of more only how many there were.
func TestReplaysAreToldSparsely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		r := &replays{tell: func(_ zsock.Conn, why string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, why)
		}}
		want := func(more ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, more) {
				t.Errorf("got %q, want %q", told, more)
			}
			told = nil
		}
		many := func(n int) {
			for range n {
				r.seen(nil)
			}
		}
		many(1)
		want(sentAgain)
		many(1000)
		want()
		time.Sleep(replayPause)
		want(sentAgain + ", 1000 times more")
		many(5)
		want()
		time.Sleep(2 * replayPause)
		want(sentAgain + ", 5 times more")
		time.Sleep(replayPause)
		many(2)
		want(sentAgain)
		r.close() // tells what it counted
		want(sentAgain + ", once more")
		many(1)
		time.Sleep(2 * replayPause)
		want()
		(&replays{tell: r.tell}).close()
		want()
	})
}
