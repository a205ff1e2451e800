package kernelhook

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Memory goes back after a rest, and never while output is carried: what the start
// needed, what a burst did, and what one burst after another did.
func TestMemoryGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		did := make(chan string, 10)
		note := func(what string) func() {
			return func() { did <- what + " " + time.Since(began).Round(100*time.Millisecond).String() }
		}
		m := &memory{collect: note("collect"), free: note("free")}
		m.start()
		until := func(at time.Duration, bytes int) {
			for time.Since(began) < at {
				if bytes > 0 {
					m.carried(bytes)
				}
				time.Sleep(10 * time.Millisecond)
			}
			synctest.Wait()
		}
		want := func(all ...string) {
			t.Helper()
			var got []string
			for len(did) > 0 {
				got = append(got, <-did)
			}
			if !slices.Equal(got, all) {
				t.Fatalf("did %v; want %v", got, all)
			}
		}
		until(2900*time.Millisecond, 0)
		until(5*time.Second, 100) // little, but the kernel waits for nobody
		want()
		until(10*time.Second, 0)
		want("free 5.3s")
		until(11*time.Second, 100)
		until(20*time.Second, 0)
		want() // too little to be worth it
		until(22*time.Second, 1<<20)
		want()
		until(25*time.Second, 0)
		want("collect 22.3s")
		until(30*time.Second, 1<<20) // through the end of the rest
		want()
		until(40*time.Second, 0)
		want("collect 30.3s", "free 34.3s")
		until(60*time.Second, 0)
		want()
	})
}
