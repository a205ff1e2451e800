package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// BenchmarkBudget starts to watch 100,000 files in 2,000 folders, a tenth of them notebooks.
func BenchmarkBudget(b *testing.B) {
	const folders, files = 2000, 50
	dir := b.TempDir()
	for i := range folders {
		sub := filepath.Join(dir, fmt.Sprint(i/50), fmt.Sprint(i))
		if err := os.MkdirAll(sub, 0o700); err != nil {
			b.Fatal(err)
		}
		for j := range files {
			name := fmt.Sprintf("%d.py", j)
			if j%10 == 0 {
				name = fmt.Sprintf("%d.ipynb", j)
			}
			if err := os.WriteFile(filepath.Join(sub, name), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, way := range []struct {
		name string
		poll time.Duration
	}{{"watch_100,000_files,_until_ready", 0}, {"the_same,_walking_with_--poll", time.Hour}} {
		b.Run(way.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began, rounds := time.Now(), 0
			for b.Loop() {
				rounds++
				ctx, cancel := context.WithCancel(b.Context())
				o := Options{Dirs: []string{dir}, Finder: one{value: "x"}, Poll: way.poll}
				o.OnReady = func() {
					runtime.GC()
					runtime.ReadMemStats(&after)
					cancel()
				}
				if err := Watch(ctx, o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(time.Since(began).Seconds()/float64(rounds), "got-s")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-heap")
		})
	}
}
