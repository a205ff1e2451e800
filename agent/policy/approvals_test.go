package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

func projectPath(n int) string {
	if runtime.GOOS == "windows" {
		return fmt.Sprintf(`C:\p%d\nbhush.toml`, n)
	}
	return fmt.Sprintf("/p%d/nbhush.toml", n)
}

func TestApprovals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "allowed.json")
	a, path, first, second := NewApprovals(file), projectPath(1), Hash([]byte("1")), Hash([]byte("2"))
	if got, err := a.Lookup(path); got != nil || err != nil {
		t.Fatalf("before: %v, %v", got, err)
	}
	if _, err := a.Deny(path); !errors.Is(err, ErrNotApproved) {
		t.Fatalf("deny before: %v", err)
	}
	if _, err := a.Allow(projectPath(2), first, nil); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{first, second} {
		made, err := a.Allow(path, hash, &Config{Secrets: map[secret.Name]Secret{"A": {}}})
		if err != nil || made.Since.IsZero() {
			t.Fatalf("allow: %+v, %v", made, err)
		}
		got, err := NewApprovals(file).Lookup(path)
		if err != nil || got == nil || got.Hash != hash || !got.Since.Equal(made.Since) || !slices.Equal(got.Names, []secret.Name{"A"}) {
			t.Fatalf("lookup: %+v, %v", got, err)
		}
	}
	if all, err := a.List(); err != nil || len(all) != 2 || all[0].Path != path {
		t.Fatalf("list: %v, %v", all, err)
	}
	if was, err := a.Deny(path); err != nil || was.Hash != second {
		t.Fatalf("deny: %+v, %v", was, err)
	}
	if got, err := a.Lookup(path); got != nil || err != nil {
		t.Fatalf("after: %v, %v", got, err)
	}
	for _, bad := range [][2]string{{"p/nbhush.toml", first}, {path, ""}, {path, "short"}} {
		if _, err := a.Allow(bad[0], bad[1], nil); err == nil {
			t.Errorf("%q with hash %q was approved", bad[0], bad[1])
		}
	}
}

func TestApprovalsManyWriters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "allowed.json")
	var all sync.WaitGroup
	for w := range 4 { // each with a list of its own, as a process has
		all.Go(func() {
			a := NewApprovals(file)
			for i := range 10 {
				if _, err := a.Allow(projectPath(w*10+i), Hash(nil), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got, err := NewApprovals(file).List(); err != nil || len(got) != 40 {
		t.Errorf("%d approvals, %v, want 40", len(got), err)
	}
}

// What cannot be read approves nothing and is not overwritten.
func TestApprovalsDamaged(t *testing.T) {
	for _, content := range []string{"", "{", "[]", `{"version":2}`} {
		file := filepath.Join(t.TempDir(), "allowed.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		a := NewApprovals(file)
		got, err := a.Lookup(projectPath(1))
		var h interface{ Hint() string }
		if got != nil || !errors.As(err, &h) || h.Hint() == "" {
			t.Errorf("%q: lookup %v, %v", content, got, err)
		}
		if _, err := a.Allow(projectPath(1), Hash(nil), nil); err == nil {
			t.Errorf("%q was overwritten", content)
		}
		if now, _ := os.ReadFile(file); string(now) != content {
			t.Errorf("%q became %q", content, now)
		}
	}
}
