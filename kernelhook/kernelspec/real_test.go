//go:build unix

package kernelspec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The variable that makes this test program a stand-in for nbhush: it writes
// its argv to the file that the variable names, and becomes the kernel.
const standInLog = "NBHUSH_TEST_STANDIN"

func TestMain(m *testing.M) {
	if log := os.Getenv(standInLog); log != "" && filepath.Base(os.Args[0]) == "nbhush" {
		if err := becomeKernel(log, os.Args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func becomeKernel(log string, argv []string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(f).Encode(argv); err != nil {
		return err
	}
	kernel := argv[slices.Index(argv, "--")+1:]
	path, err := exec.LookPath(kernel[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, kernel, os.Environ())
}

// jupyter is a real Jupyter with a home of its own, and a stand-in for nbhush.
// NBHUSH_TEST_BINARY names a real nbhush to run the same tests with.
type jupyter struct {
	t      *testing.T
	python string
	env    map[string]string
	p      Provisioner
	log    string // of the stand-in
	real   bool
}

func newJupyter(t *testing.T) *jupyter {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real kernels")
	}
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON names no python with Jupyter")
	}
	t.Parallel() // most of the time goes by in waiting for kernels
	p, home := newProvisioner(t)
	must(t, os.Remove(p.Binary))
	self := os.Getenv("NBHUSH_TEST_BINARY")
	real := self != ""
	if !real {
		var err error
		if self, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	must(t, os.Symlink(self, p.Binary))
	j := &jupyter{
		t: t, python: python, p: p, real: real,
		log: filepath.Join(home, "argv"),
		env: map[string]string{
			"HOME": home, "PATH": filepath.Dir(python) + ":" + os.Getenv("PATH"), "NBHUSH_HOME": filepath.Join(home, "nbhush"),
			"JUPYTER_PLATFORM_DIRS": "0", "IPYTHONDIR": filepath.Join(home, "ipython"), "PYTHONDONTWRITEBYTECODE": "1",
		},
	}
	if !real {
		j.env[standInLog] = j.log
		return j
	}
	write(t, filepath.Join(home, "nbhush", "config", "config.toml"), "store = \"vault\"\n")
	t.Cleanup(func() {
		cmd := exec.Command(self, "agent", "stop")
		cmd.Env = j.environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("stop the agent: %v\n%s", err, out)
		}
	})
	return j
}

// seen is what drive.py prints.
type seen struct {
	Result, Interrupt, Restart, Error, Provisioner string
	Log, Outputs                                   []string
	Ended, Curve, Info, Alive, Stopped, Asked      bool
	Left, Folders                                  int
	Wait                                           float64
	Config, Data, Name                             string
}

func (j *jupyter) drive(args ...string) seen {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, j.python, append([]string{"testdata/drive.py"}, args...)...)
	cmd.Env = j.environ()
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		j.t.Fatalf("%v: %v\n%s", args, err, words.String())
	}
	var s seen
	if err := json.Unmarshal(bytes.TrimSpace(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]), &s); err != nil {
		j.t.Fatalf("%v: %v in %s", args, err, out)
	}
	return s
}

func (j *jupyter) environ() (env []string) {
	for k, v := range j.env {
		env = append(env, k+"="+v)
	}
	return env
}

// kernels are the specs of this Jupyter.
func (j *jupyter) kernels() Kernels {
	return Kernels{
		Jupyter: j.python, Dirs: j.p.Dirs, Binary: j.p.Binary, Env: j.environ(),
		Record: filepath.Join(j.env["HOME"], "nbhush", "kernels.json"),
	}
}

// started returns the argvs that the stand-in was started with.
func (j *jupyter) started() [][]string {
	j.t.Helper()
	b, err := os.ReadFile(j.log)
	if err != nil && !os.IsNotExist(err) {
		j.t.Fatal(err)
	}
	var all [][]string
	for dec := json.NewDecoder(bytes.NewReader(b)); dec.More(); {
		var argv []string
		if err := dec.Decode(&argv); err != nil {
			j.t.Fatal(err)
		}
		all = append(all, argv)
	}
	return all
}

