package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asNbstripout returns a folder with a link to nbhush-outputs that is called
// nbstripout. It hands over to nbhush what is more than one notebook.
func asNbstripout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := program(t)
	if err := os.Symlink(program+"-outputs", filepath.Join(dir, "nbstripout")); err != nil {
		t.Skip("no symbolic links here")
	}
	return dir
}

// TestNbstripoutOwnTests runs the tests of nbstripout's source distribution that
// call it by name. Three more look for "python -m nbstripout" in the settings.
func TestNbstripoutOwnTests(t *testing.T) {
	python := testPython(t)
	t.Parallel()
	dir := t.TempDir()
	out, err := exec.Command(python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--no-binary", "nbstripout", "--dest", dir, "nbstripout=="+nbstripoutVersion).CombinedOutput()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Skipf("the source distribution of nbstripout cannot be had: %s", out)
	}
	archive := filepath.Join(dir, "nbstripout-"+nbstripoutVersion+".tar.gz")
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(python, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-c", os.DevNull, "--rootdir=.",
		"--basetemp="+filepath.Join(t.TempDir(), "pytest"), "tests/test_git_integration.py", "tests/test_diff_from_bash_subshells.py",
		"-k", "(diff or uninstall or extrakeys) and not different_python")
	cmd.Dir = strings.TrimSuffix(archive, ".tar.gz")
	cmd.Env = append(os.Environ(), "PATH="+asNbstripout(t)+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1",
		"GIT_CONFIG_NOSYSTEM=1", "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if out, err = cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("8 passed")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestOneNotebook: nbhush-outputs does what nbhush nbstripout does, whether it
// does so itself or hands over, in words and exit codes too.
func TestOneNotebook(t *testing.T) {
	t.Parallel()
	program := program(t)
	home := t.TempDir()
	keys, worktree := filepath.Join(home, "keys"), filepath.Join(home, "worktree")
	for path, text := range map[string]string{
		filepath.Join(keys, ".git", "HEAD"):            "ref: refs/heads/main\n",
		filepath.Join(keys, ".git", "config"):          "[core]\n\trepositoryformatversion = 0\n[filter \"nbstripout\"]\n\textrakeys = metadata.x\n",
		filepath.Join(keys, ".git", "objects", "keep"): "",
		filepath.Join(keys, ".git", "refs", "keep"):    "",
		filepath.Join(worktree, ".git"):                "gitdir: " + filepath.Join(keys, ".git") + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const cell = `{"cell_type": "code", "execution_count": 3, "metadata": {"collapsed": true%s}, "source": [], "outputs": [{"output_type": "stream"}]}`
	notebook := func(metadata string) string {
		return "{\"cells\": [" + fmt.Sprintf(cell, metadata) + "],\r\n \"metadata\": {\"x\": 1e400, \"y\": \"\\r\\n\"}, \"nbformat\": 4}\n"
	}
	sources := map[string]string{
		"a notebook": notebook(""), "a contradiction": notebook(`, "keep_output": false, "tags": ["keep_output"]`),
		"a conflict": "<<<<<<< ours\n{}\n", "nothing": "", "a list": "[]", "broken off": `{"cells": [`,
		"a large one":                     strings.Repeat(" ", 1<<20) + notebook(""),
		"one that nbformat does not know": strings.Replace(notebook(""), `"nbformat": 4`, `"nbformat": 5`, 1),
	}
	goldens, _ := filepath.Glob("../../testdata/notebooks/*/in.ipynb")
	for _, path := range goldens {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sources[path] = string(src)
	}
	run := func(t *testing.T, dir, src string, piped bool, argv ...string) (out, words string, code int) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1"}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if cmd.Stdin = strings.NewReader(src); !piped {
			file, err := os.CreateTemp(home, "*.ipynb")
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err = file.WriteString(src); err == nil {
				_, err = file.Seek(0, io.SeekStart)
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = file
		}
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
	}
	for name, src := range sources {
		for _, dir := range []string{home, keys, worktree} {
			for _, args := range [][]string{nil, {"--keep-count"}} {
				if strings.HasSuffix(name, ".ipynb") && (dir != home || args != nil) {
					continue // nothing of theirs differs there
				}
				t.Run(name+" in "+filepath.Base(dir)+strings.Join(args, ""), func(t *testing.T) {
					out, words, code := run(t, dir, src, true, append([]string{program, "nbstripout"}, args...)...)
					for _, piped := range []bool{true, false} {
						gotOut, gotWords, gotCode := run(t, dir, src, piped, append([]string{program + "-outputs"}, args...)...)
						if gotOut != out || gotWords != words || gotCode != code {
							t.Errorf("piped %v: code %d, %q, %.200q; want %d, %q, %.200q", piped, gotCode, gotWords, gotOut, code, words, out)
						}
					}
					if name == "a notebook" && strings.Contains(out, `"x": Infinity`) != (dir == home) {
						t.Errorf("git's keys do not count: %q", out)
					}
				})
			}
		}
	}
}

// TestOneNotebookAlone: without nbhush beside it, what is more than one notebook is an error.
func TestOneNotebookAlone(t *testing.T) {
	program := program(t)
	alone := filepath.Join(t.TempDir(), "nbhush-outputs")
	if err := os.Link(program+"-outputs", alone); err != nil {
		t.Skip("no hard links here")
	}
	out, err := exec.Command(alone, "--status").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("nbhush-outputs: hint: ./install.sh")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestInstalledClean: git's setting for one file names the quick program where there is one.
func TestInstalledClean(t *testing.T) {
	program := program(t)
	dir := t.TempDir()
	for _, argv := range [][]string{{"git", "init", "-q"}, {program, "nbstripout", "--install"}, {"git", "config", "filter.nbstripout.clean"}} {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		if want := `"` + program + "-outputs\"\n"; argv[0] == "git" && argv[1] == "config" && string(out) != want {
			t.Errorf("the setting is %q, want %q", out, want)
		}
	}
}

// TestOneNotebookEnvironment: nbhush-outputs finds git's keys where variables of
// the environment say, as nbhush does.
func TestOneNotebookEnvironment(t *testing.T) {
	program := program(t)
	dir, path := t.TempDir(), "PATH="+os.Getenv("PATH")
	keys, none := filepath.Join(dir, "keys"), filepath.Join(dir, "none")
	for _, file := range []string{filepath.Join(keys, ".gitconfig"), filepath.Join(keys, "git", "config")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("[filter \"nbstripout\"]\n\textrakeys = metadata.x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(none, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  []string
		goes bool
	}{
		"HOME":                  {[]string{"HOMELY=" + none, "HOM=" + none, "HOME=" + keys, path}, true},
		"another home":          {[]string{path, "HOMELY=" + keys, "HOM=" + keys, "HOME=" + none}, false},
		"XDG_CONFIG_HOME":       {[]string{path, "HOME=" + none, "XDG_CONFIG_HOME=" + keys}, true},
		"GIT_CONFIG_GLOBAL":     {[]string{path, "GIT_CONFIG_GLOBAL=" + filepath.Join(keys, ".gitconfig"), "HOME=" + none}, true},
		"GIT_CONFIG_PARAMETERS": {[]string{path, "HOME=" + none, "GIT_CONFIG_PARAMETERS='filter.nbstripout.extrakeys'='metadata.x'"}, true},
		"empty":                 {[]string{path, "HOME=" + none, "GIT_CONFIG_GLOBAL=", "GIT_DIR="}, false},
		"no environment":        {[]string{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(argv ...string) string {
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.Dir, cmd.Env = none, c.env
				cmd.Stdin = strings.NewReader(`{"cells": [], "metadata": {"x": 1, "y": 2}, "nbformat": 4, "nbformat_minor": 4}`)
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			got := run(program + "-outputs")
			if gone := !strings.Contains(got, `"x"`); gone != c.goes || !strings.Contains(got, `"y"`) {
				t.Errorf("%s", got)
			}
			if name != "no environment" { // nbhush needs a home
				if want := run(program, "nbstripout"); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}
