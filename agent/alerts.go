package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/secret"
)

// Kinds of alerts.
const (
	alertDenied = "denied"
	alertBurst  = "burst"
	alertNew    = "new name"
	alertFound  = "found"
	alertLog    = "audit log"
)

// alertSettings is [alerts] of the user's settings. Without a command, and with
// desktop false, there are no alerts, and nothing is watched.
type alertSettings struct {
	Command []string `toml:"command"` // run without a shell; the alert is its standard input
	Desktop bool     `toml:"desktop"` // org.freedesktop.Notifications
	Burst   int      `toml:"burst"`   // names in a minute, by one kernel; 0: 20
}

const (
	burstTime   = time.Minute
	burstNames  = 20
	commandTime = 10 * time.Second
	alertQueue  = 64 // alerts that wait for a slow command; more are counted and dropped
	maxPairs    = 10_000
)

// alert is what a command reads: the entry of the audit log, and why it is
// shown. There is no value in it.
type alert struct {
	Alert string      `json:"alert"`
	Text  string      `json:"text"`
	Entry audit.Entry `json:"entry,omitzero"`
}

// alerts watches the entries of the audit log. It never holds up who asks.
type alerts struct {
	set  alertSettings
	send func(context.Context, alert) error
	warn func(msg string, args ...any)

	mu      sync.Mutex
	known   map[pair]struct{}                    // names that a notebook asked for; nil: not read yet
	recent  map[string]map[secret.Name]time.Time // by kernel or program
	said    map[string]time.Time                 // bursts that were told
	queue   chan alert
	dropped int
}

type pair struct {
	notebook string
	name     secret.Name
}

// readAlerts reads [alerts] of the settings at path.
func readAlerts(path string) (set alertSettings, err error) {
	var all struct {
		Alerts alertSettings `toml:"alerts"`
	}
	if err := home.ReadSettings(path, &all); err != nil {
		return set, err
	}
	if all.Alerts.Burst <= 0 {
		all.Alerts.Burst = burstNames
	}
	return all.Alerts, nil
}

// newAlerts returns nil where nobody wants any.
func newAlerts(set alertSettings, log string, warn func(string, ...any)) *alerts {
	if len(set.Command) == 0 && !set.Desktop {
		return nil
	}
	al := &alerts{
		set: set, warn: warn, recent: map[string]map[secret.Name]time.Time{}, said: map[string]time.Time{},
		known: map[pair]struct{}{}, queue: make(chan alert, alertQueue),
	}
	al.send = al.tell
	err := audit.Read(log, func(e audit.Entry) error {
		if e.Op == audit.OpGet && e.Who.Notebook != "" && len(al.known) < maxPairs {
			al.known[pair{e.Who.Notebook, e.Name}] = struct{}{}
		}
		return nil
	})
	if err != nil {
		warn("read what was asked for before", "err", err)
	}
	return al
}

// run tells what is in the queue until ctx ends.
func (al *alerts) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-al.queue:
			one, cancel := context.WithTimeout(ctx, commandTime)
			if err := al.send(one, next); err != nil && ctx.Err() == nil {
				al.warn("send an alert", "err", err)
			}
			cancel()
		}
	}
}

// see looks at an entry that was just written.
func (al *alerts) see(e audit.Entry) {
	if al == nil {
		return
	}
	al.mu.Lock()
	defer al.mu.Unlock()
	al.put(al.judge(e.Clean(), time.Now())...)
}

// damaged says that the audit log is.
func (al *alerts) damaged(err error) {
	if al == nil {
		return
	}
	al.mu.Lock()
	defer al.mu.Unlock()
	al.put(alert{Alert: alertLog, Text: err.Error()})
}

// put queues what is to be told. al.mu is held.
func (al *alerts) put(all ...alert) {
	for _, next := range all {
		select {
		case al.queue <- next:
		default:
			if al.dropped++; al.dropped%alertQueue == 1 {
				al.warn("alerts were dropped: the command is too slow", "count", al.dropped)
			}
		}
	}
}

// judge returns what there is to say of e. al.mu is held.
func (al *alerts) judge(e audit.Entry, now time.Time) (all []alert) {
	add := func(kind, format string, args ...any) {
		all = append(all, alert{kind, fmt.Sprintf(format, args...), e})
	}
	who := e.Who.Notebook
	if who == "" {
		who = e.Who.Exe
	}
	switch {
	case e.Verdict == audit.Denied:
		add(alertDenied, "%s was denied %s", who, orNothing(e.Name))
	case e.Op == audit.OpFound:
		add(alertFound, "a secret was about to be committed: %s", e.Reason)
	case e.Op != audit.OpGet || e.Verdict != audit.Allowed:
	default:
		if p := (pair{e.Who.Notebook, e.Name}); p.notebook != "" {
			if _, ok := al.known[p]; !ok && len(al.known) < maxPairs {
				al.known[p] = struct{}{}
				add(alertNew, "%s asked for %s for the first time", who, e.Name)
			}
		}
		if n := al.count(e, now); n > al.set.Burst {
			add(alertBurst, "%s asked for %d names within a minute", who, n)
		}
	}
	return all
}

func orNothing(name secret.Name) string {
	if name == "" {
		return "what it asked for"
	}
	return string(name)
}

// count returns how many names the asker of e had within a minute, or 0 where
// that was told within the last one.
func (al *alerts) count(e audit.Entry, now time.Time) int {
	who := e.Who.Kernel
	if who == "" {
		who = e.Who.Exe
	}
	names := al.recent[who]
	if names == nil {
		if len(al.recent) > 1000 {
			clear(al.recent)
			clear(al.said)
		}
		names = map[secret.Name]time.Time{}
		al.recent[who] = names
	}
	names[e.Name] = now
	for name, at := range names {
		if now.Sub(at) > burstTime {
			delete(names, name)
		}
	}
	if len(names) <= al.set.Burst || now.Sub(al.said[who]) < burstTime {
		return 0
	}
	al.said[who] = now
	return len(names)
}

// tell runs the command and shows the notification.
func (al *alerts) tell(ctx context.Context, next alert) (err error) {
	if al.set.Desktop {
		err = notify(ctx, "nbhush: "+next.Alert, next.Text)
	}
	if len(al.set.Command) == 0 {
		return err
	}
	line, jerr := json.Marshal(next)
	if jerr != nil {
		return errors.Join(err, jerr)
	}
	cmd := exec.CommandContext(ctx, al.set.Command[0], al.set.Command[1:]...)
	cmd.Stdin = bytes.NewReader(append(line, '\n'))
	cmd.WaitDelay = time.Second
	if cerr := cmd.Run(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("run %s: %w", al.set.Command[0], cerr))
	}
	return err
}