// mustHaveStarted fails unless nbhush was started n times, each time once
// around a kernel of its own.
func (j *jupyter) mustHaveStarted(n int) {
	j.t.Helper()
	if j.real {
		return // its own tests say what it does
	}
	all := j.started()
	if len(all) != n {
		j.t.Fatalf("nbhush was started %d times, want %d: %q", len(all), n, all)
	}
	for _, argv := range all {
		if len(argv) < 7 || argv[0] != j.p.Binary || argv[1] != "kernel" || argv[2] != "-f" || argv[4] != "--" {
			j.t.Fatalf("argv %q", argv)
		}
		file := argv[3]
		if !filepath.IsAbs(file) || !slices.Contains(argv[5:], file) {
			j.t.Errorf("connection file %q is not the kernel's: %q", file, argv)
		}
		if slices.ContainsFunc(argv[1:], func(s string) bool { return filepath.Base(s) == "nbhush" }) {
			j.t.Errorf("nbhush is there twice: %q", argv)
		}
	}
}

// spec makes a kernel spec of the test's own.
func (j *jupyter) spec(name, metadata string) string {
	j.t.Helper()
	dir := j.p.Dirs.userSpec(name)
	write(j.t, filepath.Join(dir, "kernel.json"), fmt.Sprintf(`{"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
 "display_name": "A test", "language": "python", "metadata": %s}`, metadata))
	return filepath.Join(dir, "kernel.json")
}

// viaEnvironment makes libraries that read no configuration use the provisioner.
func (j *jupyter) viaEnvironment() {
	j.t.Helper()
	if _, err := j.p.Enable(); err != nil {
		j.t.Fatal(err)
	}
	j.env["PYTHONPATH"], j.env["JUPYTER_DEFAULT_PROVISIONER_NAME"] = j.p.Folder, "nbhush"
}

func logged(lines []string, want string) int {
	n := 0
	for _, l := range lines {
		if strings.Contains(l, want) {
			n++
		}
	}
	return n
}

const mendLine = "nbhush jupyter disable"

func TestServerStartsKernelsBehindNbhush(t *testing.T) {
	for _, encryption := range []string{"disabled", "required"} {
		t.Run("transport_encryption "+encryption, func(t *testing.T) {
			j := newJupyter(t)
			if _, err := j.p.Enable(); err != nil {
				t.Fatal(err)
			}
			log := filepath.Join(j.env["HOME"], "server.log")
			got := j.drive("server", log, "python3", encryption)
			want := seen{Result: "42", Interrupt: "KeyboardInterrupt", Restart: "False", Ended: true, Curve: encryption != "disabled"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n%s", diff, read(t, log))
			}
			j.mustHaveStarted(2) // the second time after the restart
			if strings.Contains(read(t, log), "nbhush:") {
				t.Errorf("nbhush complains in the server's log:\n%s", read(t, log))
			}
		})
	}
}

func TestServerStartsKernelsBareWhenNbhushIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		remove func(j *jupyter) string
		lines  int
	}{
		"the program": {func(j *jupyter) string { return j.p.Binary }, 2}, // one a start
		"the folder":  {func(j *jupyter) string { return j.p.Folder }, 1}, // one a server
	} {
		t.Run(name, func(t *testing.T) {
			j := newJupyter(t)
			if _, err := j.p.Enable(); err != nil {
				t.Fatal(err)
			}
			must(t, os.RemoveAll(tt.remove(j)))
			log := filepath.Join(j.env["HOME"], "server.log")
			if got := j.drive("server", log); got.Result != "42" || got.Restart != "False" {
				t.Errorf("got %+v", got)
			}
			j.mustHaveStarted(0)
			if n := strings.Count(read(t, log), mendLine); n != tt.lines {
				t.Errorf("%d lines name %q, want %d:\n%s", n, mendLine, tt.lines, read(t, log))
			}
		})
	}
}

func TestNbconvertStartsKernelsBehindNbhush(t *testing.T) {
	j := newJupyter(t)
	if _, err := j.p.Enable(); err != nil {
		t.Fatal(err)
	}
	nb := filepath.Join(j.env["HOME"], "a.ipynb")
	write(t, nb, `{"cells": [{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [],
 "source": ["import os\n", "print('NBHUSH_PROVISIONER' in os.environ, os.environ.get('NBHUSH_KERNEL_SPEC'), os.environ.get('NBHUSH_KERNEL_LANGUAGE'), sep='/', end=' 42\\n')"]}],
 "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}, "nbformat": 4, "nbformat_minor": 5}`)
	want := "False/python3/python 42" // what the hook is told
	if j.real {
		want = "False/None/None 42" // and keeps
	}
	if got := j.drive("execute", nb); got.Result != want {
		t.Errorf("got %+v, want %s", got, want)
	}
	j.mustHaveStarted(1)
}

