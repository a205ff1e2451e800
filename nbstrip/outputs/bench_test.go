//go:build unix

package outputs

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	benchNotebooks = 1000
	slowNotebooks  = 50 // for what takes a second for a few of them
	benchRounds    = 5
)

// BenchmarkBudget measures the whole program against no filter and the other
// strippers, in turn, each into new repositories. NBHUSH_TEST_NOTEBOOKS names a
// folder of real notebooks; otherwise they are made up.
func BenchmarkBudget(b *testing.B) {
	w := newBench(b)
	var add, status []figures
	b.Run("git_add_of_1,000_notebooks_in_outputs_mode,_to_no_filter", func(b *testing.B) {
		add, status = w.measure(b)
		for _, f := range add[2:] {
			b.ReportMetric(f.ratio, "x-"+f.name)
		}
		b.ReportMetric(add[0].seconds*1000, "ms-no-filter")
		b.ReportMetric(add[1].seconds*1000, "ms")
		report(b, add[1].ratio, "x", 0.6)
	})
	b.Run("the_same,_to_the_quickest_other_stripper", func(b *testing.B) {
		if len(add) < 3 {
			b.Skip("no other stripper")
		}
		best := slices.MinFunc(add[2:], func(a, b figures) int { return cmp.Compare(a.ratio, b.ratio) })
		report(b, add[1].ratio/best.ratio, "x-"+best.name, 1)
	})
	b.Run("git_status_after_touching_all_of_them,_to_no_filter", func(b *testing.B) {
		if len(status) == 0 {
			b.Skip("no repositories")
		}
		for _, f := range status[2:] {
			b.ReportMetric(f.ratio, "x-"+f.name)
		}
		report(b, status[1].ratio, "x", 1.2)
	})
	b.Run("50_MB_notebook_in_outputs_mode,_CPU_seconds", func(b *testing.B) { w.large(b) })
	b.Run("one_20_kB_notebook_in_one_process,_CPU_to_cat", func(b *testing.B) { w.small(b) })
}

func report(b *testing.B, got float64, unit string, budget float64) {
	b.ReportMetric(got, "got-"+unit)
	b.ReportMetric(budget, "budget")
}

// bench is a folder with the program, notebooks and a repository for each filter.
type bench struct {
	dir     string
	filters []filter
}

type filter struct {
	name, key, command string
	notebooks          int
}

type figures struct {
	name           string
	seconds, ratio float64 // medians; the ratio to no filter, of as many notebooks
}

