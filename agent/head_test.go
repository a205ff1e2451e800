package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nbhush/nbhush/agent/audit"
)

// The end of the audit log is remembered soon, without more entries, so that what a
// killed agent wrote cannot be cut off unseen; and before a lock, which takes the key away.
func TestEndOfLogIsRememberedSoon(t *testing.T) {
	w := newWorld(t)
	w.set(t, "LISTED") // there is something to keep
	remembered := func() bool {
		t.Helper()
		was, err := w.heads.load()
		if err != nil {
			t.Fatal(err)
		}
		now, err := w.journal.Head()
		if err != nil {
			t.Fatal(err)
		}
		return was.Seq == now.Seq && was.Seq > 0
	}
	for range 2 {
		if err := w.note(audit.Entry{Who: w.self(), Op: audit.OpGet, Name: "LISTED", Verdict: audit.Allowed}); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); !remembered(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the end is not remembered")
			}
		}
	}
	if _, err := w.session().Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	was, err := w.heads.load()
	if err != nil {
		t.Fatal(err)
	}
	if now, err := w.journal.Head(); err != nil || now.Seq != was.Seq+1 { // the lock itself
		t.Errorf("remembered is entry %d of %d, %v", was.Seq, now.Seq, err)
	}
}

// In a burst the end is remembered after so many entries, and not at each one.
func TestEndOfBurstIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set(t, "LISTED")
		time.Sleep(2 * headAfter)
		synctest.Wait()
		remembered := func() uint64 {
			was, err := w.heads.load()
			if err != nil {
				t.Fatal(err)
			}
			return was.Seq
		}
		note := func(n int) {
			for range n {
				if err := w.note(audit.Entry{Who: w.self(), Op: audit.OpGet, Name: "LISTED", Verdict: audit.Allowed}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		before := remembered()
		note(headEach - 1)
		time.Sleep(2 * headRest)
		synctest.Wait()
		if got := remembered(); got != before {
			t.Errorf("remembered is entry %d, want still %d", got, before)
		}
		note(1)
		time.Sleep(2 * headRest)
		synctest.Wait()
		if got := remembered(); got != before+headEach {
			t.Errorf("remembered is entry %d, want %d", got, before+headEach)
		}
	})
}