func TestManagerBehavesAsWithoutNbhush(t *testing.T) {
	for _, mode := range []string{"signal", "message"} {
		t.Run(mode, func(t *testing.T) {
			j := newJupyter(t)
			j.viaEnvironment()
			j.spec("hushed", "{}")
			got := j.drive("manager", "hushed", "disabled", mode)
			want := seen{
				Result: "42", Interrupt: "KeyboardInterrupt", Restart: "48", Provisioner: "NbhushProvisioner",
				Info: true, Alive: true, Stopped: true, Asked: true, Wait: 3.5, Log: []string{},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			j.mustHaveStarted(2)
		})
	}
}

// A server runs for weeks: an upgrade or a disable in that time breaks no kernel.
func TestServerOutlivesTheFolder(t *testing.T) {
	j := newJupyter(t)
	if _, err := j.p.Enable(); err != nil {
		t.Fatal(err)
	}
	got := j.drive("outlives", j.p.Folder, "python3")
	if got.Result != "42" || got.Restart != "48" || got.Provisioner != "NbhushProvisioner" || len(got.Log) != 0 {
		t.Errorf("got %+v", got)
	}
	j.mustHaveStarted(2)
}

func TestNbclientByEnvironmentAndByWrappedSpec(t *testing.T) {
	want := []string{"42\n", "48"}
	t.Run("environment", func(t *testing.T) {
		j := newJupyter(t)
		j.viaEnvironment()
		if diff := cmp.Diff(want, j.drive("notebook", "python3").Outputs); diff != "" {
			t.Error(diff)
		}
		j.mustHaveStarted(1)
	})
	t.Run("spec", func(t *testing.T) {
		j := newJupyter(t)
		file := j.spec("hushed", `{"supported_encryption": "curve"}`)
		src := read(t, file)
		if got := enable(t, j.kernels(), "hushed"); got[0].Did != DidWrap {
			t.Fatalf("got %+v", got)
		}
		if diff := cmp.Diff(want, j.drive("notebook", "hushed").Outputs); diff != "" {
			t.Error(diff)
		}
		j.mustHaveStarted(1)
		if got := disable(t, j.kernels()); len(got) != 1 || got[0].Did != DidRestore || read(t, file) != src {
			t.Errorf("got %+v, %s", got, read(t, file))
		}
		if diff := cmp.Diff(want, j.drive("notebook", "hushed").Outputs); diff != "" {
			t.Error(diff)
		}
		j.mustHaveStarted(1)
	})
	t.Run("both", func(t *testing.T) {
		j := newJupyter(t)
		j.viaEnvironment()
		j.spec("hushed", "{}")
		enable(t, j.kernels(), "hushed")
		if diff := cmp.Diff(want, j.drive("notebook", "hushed").Outputs); diff != "" {
			t.Error(diff)
		}
		j.mustHaveStarted(1)
	})
}

func TestProvisionerLeavesKernelsBare(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(j *jupyter)
		class   string
		lines   int // that name the mending command
	}{
		"own provisioner": {func(j *jupyter) {
			j.spec("hushed", `{"kernel_provisioner": {"provisioner_name": "local-provisioner"}}`)
		}, "LocalProvisioner", 0},
		"NBHUSH=off": {func(j *jupyter) { j.env["NBHUSH"] = "off" }, "NbhushProvisioner", 0},
		"NBHUSH=off in the spec": {func(j *jupyter) {
			file := j.spec("hushed", "{}")
			write(j.t, file, strings.Replace(read(j.t, file), "{", `{"env": {"NBHUSH": "Off"}, `, 1))
		}, "NbhushProvisioner", 0},
		"program gone": {func(j *jupyter) { must(j.t, os.Remove(j.p.Binary)) }, "NbhushProvisioner", 2},
		"program broken": {func(j *jupyter) {
			must(j.t, os.Remove(j.p.Binary))
			must(j.t, os.WriteFile(j.p.Binary, []byte("\x7fELF, not really"), 0o755))
		}, "NbhushProvisioner", 2},
		"program of a wrapped spec gone": {func(j *jupyter) {
			enable(j.t, j.kernels(), "hushed")
			must(j.t, os.Remove(j.p.Binary))
		}, "NbhushProvisioner", 2},
		"wrapped spec, NBHUSH=off": {func(j *jupyter) {
			enable(j.t, j.kernels(), "hushed")
			j.env["NBHUSH"] = "off"
		}, "NbhushProvisioner", 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJupyter(t)
			j.viaEnvironment()
			j.spec("hushed", "{}")
			tt.prepare(j)
			got := j.drive("manager", "hushed")
			if got.Result != "42" || got.Restart != "48" || got.Provisioner != tt.class {
				t.Errorf("got %+v", got)
			}
			if n := logged(got.Log, mendLine); n != tt.lines {
				t.Errorf("%d lines name %q, want %d: %q", n, mendLine, tt.lines, got.Log)
			}
			j.mustHaveStarted(0)
		})
	}
}

