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

// BenchmarkStart starts to watch 100,000 files in 2,000 folders, a tenth of them notebooks.
func BenchmarkStart(b *testing.B) {
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
	}{{"told_by_the_system", 0}, {"walking", time.Hour}} {
		b.Run(way.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
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
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		})
	}
}
