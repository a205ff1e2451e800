package agent

import (
	"testing"
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
