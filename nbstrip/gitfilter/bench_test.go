package gitfilter

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// copyProcess is the filter process that only copies: what ours is measured against.
func copyProcess(r io.Reader, w io.Writer) error {
	c, err := start(r, w)
	if err != nil {
		return err
	}
	for c.Scan() {
		if err := errors.Join(c.req.Err, c.respond(c.req.Content)); err != nil {
			return err
		}
	}
	return c.Err()
}

const (
	benchNotebooks = 1000
	benchRounds    = 5
	benchSecrets   = 200
)

// BenchmarkBudget measures git add of 1,000 notebooks through the real program
// and its agent, in turn with a filter process that only copies and with no
// filter, each into a new repository. NBHUSH_TEST_NOTEBOOKS names a folder of
// real ones; otherwise they are made up.
func BenchmarkBudget(b *testing.B) {
	b.Run("git_add_of_1,000_notebooks_with_looks_and_200_secrets,_to_a_filter_that_copies", benchmarkAdd)
}

func benchmarkAdd(b *testing.B) {
	base := b.TempDir()
	state, err := os.MkdirTemp("", "nb") // short: the agent's socket lies below it
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(state) })
	for name, value := range map[string]string{
		"HOME": base, "XDG_CONFIG_HOME": filepath.Join(base, ".config"), "XDG_RUNTIME_DIR": state, "NBHUSH_HOME": state,
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull, "NBHUSH_TEST_FILTER": filepath.Join(base, "none"),
	} {
		b.Setenv(name, value)
	}
	program := filepath.Join(base, "nbhush")
	command := func(dir, stdin, name string, args ...string) {
		b.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	command("../..", "", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/nbhush")
	if err := errors.Join(os.MkdirAll(filepath.Join(state, "config"), 0o700),
		os.WriteFile(filepath.Join(state, "config", "config.toml"), []byte("store = \"vault\"\n"), 0o600)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { command("", "", program, "agent", "stop") })
	var values []string
	for i := range benchSecrets {
		values = append(values, rand.Text()+rand.Text())
		command("", values[i], program, "set", fmt.Sprintf("SECRET_%d", i))
	}
	size := fill(b, filepath.Join(base, "notebooks"), values)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	filters := []string{"", shellQuote(self) + " git copy", shellQuote(program) + " git process"}
	times := make([][]float64, len(filters))
	for b.Loop() {
		for round := range benchRounds + 1 {
			for i, filter := range filters {
				took := addAll(b, base, filter, command)
				if round > 0 { // the first one warms the page cache
					times[i] = append(times[i], took.Seconds())
				}
			}
		}
	}
	var ratios []float64
	for i := range times[2] {
		ratios = append(ratios, times[2][i]/times[1][i])
	}
	b.ReportMetric(median(ratios), "got-x")
	b.ReportMetric(1.5, "budget")
	b.ReportMetric(median(times[0])*1000, "ms-no-filter")
	b.ReportMetric(median(times[1])*1000, "ms-copies")
	b.ReportMetric(median(times[2])*1000, "ms")
	b.ReportMetric(float64(size)/1e6, "MB")
}

// addAll returns how long git add of the notebooks takes in a new repository.
func addAll(b *testing.B, base, filter string, command func(dir, stdin, name string, args ...string)) time.Duration {
	b.Helper()
	gitDir := filepath.Join(base, "repo")
	if err := os.RemoveAll(gitDir); err != nil {
		b.Fatal(err)
	}
	tree := filepath.Join(base, "notebooks")
	args := []string{"--git-dir=" + gitDir, "--work-tree=" + tree}
	command(tree, "", "git", append(args, "init", "-q")...)
	if filter != "" {
		command(tree, "", "git", append(args, "config", "filter.nbhush.process", filter)...)
		command(tree, "", "git", append(args, "config", "filter.nbhush.required", "true")...)
		if err := errors.Join(os.MkdirAll(filepath.Join(gitDir, "info"), 0o700),
			os.WriteFile(filepath.Join(gitDir, "info", "attributes"), []byte(attributes), 0o600)); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	command(tree, "", "git", append(args, "add", ".")...)
	return time.Since(began)
}

// fill makes the notebooks; one in ten holds a value. It returns their size.
func fill(b *testing.B, dir string, values []string) (size int) {
	b.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	real, _ := filepath.Glob(filepath.Join(os.Getenv("NBHUSH_TEST_NOTEBOOKS"), "*.ipynb"))
	random := mathrand.NewChaCha8([32]byte{1})
	r := mathrand.New(random)
	for i := range benchNotebooks {
		var nb []byte
		if os.Getenv("NBHUSH_TEST_NOTEBOOKS") != "" && len(real) > 0 {
			content, err := os.ReadFile(real[i%len(real)])
			if err != nil {
				b.Fatal(err)
			}
			// Blanks at the end make it another blob.
			nb = append(content, strings.Repeat(" ", i/len(real))...)
		} else {
			secret := ""
			if i%10 == 0 {
				secret = values[i%len(values)]
			}
			nb = madeUp(b, r, random, secret)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.ipynb", i)), nb, 0o600); err != nil {
			b.Fatal(err)
		}
		size += len(nb)
	}
	return size
}

// madeUp is a notebook of about the mean size of real ones, 140 kB, most of it in images.
func madeUp(b *testing.B, r *mathrand.Rand, random io.Reader, secret string) []byte {
	b.Helper()
	var cells []any
	for range 30 {
		var lines []string
		for range 1 + r.IntN(40) {
			lines = append(lines, fmt.Sprintf("df_%d = frame.groupby('%x').agg(%q) # %f\n", r.IntN(100), r.Uint32(), "mean", r.Float64()))
		}
		outputs := []any{map[string]any{"output_type": "stream", "name": "stdout", "text": append(slices.Clone(lines), secret+"\n")}}
		if r.IntN(6) == 0 {
			png := make([]byte, 1000+r.IntN(24000))
			_, _ = io.ReadFull(random, png)
			outputs = append(outputs, map[string]any{
				"output_type": "display_data", "metadata": map[string]any{},
				"data": map[string]any{"image/png": base64.StdEncoding.EncodeToString(png), "text/plain": []string{"<Figure size 640x480>"}},
			})
		}
		cells = append(cells, map[string]any{
			"cell_type": "code", "execution_count": 1, "metadata": map[string]any{}, "source": lines, "outputs": outputs,
		})
	}
	nb, err := json.MarshalIndent(map[string]any{"cells": cells, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5}, "", " ")
	if err != nil {
		b.Fatal(err)
	}
	return append(nb, '\n')
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
