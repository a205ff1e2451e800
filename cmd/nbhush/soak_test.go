//go:build linux

package main

import (
	"crypto/rand"
	"encoding/json"
	"flag"
	"slices"
	"strconv"
	"testing"
	"time"
)

var soak = flag.Duration("soak", 30*time.Second, "how long TestSoak runs; make soak runs it for ten minutes")

// TestSoak sends fifty requests a second to a kernel behind the hook, with clients
// that come and go: memory and descriptors of hook and agent stay what they are.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes " + soak.String())
	}
	t.Parallel()
	w := newWorld(t)
	w.setSecret("CANARY", rand.Text()+rand.Text())
	w.write("project/nbhush.toml", "[secrets]\nCANARY = {}\n")
	w.nbhush("project", nil, "allow")
	w.twoSpecs()
	out := w.run(w.command("project", w.python, w.script("soak.py"), "hooked",
		strconv.FormatFloat(soak.Seconds(), 'f', 0, 64), strconv.Itoa(w.agentPID())))
	var got struct {
		Counts  map[string]int
		Samples []map[string]json.RawMessage
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	c := got.Counts
	t.Logf("%v", c)
	if c["replies"] < c["sent"] || c["placeholders"] == 0 || c["clients"] == 0 || c["iopub"] < c["sent"] {
		t.Errorf("messages are missing: %v", c)
	}
	for _, process := range []string{"hook", "agent"} {
		var rss, fds, threads []int
		cpu := 0.0
		for _, s := range got.Samples {
			var p struct {
				RSS, FDs, Threads int
				CPU               float64
			}
			if err := json.Unmarshal(s[process], &p); err != nil {
				t.Fatal(err)
			}
			rss, fds, threads, cpu = append(rss, p.RSS>>10), append(fds, p.FDs), append(threads, p.Threads), p.CPU
		}
		t.Logf("%s: memory %d to %d KiB, at the end %d; descriptors %d to %d; threads %d to %d; %.1f s of processor time",
			process, slices.Min(rss), slices.Max(rss), rss[len(rss)-1], slices.Min(fds), slices.Max(fds), slices.Min(threads), slices.Max(threads), cpu)
		if n := len(rss) / 6; n > 0 {
			sixths := []int{}
			for i := range 6 {
				sixths = append(sixths, middle(rss[i*n:(i+1)*n]))
			}
			t.Logf("%s: memory by sixths of the time %v KiB", process, sixths)
		}
		flat(t, process+", memory in KiB", rss, 3<<10)
		flat(t, process+", descriptors", fds, 3)
	}
}

// flat fails if the second half of the samples is above the first, without the
// tenth at the start, by more than slack at the median.
func flat(t *testing.T, what string, samples []int, slack int) {
	t.Helper()
	samples = samples[len(samples)/10:]
	if len(samples) < 4 {
		t.Fatalf("%s: only %d samples", what, len(samples))
	}
	first, second := middle(samples[:len(samples)/2]), middle(samples[len(samples)/2:])
	if second > first+slack {
		t.Errorf("%s: %d in the first half and %d in the second: %v", what, first, second, samples)
	}
}

// middle returns the median.
func middle(of []int) int {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
