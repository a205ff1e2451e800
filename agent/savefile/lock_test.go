package savefile

import (
	"path/filepath"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.json")
	unlock, err := Lock(t.Context(), path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), path, lockPoll); err == nil {
		t.Error("two have the lock at once")
	}
	unlock()
	again, err := Lock(t.Context(), path, time.Minute)
	if err != nil {
		t.Fatalf("after the first one let it go: %v", err)
	}
	again()
	if _, err := Lock(t.Context(), filepath.Join(path, "no", "folder"), time.Minute); err == nil {
		t.Error("a lock in no folder")
	}
}
