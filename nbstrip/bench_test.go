package nbstrip

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/nbstrip/detect"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// generate returns a notebook of about size bytes: text and code, printed
// lines, HTML tables and base64 images, as Jupyter writes them.
func generate(size int) []byte {
	random := mathrand.New(mathrand.NewPCG(5, 6))
	var cells []any
	lines := func(n int, form string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(form, random.IntN(1e6), random.Float64())
		}
		return list
	}
	for total, i := 0, 0; total < size; i++ {
		image := make([]byte, min(size/20, 20_000+random.IntN(200_000)))
		for j := range image {
			image[j] = byte(random.Uint32())
		}
		n := 1 + min(size/2000, 400+random.IntN(1500))
		outputs := []any{
			map[string]any{"output_type": "stream", "name": "stdout", "text": lines(n, "epoch %d loss=%.6f \"val\" ok\n")},
			map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{
				"image/png": base64.StdEncoding.EncodeToString(image) + "\n", "text/plain": []string{"<Figure size 640x480 with 1 Axes>"},
			}},
			map[string]any{"output_type": "execute_result", "execution_count": i, "metadata": map[string]any{}, "data": map[string]any{
				"text/html":  append([]string{"<div>\n", "<table border=\"1\" class=\"dataframe\">\n"}, lines(n, "      <td>%d</td>\n      <td>%.6f</td>\n")...),
				"text/plain": lines(n/4, "%d  %.3f\n"),
			}},
		}
		cell := map[string]any{
			"cell_type": "code", "execution_count": i, "id": fmt.Sprint("cell-", i), "metadata": map[string]any{},
			"outputs": outputs, "source": lines(20, "df_%d = frame.loc[frame[\"price\"] > %.4f]\n"),
		}
		cells = append(cells, cell)
		total += len(image)*4/3 + n*130
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	_ = e.Encode(map[string]any{"cells": cells, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5})
	return b.Bytes()
}

// known returns a match.Set of n values of 32 bytes.
func known(n int) *match.Set {
	var all []match.Known
	for i := range n {
		all = append(all, match.Known{Name: secret.Name(fmt.Sprint("SECRET_", i)), Value: secret.New([]byte(rand.Text() + rand.Text()[:6]))})
	}
	return match.New(all)
}

// nothing is a Finder that takes no time.
type nothing struct{}

func (nothing) Find(context.Context, []byte) (match.Result, error) { return match.Result{}, nil }

func BenchmarkStrip(b *testing.B) {
	set := known(200)
	for _, size := range []int{20_000, 140_000, 50_000_000} {
		src := generate(size)
		for _, f := range []struct {
			name string
			match.Finder
		}{{"set", set}, {"none", nothing{}}} {
			b.Run(fmt.Sprintf("%d/%s", size, f.name), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Strip(b.Context(), src, f, Options{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("%d/scan", size), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := notebook.Scan(src); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/sha1", size), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				sha1.Sum(src)
			}
		})
	}
}

// BenchmarkBudget holds the time and the memory that one large notebook takes
// against reading and hashing it, which git does anyway.
func BenchmarkBudget(b *testing.B) {
	path := filepath.Join(b.TempDir(), "big.ipynb")
	src := generate(50_000_000)
	if err := os.WriteFile(path, src, 0o600); err != nil {
		b.Fatal(err)
	}
	set := known(200)
	load := func() []byte {
		src, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		return src
	}
	strip := func() {
		if _, err := Strip(b.Context(), load(), set, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("strip_of_one_50_MB_notebook,_against_reading_and_hashing_it", func(b *testing.B) {
		for range b.N {
			ours, theirs := fastest(9, strip, func() { sha1.Sum(load()) })
			b.ReportMetric(ours/theirs, "got-x")
			b.ReportMetric(2, "budget")
			b.ReportMetric(ours*1e3, "ms")
		}
	})
	b.Run("memory_for_it,_against_its_size", func(b *testing.B) {
		for range b.N {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			strip()
			runtime.ReadMemStats(&after)
			// All that was allocated, whether or not it was freed meanwhile: never less than the peak.
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(len(src)), "got-x")
			b.ReportMetric(3, "budget")
		}
	})
	b.Run("strip_of_one_49_MB_notebook_of_images,_with_looks", budgetImages)
}

// budgetImages strips a notebook of images as large as git lets through in practice.
func budgetImages(b *testing.B) {
	f := match.Join(known(200), detect.New(nil))
	image := make([]byte, 700_000)
	random := mathrand.NewChaCha8([32]byte{7})
	var outputs []any
	for range 52 {
		_, _ = random.Read(image)
		outputs = append(outputs, map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{
			"image/png": base64.StdEncoding.EncodeToString(image), "text/plain": []string{"<Figure size 640x480 with 1 Axes>"},
		}})
	}
	src, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5, "cells": []any{
		map[string]any{"cell_type": "code", "execution_count": 1, "metadata": map[string]any{}, "source": "plot()", "outputs": outputs},
	}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ours, _ := fastest(9, func() {
			if _, err := Strip(b.Context(), src, f, Options{}); err != nil {
				b.Fatal(err)
			}
		}, func() {})
		b.ReportMetric(ours, "got-s")
		b.ReportMetric(0.3, "budget")
		b.ReportMetric(float64(len(src))/1e6, "MB")
	}
}

// fastest returns the shortest of n times, in seconds, that a and b took in turns.
func fastest(n int, a, b func()) (float64, float64) {
	best := []float64{math.Inf(1), math.Inf(1)}
	for range n {
		for i, f := range []func(){a, b} {
			runtime.GC()
			start := time.Now()
			f()
			best[i] = min(best[i], time.Since(start).Seconds())
		}
	}
	return best[0], best[1]
}
