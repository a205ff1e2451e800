//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/provider/peers"
)

// hubStory is what testdata/python/hub.py tells.
type hubStory struct {
	Digest, Cell, Again             string
	Running, Left                   map[string][2]any // by PID: user, command
	Bob, Ann, Open                  stranger
	His, Hers                       [2]any // exit code, output
	Aside                           [][2]any
	Doctor, Heard                   string
	Audit                           []string
	OfTheGateway, HerOwn, ForOthers struct {
		Client    string
		Gate, Bob map[string]string
	}
}

// stranger is what testdata/python/stranger.py tells: by what was asked for,
// how it went.
type stranger struct {
	Who                   [3][]int // user and group ids, groups
	Ports, Sockets, Files map[string]string
	Walk                  map[string][]string
	Processes             map[string]map[string]string
}

// TestHub runs a JupyterHub as root, with its proxy and servers that run as the
// users who log in. One has nbhush in her home; another account of the machine
// tries to get at what is hers, and one is that of a gateway. They are accounts with
// a name, a home and no group but their own, in an /etc/passwd that only the
// test's processes see: nothing is changed on the machine, and with their PID
// namespace ends whatever they started.
func TestHub(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a JupyterHub")
	}
	python := testPython(t)
	need := func(err error) {
		t.Helper()
		if err != nil && os.Getenv("CI") == "true" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root starts processes of other users")
	}
	proxy, err := peers.Tool("configurable-http-proxy")
	need(err)
	apart := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"}
	need(exec.Command("unshare", append(apart, "true")...).Run())
	built, err := builtProgram()
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	dir, err := os.MkdirTemp("", "nb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil { // what keeps others out is not the test's folder
		t.Fatal(err)
	}
	script, err := filepath.Abs("../../testdata/python/hub.py")
	if err != nil {
		t.Fatal(err)
	}
	value := randomValue()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append(apart, python, script, dir, filepath.Dir(built), proxy)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(python)+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(value)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	n := newNeedles(value)
	n.mustNotBeIn(t, "what the processes said", append(out, stderr.Bytes()...))
	if err != nil {
		t.Fatalf("%v\n%s", err, n.mask(stderr.Bytes()))
	}
	var told hubStory
	if err := json.Unmarshal(out, &told); err != nil {
		t.Fatal(err)
	}
	t.Run("kernel", func(t *testing.T) { told.kernel(t, dir, n) })
	t.Run("another account", told.anotherAccount)
	t.Run("gateway", told.gateway)
}

// kernel: her cell has the value, and neither what it shows nor any file.
func (told *hubStory) kernel(t *testing.T, dir string, n needles) {
	if want := "61001 [nbhush:TOKEN] [nbhush:TOKEN] " + told.Digest + "\n"; !strings.HasPrefix(told.Cell, want) || !strings.Contains(told.Cell, "ZeroDivisionError") {
		t.Errorf("the cell shows %q, want %q and a traceback", told.Cell, want)
	}
	log, err := os.ReadFile(filepath.Join(dir, "hub", "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"\nin the log: [nbhush:TOKEN]\n", "Starting proxy", "Route added /user/ann", "Kernel started"} {
		if !bytes.Contains(log, []byte(words)) {
			t.Errorf("the log of Hub, proxy and server does not say %q:\n%s", words, n.mask(log))
		}
	}
	searched := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || filepath.Base(filepath.Dir(path)) == "bin" {
			return err // bin has nbhush itself
		}
		b, err := os.ReadFile(path)
		n.mustNotBeIn(t, path, b)
		searched++
		return err
	})
	if err != nil || searched < 20 {
		t.Errorf("%d files were searched, %v", searched, err)
	}
	for what, count := range map[string]int{"jupyterhub ": 1, "configurable-http-proxy ": 1, "jupyterhub-singleuser": 1, "nbhush-hook ": 1} {
		got := 0
		for _, p := range told.Running {
			if strings.Contains(p[1].(string)+" ", what) {
				got++
			}
		}
		if got != count {
			t.Errorf("%d processes of %s: %v", got, what, told.Running)
		}
	}
	for _, p := range told.Left {
		if argv := p[1].(string); len(told.Left) != 1 || !strings.HasSuffix(argv, "/nbhush agent serve ") {
			t.Errorf("the Hub has stopped, and %s is left", argv)
		}
	}
}