func newBench(b *testing.B) *bench {
	w := &bench{dir: b.TempDir()}
	for name, value := range map[string]string{
		"HOME": w.dir, "XDG_CONFIG_HOME": filepath.Join(w.dir, ".config"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull,
	} {
		b.Setenv(name, value)
	}
	program := filepath.Join(w.dir, "nbhush")
	b.Setenv("CGO_ENABLED", "0") // as it ships
	run(b, "../..", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", w.dir, "./cmd/nbhush")
	run(b, "../..", "cmd/nbhush-outputs/build.sh", program+"-outputs", "-s -w")
	rewrite(b, program)
	rewrite(b, program+"-outputs")
	if err := os.Symlink(program+"-outputs", filepath.Join(w.dir, "nbstripout")); err != nil {
		b.Fatal(err)
	}
	w.filters = []filter{{"none", "", "", benchNotebooks}, {"nbhush", "process", program + " nbstripout --process", benchNotebooks}}
	bin := filepath.Dir(os.Getenv("NBHUSH_TEST_PYTHON"))
	for _, p := range []filter{
		{"nbstripout", "clean", "nbstripout", slowNotebooks},
		{"nbstripout-fast", "clean", "nbstripout-fast", benchNotebooks},
		{"nbwipers", "clean", "nbwipers clean -", benchNotebooks},
		{"nb-clean", "clean", "nb-clean clean", benchNotebooks},
	} {
		if _, err := os.Stat(filepath.Join(bin, p.name)); err == nil && os.Getenv("NBHUSH_TEST_PYTHON") != "" {
			p.command = filepath.Join(bin, p.command)
			w.filters = append(w.filters, p)
		}
	}
	w.fill(b)
	return w
}

// rewrite writes a program anew from its beginning to its end, as a package
// manager does and as it is read after a start of the system. What the linker
// wrote, here and there, lies in small pieces of the page cache: each start
// takes a fifth longer for them, until the machine is started again.
func rewrite(b *testing.B, path string) {
	b.Helper()
	program, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = os.WriteFile(path, program, 0o700)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func run(b *testing.B, dir, name string, args ...string) {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// measure returns the figures of git add and of git status after touching all.
func (w *bench) measure(b *testing.B) (add, status []figures) {
	adds, statuses := make([][]float64, len(w.filters)), make([][]float64, len(w.filters))
	few := [2][]float64{} // no filter, as few notebooks as for the slow
	for round := range benchRounds + 1 {
		for i, f := range w.filters {
			if f.notebooks < benchNotebooks && round > 1 {
				continue
			}
			a, s := w.once(b, f)
			if f.notebooks < benchNotebooks {
				none := f
				none.command = ""
				na, ns := w.once(b, none)
				few[0], few[1] = append(few[0], na), append(few[1], ns)
			}
			if round > 0 { // the first one warms the page cache
				adds[i], statuses[i] = append(adds[i], a), append(statuses[i], s)
			}
		}
	}
	for i, f := range w.filters {
		bases := [2]float64{median(adds[0]), median(statuses[0])}
		if f.notebooks < benchNotebooks {
			bases = [2]float64{median(few[0]), median(few[1])}
		}
		add = append(add, figures{f.name, median(adds[i]), median(adds[i]) / bases[0]})
		status = append(status, figures{f.name, median(statuses[i]), median(statuses[i]) / bases[1]})
	}
	return add, status
}

// once makes a repository with the filter and returns how many seconds git add
// takes, and git status when all files have a new time.
func (w *bench) once(b *testing.B, f filter) (add, status float64) {
	b.Helper()
	gitDir, tree := filepath.Join(w.dir, "repository"), filepath.Join(w.dir, "notebooks")
	if f.notebooks < benchNotebooks {
		tree = filepath.Join(tree, "few")
	} else {
		tree = filepath.Join(tree, "all")
	}
	if err := os.RemoveAll(gitDir); err != nil {
		b.Fatal(err)
	}
	git := func(args ...string) float64 {
		began := time.Now()
		run(b, tree, "git", append([]string{"--git-dir=" + gitDir, "--work-tree=" + tree}, args...)...)
		return time.Since(began).Seconds()
	}
	git("init", "-q")
	if f.command != "" {
		git("config", "filter.x."+f.key, f.command)
		git("config", "filter.x.required", "true")
		if err := errors.Join(os.MkdirAll(filepath.Join(gitDir, "info"), 0o700),
			os.WriteFile(filepath.Join(gitDir, "info", "attributes"), []byte("*.ipynb filter=x\n"), 0o600)); err != nil {
			b.Fatal(err)
		}
	}
	run(b, tree, "sync") // what the filter before wrote is not this one's to wait for
	add = git("add", ".")
	names, err := os.ReadDir(tree)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().Add(-time.Hour)
	for _, name := range names {
		if err := os.Chtimes(filepath.Join(tree, name.Name()), now, now); err != nil {
			b.Fatal(err)
		}
	}
	run(b, tree, "sync")
	return add, git("status", "--porcelain")
}

// fill makes the notebooks, all of them and a few.
func (w *bench) fill(b *testing.B) {
	b.Helper()
	dir := filepath.Join(w.dir, "notebooks")
	real, _ := filepath.Glob(filepath.Join(os.Getenv("NBHUSH_TEST_NOTEBOOKS"), "*.ipynb"))
	real = slices.DeleteFunc(real, func(file string) bool { return !w.allTake(file) })
	for _, part := range []struct {
		name string
		n    int
	}{{"all", benchNotebooks}, {"few", slowNotebooks}} {
		if err := os.MkdirAll(filepath.Join(dir, part.name), 0o700); err != nil {
			b.Fatal(err)
		}
		for i := range part.n {
			var nb []byte
			if os.Getenv("NBHUSH_TEST_NOTEBOOKS") != "" && len(real) > 0 {
				src, err := os.ReadFile(real[i%len(real)])
				if err != nil {
					b.Fatal(err)
				}
				nb = another(src, i/len(real))
			} else {
				nb = madeUp(140_000, i)
			}
			if err := os.WriteFile(filepath.Join(dir, part.name, fmt.Sprintf("%d.ipynb", i)), nb, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// another returns src as a blob of its own, which it still is in nbstripout's form.
func another(src []byte, i int) []byte {
	metadata := []byte("\"metadata\": {\n") // the last one is the notebook's
	at := bytes.LastIndex(src, metadata)
	if i == 0 || at < 0 {
		return src
	}
	return slices.Insert(src, at+len(metadata), fmt.Appendf(nil, "  \"a\": %d,\n", i)...)
}

// allTake reports whether every filter takes the notebook: some give up on a few.
func (w *bench) allTake(file string) bool {
	for _, f := range w.filters {
		if f.key != "clean" || f.notebooks < benchNotebooks {
			continue
		}
		in, err := os.Open(file)
		if err != nil {
			return false
		}
		words := strings.Fields(f.command)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin = in
		err = cmd.Run()
		_ = in.Close()
		if err != nil {
			return false
		}
	}
	return true
}

// madeUp is a notebook of about size bytes, most of them in images and printed lines.
func madeUp(size, seed int) []byte {
	var cells []any
	for total := 0; total < size; {
		image := make([]byte, min(size/10, 200_000))
		_, _ = rand.Read(image)
		var lines []string
		for i := range 20 + min(size/2000, 3000) {
			lines = append(lines, fmt.Sprintf("epoch %d of %d: loss = %f \"val\"\n", i, seed, math.Sqrt(float64(i+seed+total))))
		}
		cells = append(cells, map[string]any{
			"cell_type": "code", "id": fmt.Sprint("c", len(cells)), "execution_count": 1, "metadata": map[string]any{}, "source": lines[:20],
			"outputs": []any{
				map[string]any{"output_type": "stream", "name": "stdout", "text": lines},
				map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{
					"image/png": base64.StdEncoding.EncodeToString(image) + "\n", "text/plain": []string{"<Figure size 640x480>"},
				}},
			},
		})
		total += len(image)*4/3 + 50*len(lines)
	}
	nb, _ := json.MarshalIndent(map[string]any{"cells": cells, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5}, "", " ")
	return append(nb, '\n')
}

// large is about one notebook, in a process of its own, as its users run it.
func (w *bench) large(b *testing.B) {
	src := madeUp(50_000_000, 1)
	in := filepath.Join(w.dir, "large.ipynb")
	if err := os.WriteFile(in, src, 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(src))/1e6, "MB")
	for _, f := range w.filters[2:] {
		if f.notebooks == benchNotebooks {
			b.ReportMetric(cpu(b, 3, in, f.command), "s-"+f.name)
		}
	}
	b.ReportMetric(cpu(b, 9, in, "cat"), "s-cat")
	report(b, cpu(b, 9, in, filepath.Join(w.dir, "nbstripout")), "s", 0.15)
}

// small runs the commands in turn: a machine that is slower for a while is so for all of them.
func (w *bench) small(b *testing.B) {
	in := filepath.Join(w.dir, "small.ipynb")
	if err := os.WriteFile(in, madeUp(14_000, 1), 0o600); err != nil {
		b.Fatal(err)
	}
	names := []string{"cat", "nbstripout", "nbhush", "empty-Go-program"}
	commands := []string{"cat", filepath.Join(w.dir, "nbstripout"), filepath.Join(w.dir, "nbhush") + " nbstripout", filepath.Join(w.dir, "empty")}
	source := filepath.Join(w.dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	run(b, w.dir, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", commands[3], source)
	rewrite(b, commands[3])
	for _, f := range w.filters[2:] {
		if f.notebooks == benchNotebooks {
			names, commands = append(names, f.name), append(commands, f.command)
		}
	}
	run(b, w.dir, "sync") // what git wrote before is nobody's to wait for, here either
	all := make([][]float64, len(commands))
	for range 300 {
		for i, command := range commands {
			all[i] = append(all[i], cpu(b, 1, in, command))
		}
	}
	cat := median(all[0])
	b.ReportMetric(cat*1000, "ms-cat")
	for i, name := range names[2:] {
		b.ReportMetric(median(all[i+2])/cat, "x-"+name)
	}
	report(b, median(all[1])/cat, "x", 1.5)
}

// cpu returns the median of the CPU seconds that command takes for the file in.
func cpu(b *testing.B, n int, in, command string) float64 {
	b.Helper()
	var all []float64
	for range n {
		file, err := os.Open(in)
		if err != nil {
			b.Fatal(err)
		}
		words := strings.Fields(command)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdin = file
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s: %v\n%s", cmd, err, said.Bytes())
		}
		_ = file.Close()
		all = append(all, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	}
	return median(all)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