// jupyter_client decides about the transport as if there were no hook, and the
// hook serves what it decided. That a hooked kernel encrypts in fact is
// TestTransports of package kernelhook's.
func TestEncryptedTransport(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap   bool // the spec
		env    bool // the provisioner
		policy string
		silent bool // the spec does not say that its kernel can
		curve  bool
		err    string
	}{
		"provisioner, auto":               {env: true, policy: "auto", curve: true},
		"provisioner, required":           {env: true, policy: "required", curve: true},
		"wrapped, auto":                   {wrap: true, policy: "auto", curve: true},
		"wrapped, required":               {wrap: true, policy: "required", curve: true},
		"wrapped and provisioner":         {wrap: true, env: true, policy: "required", curve: true},
		"wrapped, disabled":               {wrap: true, policy: "disabled"},
		"wrapped, required, not declared": {wrap: true, policy: "required", silent: true, err: "does not declare 'curve'"},
		"provisioner, auto, not declared": {env: true, policy: "auto", silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJupyter(t)
			if tt.env {
				j.viaEnvironment()
			}
			metadata := `{"supported_encryption": ["curve"]}`
			if tt.silent {
				metadata = "{}"
			}
			j.spec("hushed", metadata)
			if tt.wrap {
				enable(t, j.kernels(), "hushed")
			}
			got := j.drive("manager", "hushed", tt.policy)
			if tt.err != "" {
				if !strings.Contains(got.Error, tt.err) {
					t.Errorf("got %+v", got)
				}
				return
			}
			if got.Error != "" || got.Result != "42" || got.Restart != "48" || got.Curve != tt.curve || len(got.Log) != 0 {
				t.Errorf("got %+v", got)
			}
			j.mustHaveStarted(2)
		})
	}
}

