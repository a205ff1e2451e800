//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// budgetSave saves a notebook in turns on one server, checked and not.
func budgetSave(b *testing.B) {
	s := newSaver(b, `c.ServerApp.contents_manager_class = "save_managers.Switch"`)
	for i := range 198 {
		s.setSecret("OTHER_"+strconv.Itoa(i), randomValue())
	}
	s.mkdir("project/bare")
	b.Run("save_of_a_50_MB_notebook,_to_the_save_without_nbhush", func(b *testing.B) {
		checked, bare := s.times(b, 50_000_000, 9)
		var rs []float64
		for i := range checked {
			rs = append(rs, checked[i]/bare[i])
		}
		b.ReportMetric(median(checked), "ms")
		b.ReportMetric(median(bare), "ms-without")
		report(b, median(rs), "x", 1.3)
	})
	b.Run("save_of_a_1_MB_notebook,_p50_more_than_without_nbhush", func(b *testing.B) {
		checked, bare := s.times(b, 1_000_000, 120)
		var more []float64
		for i := range checked {
			more = append(more, checked[i]-bare[i])
		}
		b.ReportMetric(median(checked), "ms")
		b.ReportMetric(median(bare), "ms-without")
		report(b, median(more), "ms", 5)
	})
}

// times returns the milliseconds of n saves of each kind, in turns.
func (s *saver) times(b *testing.B, size, n int) (checked, bare []float64) {
	b.Helper()
	nb := plainNotebook(size)
	nb["metadata"] = map[string]any{"note": s.plain} // it tells who was checked
	for i := range n + 2 {
		pair := [2]float64{}
		for k := range 2 {
			k = (k + i) % 2 // neither is always the first
			began := time.Now()
			s.put([]string{"big.ipynb", "bare/big.ipynb"}[k], "notebook", "json", nb)
			pair[k] = float64(time.Since(began).Microseconds()) / 1000
		}
		if i >= 2 { // warm-up
			checked, bare = append(checked, pair[0]), append(bare, pair[1])
		}
	}
	s.mustBeClean("big.ipynb")
	if !bytes.Contains(s.read("project/bare/big.ipynb"), []byte(s.plain)) {
		b.Fatal("what should be saved without nbhush was checked")
	}
	if log := s.read("server.log"); strings.Contains(string(log), "unchecked") {
		b.Fatalf("%s", log)
	}
	return checked, bare
}

// plainNotebook is a notebook of about size bytes as JupyterLab sends it: lines
// are joined. It has code, printed lines, HTML tables and images.
func plainNotebook(size int) map[string]any {
	random := mathrand.New(mathrand.NewPCG(5, 6))
	lines := func(n int, form string) string {
		var text strings.Builder
		for range n {
			fmt.Fprintf(&text, form, random.IntN(1e6), random.Float64())
		}
		return text.String()
	}
	var cells []any
	for total, i := 0, 0; total < size; i++ {
		image := make([]byte, min(size/20, 20_000+random.IntN(200_000)))
		for j := range image {
			image[j] = byte(random.Uint32())
		}
		n := 1 + min(size/2000, 400+random.IntN(1500))
		empty := map[string]any{}
		cells = append(cells, map[string]any{
			"cell_type": "code", "execution_count": i, "id": fmt.Sprint("cell-", i), "metadata": empty,
			"source": lines(20, "df_%d = frame.loc[frame[\"price\"] > %.4f]\n"),
			"outputs": []any{
				map[string]any{"output_type": "stream", "name": "stdout", "text": lines(n, "epoch %d loss=%.6f \"val\" ok\n")},
				map[string]any{"output_type": "display_data", "metadata": empty, "data": map[string]any{
					"image/png": base64.StdEncoding.EncodeToString(image) + "\n", "text/plain": "<Figure size 640x480 with 1 Axes>",
				}},
				map[string]any{"output_type": "execute_result", "execution_count": i, "metadata": empty, "data": map[string]any{
					"text/html":  lines(n, "      <td>%d</td>\n      <td>%.6f</td>\n"),
					"text/plain": lines(n/4, "%d  %.3f\n"),
				}},
			},
		})
		total += len(image)*4/3 + n*90
	}
	return map[string]any{"cells": cells, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5}
}