// anotherAccount: a process of another user gets nothing that is hers. She, asked the same, shows that
// there is something to get; what runs for nbhush hides its memory from her, too.
func (told *hubStory) anotherAccount(t *testing.T) {
	who := func(uid int) [3][]int { return [3][]int{{uid, uid, uid}, {uid, uid, uid}, {}} }
	for _, c := range []struct {
		name                  string
		got                   stranger
		uid                   int
		ports, sockets, files string
	}{
		{"another account", told.Bob, 61002, "closed", "EACCES", "EACCES"},
		{"her own", told.Ann, 61001, "answered", "answered", "read"},
	} {
		if diff := cmp.Diff(who(c.uid), c.got.Who); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if len(c.got.Ports) != 5 || len(c.got.Sockets) != 2 || len(c.got.Processes) != 4 {
			t.Errorf("%s: asked for %d ports, %d sockets, %d processes", c.name, len(c.got.Ports), len(c.got.Sockets), len(c.got.Processes))
		}
		all(t, c.name, c.got.Ports, c.ports)
		all(t, c.name, c.got.Sockets, c.sockets)
		all(t, c.name, c.got.Files, c.files)
		hidden := 0
		for _, p := range c.got.Processes {
			for _, what := range []string{"environ", "mem"} {
				if p[what] == "EACCES" {
					hidden++
				}
			}
			if p["cmdline"] == "" {
				t.Errorf("%s: a process without a command", c.name)
			}
		}
		if want := map[int]int{61002: 8, 61001: 4}[c.uid]; hidden != want { // of agent and hook, not of server and kernel
			t.Errorf("%s: %d of memories and environments are hidden, want %d: %v", c.name, hidden, want, c.got.Processes)
		}
	}
	for _, file := range []string{"vault.age", "vault.key", "past.age", "index.json", "allowed.json", "looks.key", "audit.jsonl"} {
		if !has(told.Bob.Files, file) {
			t.Errorf("%s was not asked for", file)
		}
	}
	for folder, files := range told.Bob.Walk {
		for _, file := range files {
			if strings.Contains(file, "nbhush") && !strings.HasPrefix(file, ".local/bin/") && file != "work/nbhush.toml" || strings.Contains(file, "kernel-") {
				t.Errorf("another account can read %s in %s", file, folder)
			}
		}
	}
	all(t, "the agent, in a folder that all can enter", told.Open.Sockets, "closed")
	if len(told.Audit) != 1 || !strings.Contains(told.Audit[0], "denied") || !strings.Contains(told.Audit[0], "connection of user id 61002") {
		t.Errorf("the audit log says %q", told.Audit)
	}
	if told.His[0] != 4. || !strings.Contains(told.His[1].(string), "permission denied") {
		t.Errorf("nbhush, run by another account in her home: %v", told.His)
	}
	if len(told.Aside) != 3 || told.Aside[0][0] != 0. || told.Aside[1] != [2]any{0., "it is there\n"} || told.Aside[2][0] != 0. {
		t.Errorf("where another account has the folder of her agent's socket: %v", told.Aside)
	}
	if told.Hers[0] != 4. || !strings.Contains(told.Hers[1].(string), "the agent's socket is not this user's") || strings.Trim(told.Heard, "0\n") != "" {
		t.Errorf("where another account listens at the path of her socket: %v; it got %q", told.Hers, told.Heard)
	}
	if !strings.Contains(told.Doctor, "belongs to another user") || !strings.Contains(told.Doctor, "-> have it removed, or set XDG_RUNTIME_DIR") {
		t.Errorf("doctor there says %s", told.Doctor)
	}
	if told.Again != "[nbhush:TOKEN]\n" {
		t.Errorf("after it she gets %q", told.Again)
	}
}

// gateway: who wrote a connection file is let in, as is who the user says; nobody else is.
func (told *hubStory) gateway(t *testing.T) {
	for name, c := range map[string]struct {
		got struct {
			Client    string
			Gate, Bob map[string]string
		}
		gate, bob string
	}{
		"the gateway's file":        {told.OfTheGateway, "answered", "closed"},
		"her own":                   {told.HerOwn, "closed", "closed"},
		"kernel_other_users = true": {told.ForOthers, "answered", "answered"},
	} {
		if c.got.Client != "61001 [nbhush:TOKEN]\n" {
			t.Errorf("%s: the client has %q", name, c.got.Client)
		}
		if len(c.got.Gate) != 5 || len(c.got.Bob) != 5 {
			t.Errorf("%s: %v", name, c.got)
		}
		all(t, name+", the gateway", c.got.Gate, c.gate)
		all(t, name+", another account", c.got.Bob, c.bob)
	}
}

func all(t *testing.T, name string, got map[string]string, want string) {
	t.Helper()
	for what, g := range got {
		if g != want {
			t.Errorf("%s, %s: %s, want %s", name, what, g, want)
		}
	}
}

func has(files map[string]string, name string) bool {
	for file := range files {
		if filepath.Base(file) == name {
			return true
		}
	}
	return false
}