func TestConfigurationOfOthersIsRespected(t *testing.T) {
	other := "c.KernelProvisionerFactory.default_provisioner_name = 'other'\n"
	for name, tt := range map[string]struct {
		prepare func(j *jupyter)
		want    string
	}{
		"none":                   {func(*jupyter) {}, "nbhush"},
		"a comment":              {func(j *jupyter) { write(j.t, j.p.Dirs.ConfigFile(), "# "+other) }, "nbhush"},
		"same file":              {func(j *jupyter) { write(j.t, j.p.Dirs.ConfigFile(), other) }, "other"},
		"same file, nbhush":      {func(j *jupyter) { write(j.t, j.p.Dirs.ConfigFile(), strings.Replace(other, "other", "nbhush", 1)) }, "nbhush"},
		"c is another thing now": {func(j *jupyter) { write(j.t, j.p.Dirs.ConfigFile(), "for c in 'abc': pass\n") }, "nbhush"},
		"environment":            {func(j *jupyter) { j.env["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "other" }, "other"},
		"another folder": {func(j *jupyter) {
			dir := filepath.Join(j.env["HOME"], "site")
			write(j.t, filepath.Join(dir, "jupyter_config.json"), `{"KernelProvisionerFactory": {"default_provisioner_name": "other"}}`)
			j.env["JUPYTER_CONFIG_PATH"] = dir
		}, "other"},
		"a folder of lower priority": {func(j *jupyter) {
			dir := filepath.Join(j.env["HOME"], "site")
			write(j.t, filepath.Join(dir, "jupyter_config.py"), other)
			j.env["JUPYTER_CONFIG_PATH"] = j.p.Dirs.Config + ":" + dir
		}, "other"},
		"latin-1, CRLF, no final newline": {func(j *jupyter) {
			write(j.t, j.p.Dirs.ConfigFile(), "# -*- coding: latin-1 -*-\r\nx = '\xe9'")
		}, "nbhush"},
		"no configuration": {func(j *jupyter) { j.env["JUPYTER_NO_CONFIG"] = "1" }, "local-provisioner"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJupyter(t)
			tt.prepare(j)
			if _, err := j.p.Enable(); err != nil {
				t.Fatal(err)
			}
			got := j.drive("configured")
			if got.Name != tt.want || len(got.Log) != 0 {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
			if got.Folders > 1 {
				t.Errorf("the folder is %d times on sys.path", got.Folders)
			}
		})
	}
}

func TestDirsAreThoseOfJupyter(t *testing.T) {
	j := newJupyter(t)
	home := j.env["HOME"]
	for name, env := range map[string]map[string]string{
		"default":       {},
		"platform":      {"JUPYTER_PLATFORM_DIRS": "1"},
		"platform, XDG": {"JUPYTER_PLATFORM_DIRS": "yes", "XDG_CONFIG_HOME": home + "/c", "XDG_DATA_HOME": home + "/d"},
		"XDG":           {"XDG_CONFIG_HOME": home + "/c", "XDG_DATA_HOME": home + "/d"},
		"named":         {"JUPYTER_CONFIG_DIR": home + "/c", "JUPYTER_DATA_DIR": home + "/d"},
	} {
		t.Run(name, func(t *testing.T) {
			here := *j
			here.t, here.env = t, map[string]string{}
			for _, m := range []map[string]string{j.env, env} {
				for k, v := range m {
					here.env[k] = v
				}
			}
			want := here.drive("paths")
			got, err := FindDirs(func(k string) string { return here.env[k] })
			if err != nil || got.Config != want.Config || got.Data != want.Data {
				t.Errorf("%s and %s, %v, want %s and %s", got.Config, got.Data, err, want.Config, want.Data)
			}
		})
	}
}

// TestSpecWithoutAFile makes an environment whose python3 no kernel.json backs.
func TestSpecWithoutAFile(t *testing.T) {
	j := newJupyter(t)
	env := filepath.Join(j.env["HOME"], "env")
	run := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	const site = "import sysconfig; print(sysconfig.get_path('purelib'))"
	packages := run(j.python, "-c", site)
	run(j.python, "-m", "venv", "--without-pip", env)
	j.python = filepath.Join(env, "bin", "python")
	write(t, filepath.Join(run(j.python, "-c", site), "others.pth"), packages+"\n")
	file := func() string {
		specs, err := j.kernels().List(context.Background())
		i := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == "python3" })
		if err != nil || i < 0 {
			t.Fatalf("%+v, %v", specs, err)
		}
		return specs[i].File
	}
	if f := file(); f != "" {
		t.Skipf("this machine has a python3 for everybody in %s", f)
	}
	got := enable(t, j.kernels(), "python3")
	if want := filepath.Join(env, "share/jupyter/kernels/python3/kernel.json"); len(got) != 1 || got[0].Did != DidShadow || got[0].File != want {
		t.Fatalf("got %+v", got)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(got[0].File), "logo-64x64.png")); err != nil {
		t.Errorf("the logo was not copied: %v", err)
	}
	if diff := cmp.Diff([]string{"42\n", "48"}, j.drive("notebook", "python3").Outputs); diff != "" {
		t.Error(diff)
	}
	j.mustHaveStarted(1)
	if got := disable(t, j.kernels()); len(got) != 1 || got[0].Did != DidRemove {
		t.Errorf("got %+v", got)
	}
	if f := file(); f != "" {
		t.Errorf("python3 is in %s", f)
	}
}
