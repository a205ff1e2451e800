package match

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/secret"
)

// benchText is 8 MiB of real notebooks where there are some, else of text made
// of the kinds of lines that they have.
func benchText(b *testing.B) []byte {
	b.Helper()
	const size = 8 << 20
	var text []byte
	if os.Getenv("NBHUSH_TEST_NOTEBOOKS") != "" {
		for _, t := range notebooks(b) {
			if text = append(text, t...); len(text) >= size {
				return text[:size]
			}
		}
	}
	r := mathrand.New(mathrand.NewPCG(9, 9))
	for len(text) < size {
		text = fmt.Appendf(text, "   \"epoch %d: loss = %.6f, %s %s\\n\",\n", r.IntN(100), r.Float64(), randomPassphrase(r), random(r, 8, hexes))
		if r.IntN(200) == 0 {
			text = append(text, random(r, 20000, alnum+"+/")...)
		}
	}
	return text[:size]
}

// apiKeys returns n keys of 40 to 60 random characters.
func apiKeys(n int) []Known {
	r := mathrand.New(mathrand.NewPCG(4, 4))
	var known []Known
	for i := range n {
		known = append(known, Known{secret.Name(fmt.Sprintf("KEY_%d", i)), secret.New([]byte(random(r, 40+r.IntN(20), alnum+"-_+/")))})
	}
	return known
}

func benchFind(b *testing.B, s *Set, text []byte) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Find(context.Background(), text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	text := benchText(b)
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) { benchFind(b, New(apiKeys(n)), text) })
		b.Run(fmt.Sprintf("mixed=%d", n), func(b *testing.B) { benchFind(b, New(realistic(5, n)), text) })
	}
	b.Run("peer=contains100", func(b *testing.B) {
		keys := apiKeys(100)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			for _, k := range keys {
				if bytes.Contains(text, k.Value.Reveal()) {
					b.Fatal("found")
				}
			}
		}
	})
	b.Run("peer=sha256", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			sha256.Sum256(text)
		}
	})
}

// BenchmarkBudget reports the rows of the budget table that .ci/bench prints.
func BenchmarkBudget(b *testing.B) {
	text := benchText(b)
	for _, set := range []struct {
		name  string
		known []Known
		floor float64 // 0: none, the row says what large values cost
	}{{"1,000_API_keys_in_all_encodings", apiKeys(1000), 1000}, {"1,000_values_of_all_kinds,_75_of_them_PEM_or_JSON", realistic(5, 1000), 0}} {
		s := New(set.known)
		b.Run("matching,_"+set.name, func(b *testing.B) {
			for range b.N {
				ours := throughput(text, func() { mustFind(b, s, text) })
				b.ReportMetric(ours, "got-MB/s")
				if set.floor > 0 {
					b.ReportMetric(set.floor, "floor")
				}
				b.ReportMetric(throughput(text, func() { sha256.Sum256(text) }), "MB/s-SHA-256")
			}
		})
	}
	s := New(realistic(5, 200))
	b.Run("matching_100_bytes,_200_values", func(b *testing.B) {
		for range b.N {
			line := text[:100]
			mb := throughput(line, func() {
				for range 1000 {
					mustFind(b, s, line)
				}
			}) * 1000
			b.ReportMetric(100/mb, "got-µs")
			b.ReportMetric(1, "budget")
		}
	})
}

func mustFind(b *testing.B, s *Set, text []byte) {
	if _, err := s.Find(context.Background(), text); err != nil {
		b.Fatal(err)
	}
}

// throughput returns in MB/s the fastest of fifteen runs of f over text.
func throughput(text []byte, f func()) float64 {
	best := time.Hour
	for range 15 {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	return float64(len(text)) / 1e6 / best.Seconds()
}

func BenchmarkFindSmall(b *testing.B) {
	s := New(realistic(5, 1000))
	line := []byte("Epoch 17/100, loss: 0.0231, accuracy: 0.9914, validation loss: 0.0312, validation accuracy: 0.9876\n")
	b.Run("100B", func(b *testing.B) { benchFind(b, s, line) })
	b.Run("100B/no newline", func(b *testing.B) { benchFind(b, s, line[:99]) })
	b.Run("10KB", func(b *testing.B) { benchFind(b, s, bytes.Repeat(line, 100)) })
}

// BenchmarkFindHits searches text that is made of secrets and of what looks like them.
func BenchmarkFindHits(b *testing.B) {
	known := realistic(5, 200)
	s := New(known)
	var all []byte
	for _, k := range known {
		all = append(append(all, k.Value.Reveal()...), '\n')
	}
	b.Run("every value", func(b *testing.B) { benchFind(b, s, all) })
	b.Run("one piece", func(b *testing.B) { benchFind(b, s, bytes.Repeat(known[0].Value.Reveal()[:14], 1<<16)) })
	b.Run("boilerplate", func(b *testing.B) {
		benchFind(b, s, []byte(strings.Repeat("https://www.googleapis.com/oauth2/v1/certs postgresql://localhost:5432/ -----BEGIN PRIVATE KEY-----\n", 10000)))
	})
	periodic := []byte(strings.Repeat(random(mathrand.New(mathrand.NewPCG(1, 1)), 16, alnum), 256))
	s = New([]Known{{"PERIODIC", secret.New(append(bytes.Clone(periodic), "end of it"...))}})
	b.Run("periodic", func(b *testing.B) { benchFind(b, s, bytes.Repeat(periodic, 256)) })
	var alike []Known
	for i := range 1000 {
		alike = append(alike, Known{secret.Name(fmt.Sprintf("K_%d", i)), secret.New([]byte("mycorp_prod_" + random(mathrand.New(mathrand.NewPCG(uint64(i), 1)), 30, alnum)))})
	}
	s = New(alike)
	b.Run("common prefix", func(b *testing.B) { benchFind(b, s, bytes.Repeat([]byte("mycorp_prod_"), 1<<16)) })
}

func BenchmarkNew(b *testing.B) {
	for _, set := range []struct {
		name  string
		known []Known
	}{{"keys=1000", apiKeys(1000)}, {"mixed=200", realistic(5, 200)}, {"mixed=1000", realistic(5, 1000)}} {
		b.Run(set.name, func(b *testing.B) {
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			s := New(set.known)
			runtime.GC()
			runtime.ReadMemStats(&after)
			held := float64(after.HeapAlloc) - float64(before.HeapAlloc)
			for b.Loop() {
				New(set.known)
			}
			b.ReportMetric(held/(1<<20), "MB-held")
			b.ReportMetric(float64(len(s.arena))/(1<<20), "MB-forms")
			b.ReportMetric(float64(len(s.long.places)), "windows")
			runtime.KeepAlive(s)
		})
	}
}

func BenchmarkRedactor(b *testing.B) {
	text := benchText(b)
	s := New(realistic(5, 200))
	for _, n := range []int{100, 4096, len(text)} {
		b.Run(fmt.Sprintf("write=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				w := NewRedactor(s, discard{})
				for at := 0; at < len(text); at += n {
					if _, err := w.Write(text[at:min(at+n, len(text))]); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
