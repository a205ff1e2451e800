package detect

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/nbstrip/detect/corpus"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// benchTexts returns the texts of real notebooks where there are some, else
// those of the corpus, each with some pages that hold nothing.
func benchTexts(b *testing.B) (all [][]byte, size int64) {
	b.Helper()
	if dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
		if err != nil || len(files) == 0 {
			b.Fatalf("no notebooks: %v", err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := notebook.Scan(src); err == nil {
				all = append(all, texts(b, src)...)
			}
		}
	} else {
		n, r := 0, rand.New(rand.NewPCG(1, 2))
		for s := range corpus.Samples(1) {
			if n++; n%20 == 0 {
				all = append(append(all, texts(b, s.Notebook)...), page(r))
			}
		}
	}
	for _, text := range all {
		size += int64(len(text))
	}
	return all, size
}

// page is 16 KB of what cells and their outputs are made of.
func page(r *rand.Rand) []byte {
	forms := []string{
		"df_%d = frame.loc[frame[\"price\"] > %.4f].groupby('key').agg(\"sum\")\n",
		"epoch %d loss=%.6f \"val\" ok (token count 512)\n",
		"      <td>%d</td>\n      <td>%.6f</td>\n",
		"# step %d: the threshold is %.3f, see https://example.com/docs/index.html#part\n",
	}
	var b []byte
	for form := forms[r.IntN(len(forms))]; len(b) < 16<<10; {
		b = fmt.Appendf(b, form, r.IntN(1e6), r.Float64())
	}
	return b
}

// BenchmarkBudget holds how much decoded text a core searches.
func BenchmarkBudget(b *testing.B) {
	b.Run("search_for_looks,_decoded_text_a_core-second", func(b *testing.B) {
		all, size := benchTexts(b)
		d := New(nil)
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		for b.Loop() {
			best := time.Duration(math.MaxInt64)
			for range 5 {
				began := time.Now()
				for _, text := range all {
					if _, err := d.Find(b.Context(), text); err != nil {
						b.Fatal(err)
					}
				}
				best = min(best, time.Since(began))
			}
			b.ReportMetric(float64(size)/1e6/best.Seconds(), "got-MB/s")
			b.ReportMetric(25, "floor")
			b.ReportMetric(float64(size)/1e6, "MB")
		}
	})
}

func BenchmarkFind(b *testing.B) {
	all, size := benchTexts(b)
	d := New(nil)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range all {
			if _, err := d.Find(context.Background(), text); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBatch is the same in texts of 1 MiB, as the agent gets them.
func BenchmarkBatch(b *testing.B) {
	all, size := benchTexts(b)
	var joined []byte
	for _, text := range all {
		joined = append(append(joined, text...), separator)
	}
	d := New(nil)
	b.SetBytes(size)
	for b.Loop() {
		for rest := joined; len(rest) > 0; {
			n := min(1<<20, len(rest))
			if _, err := d.Find(context.Background(), rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}

// BenchmarkImages is a page of 49 MB of pictures, as data URLs in HTML.
func BenchmarkImages(b *testing.B) {
	picture := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(picture)
	one := base64.StdEncoding.EncodeToString(picture)
	var page bytes.Buffer
	for page.Len() < 49e6 {
		fmt.Fprintf(&page, "<p>a figure of nothing</p><img src=\"data:image/png;base64,%s\">\n", one)
	}
	d := New(nil)
	b.SetBytes(int64(page.Len()))
	for b.Loop() {
		if _, err := d.Find(context.Background(), page.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirst is a small text with a Detector that never had one.
func BenchmarkFirst(b *testing.B) {
	text := []byte(strings.Repeat("x = load()\n", 100))
	for b.Loop() {
		if _, err := New(nil).Find(context.Background(), text); err != nil {
			b.Fatal(err)
		}
	}
}
