//go:build unix

package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/secret"
)

const (
	crowdClients  = 200
	crowdRequests = 2_000 // make crowd asks for 100,000
	crowdSecrets  = 20
)

// TestCrowd asks with 200 clients at once while a value changes all the time. Each
// answer is the right one, a value that was confirmed is never followed by an
// older one, and the audit log has every request, in a chain without a gap.
func TestCrowd(t *testing.T) {
	requests := crowdRequests
	if n, err := strconv.Atoi(os.Getenv("NBHUSH_TEST_REQUESTS")); err == nil {
		requests = n
	}
	h := tempHome(t)
	defer func() { stopAgent(t); waitGone(t, h.AgentLock()) }()
	c := &client.Client{}
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := crowd(t, h, requests)
	slices.Sort(took)
	t.Logf("%d requests of %d clients: p50 %v, p99 %v, longest %v", len(took), crowdClients, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	gets := 0
	if err := audit.Read(h.Audit(), func(e audit.Entry) error {
		if e.Op == audit.OpGet && e.Verdict == audit.Allowed {
			gets++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if gets != requests {
		t.Errorf("the audit log has %d requests, want %d", gets, requests)
	}
	if n, err := audit.Verify(h.Audit()); err != nil {
		t.Errorf("the audit log, after %d lines: %v", n, err)
	}
}

// crowd makes the requests and returns how long each took.
func crowd(t testing.TB, h home.Home, requests int) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	writer := &client.Client{Socket: h.Socket(), NoStart: true}
	defer writer.Close()
	values := map[secret.Name]string{}
	set := func(name secret.Name, value string) {
		if _, err := writer.Set(ctx, name, secret.New([]byte(value))); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
	for i := range crowdSecrets {
		name := secret.Name(fmt.Sprintf("NAME_%d", i))
		values[name] = "nk-" + rand.Text() + rand.Text()
		set(name, values[name])
	}
	moving := "nk-" + rand.Text() + "-"
	set("MOVING", moving+"0")
	var confirmed, left atomic.Int64
	left.Store(int64(requests))
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	writing.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			set("MOVING", moving+strconv.Itoa(n))
			confirmed.Store(int64(n))
		}
	})
	all := make([][]time.Duration, crowdClients)
	for i := range crowdClients {
		reading.Go(func() {
			c := &client.Client{Socket: h.Socket(), NoStart: true}
			defer c.Close()
			for k := i; left.Add(-1) >= 0; k++ {
				name := secret.Name(fmt.Sprintf("NAME_%d", k*7%crowdSecrets))
				if k%5 == 0 {
					name = "MOVING"
				}
				least, begin := confirmed.Load(), time.Now()
				got, err := c.Get(ctx, []secret.Name{name}, "")
				all[i] = append(all[i], time.Since(begin))
				if err == nil {
					err = right(string(got[name].Reveal()), values[name], moving, least)
				}
				wipeAll(got)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	reading.Wait()
	close(stop)
	writing.Wait()
	return slices.Concat(all...)
}

// right says what is wrong with a value: want, or where that is empty, moving and
// a number that is least at least.
func right(got, want, moving string, least int64) error {
	if want != "" {
		if got != want {
			return errors.New("another value")
		}
		return nil
	}
	text, ok := strings.CutPrefix(got, moving)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || n < least {
		return fmt.Errorf("version %d, and %d was confirmed before", n, least)
	}
	return nil
}
