package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestOneProcessor: nbhush-outputs stays on one processor while it has a small
// notebook, and not with a large one.
func TestOneProcessor(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the program begins in Go's runtime elsewhere")
	}
	program := program(t)
	start := func(t *testing.T, src string) (pid int) {
		cmd := exec.Command(program + "-outputs")
		cmd.Dir = t.TempDir()
		cmd.Env = []string{"HOME=" + cmd.Dir}
		cmd.Stdin = strings.NewReader(src)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = out.Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if _, err := out.Read(make([]byte, 1)); err != nil { // more than a pipe holds is still to be written
			t.Fatal(err)
		}
		return cmd.Process.Pid
	}
	notebook := func(size int) string {
		return `{"cells": [], "metadata": {}, "nbformat": 4, "x": "` + strings.Repeat("x", size) + `"}`
	}
	for _, got := range processors(t, start(t, notebook(200_000))) {
		if strings.ContainsAny(got, ",-") || got == "" {
			t.Errorf("a small notebook is stripped on %s", got)
		}
	}
	if got, want := processors(t, start(t, notebook(4<<20))), processors(t, os.Getpid())[0]; !slices.Contains(got, want) {
		t.Errorf("a large notebook is stripped on %s, want %s", got, want)
	}
}

// processors returns where each thread of a process may run, as the system lists it.
func processors(t *testing.T, pid int) (lists []string) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:\t")
		list, _, _ = strings.Cut(list, "\n")
		lists = append(lists, list)
	}
	return lists
}

// TestHandsOverFree: the nbhush that nbhush-outputs becomes, and what that
// starts, have the limits that nbhush-outputs was started with.
func TestHandsOverFree(t *testing.T) {
	program := program(t)
	dir := t.TempDir()
	git, said := filepath.Join(dir, "git"), filepath.Join(dir, "said")
	const script = "#!/bin/sh\n{ ulimit -Sn; ulimit -Hn; grep Cpus_allowed_list /proc/$$/status; cat /proc/$$/timerslack_ns; } >\"$SAID\"\nexit 1\n"
	if err := os.WriteFile(git, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	limits := func(argv ...string) string {
		if err := os.RemoveAll(said); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(`{"cells": [], "metadata": {}, "nbformat": 4}`)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + dir + ":" + os.Getenv("PATH"), "SAID=" + said, "GIT_CONFIG_COUNT=0"}
		var words bytes.Buffer
		cmd.Stderr = &words
		_ = cmd.Run() // what git says is no answer
		b, err := os.ReadFile(said)
		if err != nil {
			t.Fatalf("%s: %v; %s", argv, err, words.Bytes())
		}
		return string(b)
	}
	want := limits(git)
	if got := limits(program + "-outputs"); got != want || strings.Count(want, "\n") != 4 {
		t.Errorf("through nbhush-outputs:\n%swant:\n%s", got, want)
	}
}

// TestClosedDescriptors: nbhush-outputs does without a standard descriptor what nbhush does.
func TestClosedDescriptors(t *testing.T) {
	program := program(t)
	dir := t.TempDir()
	const notebook = `{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}`
	if err := os.WriteFile(filepath.Join(dir, "in.ipynb"), []byte(notebook), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, closed := range []string{"<in.ipynb 2>&-", "<&-", "<in.ipynb >&-", "<in.ipynb >&- 2>&-", "<&- >&- 2>&-"} {
		run := func(command string) string {
			cmd := exec.Command("sh", "-c", command+" "+closed)
			cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			return fmt.Sprintf("%s%v", out, err)
		}
		if got, want := run(program+"-outputs"), run(program+" nbstripout"); got != want {
			t.Errorf("%s: %s; nbhush: %s", closed, got, want)
		}
	}
}
