package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/secret"
)

func get(notebook string, name secret.Name) audit.Entry {
	return audit.Entry{Op: audit.OpGet, Verdict: audit.Allowed, Name: name, Who: audit.Who{Exe: "/bin/x", Kernel: "k1", Notebook: notebook}}
}

// watching returns alerts that nobody reads yet, with A known to a.ipynb.
func watching(t *testing.T) *alerts {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(get("a.ipynb", "A")); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	al := newAlerts(alertSettings{Command: []string{"none"}, Burst: 3}, path, func(msg string, args ...any) { t.Log(msg, args) })
	if al == nil {
		t.Fatal("nobody watches")
	}
	return al
}

func TestAlerts(t *testing.T) {
	denied := get("a.ipynb", "A")
	denied.Verdict = audit.Denied
	for _, c := range []struct {
		name    string
		entries []audit.Entry
		want    []string
	}{
		{"a name that was asked for before", []audit.Entry{get("a.ipynb", "A")}, nil},
		{"a first time, and once more", []audit.Entry{get("a.ipynb", "B"), get("a.ipynb", "B")}, []string{alertNew}},
		{"another notebook", []audit.Entry{get("b.ipynb", "A")}, []string{alertNew}},
		{"no notebook", []audit.Entry{get("", "A")}, nil},
		{"denied", []audit.Entry{denied}, []string{alertDenied}},
		{"found", []audit.Entry{{Op: audit.OpFound, Verdict: audit.Allowed, Reason: "in a.ipynb"}}, []string{alertFound}},
		{"a burst is told once", []audit.Entry{get("", "A"), get("", "B"), get("", "C"), get("", "D"), get("", "E")}, []string{alertBurst}},
		{"one name many times is no burst", []audit.Entry{get("", "A"), get("", "A"), get("", "A"), get("", "A"), get("", "A")}, nil},
		{"set", []audit.Entry{{Op: audit.OpSet, Verdict: audit.Allowed, Name: "A"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			al := watching(t)
			for _, e := range c.entries {
				al.see(e)
			}
			close(al.queue)
			var got []string
			for a := range al.queue {
				got = append(got, a.Alert)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestSlowBurstIsNone(t *testing.T) {
	al := watching(t)
	now := time.Now()
	for i := range 30 {
		e := get("", secret.Name(fmt.Sprintf("N%d", i)))
		if all := al.judge(e, now.Add(time.Duration(i)*burstTime/2)); len(all) != 0 {
			t.Fatalf("name %d: %v", i, all)
		}
	}
}

// Who asks never waits for who is told.
func TestAlertsDoNotWait(t *testing.T) {
	al := watching(t)
	for i := range 10 * alertQueue {
		al.see(get("c.ipynb", secret.Name(fmt.Sprintf("N%d", i))))
	}
	if len(al.queue) != alertQueue || al.dropped == 0 {
		t.Errorf("%d wait, %d dropped", len(al.queue), al.dropped)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	al.send = func(context.Context, alert) error {
		if told++; told == 3 {
			cancel()
		}
		return nil
	}
	al.run(ctx)
	if told < 3 {
		t.Errorf("told %d", told)
	}
}

func TestAlertSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if set, err := readAlerts(path); err != nil || newAlerts(set, path, nil) != nil {
		t.Errorf("no file: %v, %v", set, err)
	}
	if err := os.WriteFile(path, []byte("store = \"vault\"\n[alerts]\ncommand = [\"say\", \"it\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if set, err := readAlerts(path); err != nil || len(set.Command) != 2 || set.Burst != burstNames {
		t.Errorf("%v, %v", set, err)
	}
	if err := os.WriteFile(path, []byte("[alerts]\ncommand = \"say it\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAlerts(path); err == nil {
		t.Error("a command that is no list was taken")
	}
}
