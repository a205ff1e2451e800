//go:build linux

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkBudget holds the budgets that need the whole program; those of one
// package stand in that package. .ci/bench makes a table of them all.
func BenchmarkBudget(b *testing.B) {
	b.Run("nbhush_version,_whole_process,_to_an_empty_Go_program", budgetVersion)
	kernel := measureKernels(b)
	b.Run("get_from_a_running_cell,_p50", func(b *testing.B) { kernel.get(b) })
	b.Run("the_same,_times_quicker_than_Python_keyring", func(b *testing.B) { kernel.keyring(b) })
	echo := measureEcho(b)
	b.Run("hook,_added_to_a_round_trip_of_100_B,_p50", func(b *testing.B) {
		echo.added(b, "100")
		b.ReportMetric(100, "budget")
	})
	// What this takes more is two processes that wake, which no budget of the hook's can hold.
	b.Run("the_same,_and_the_agent_searches_the_reply", func(b *testing.B) { echo.added(b, "100 searched") })
	b.Run("hook,_searched_round_trip_of_100_KB,_to_the_bare_kernel", func(b *testing.B) { echo.ratio(b, "100000 searched") })
	b.Run("200_MB_printed,_to_the_bare_kernel", func(b *testing.B) { kernel.ratio(b, kernel.Big, 1.25) })
	b.Run("100,000_lines_printed,_to_the_bare_kernel", func(b *testing.B) { kernel.ratio(b, kernel.Lines, 1.25) })
	b.Run("hook's_memory,_idle", func(b *testing.B) { report(b, kernel.Idle, "MB", 15) })
	b.Run("hook's_memory,_5_s_after_200_MB", func(b *testing.B) {
		b.ReportMetric(kernel.Burst, "MB-at-the-end-of-it")
		report(b, kernel.After, "MB", 40)
	})
	b.Run("agent's_memory_with_200_secrets", budgetAgent)
	budgetSave(b)
}

// report prints a row: got is at most budget, in unit.
func report(b *testing.B, got float64, unit string, budget float64) {
	b.ReportMetric(got, "got-"+unit)
	b.ReportMetric(budget, "budget")
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// ratios runs two commands in turn and returns the median of the pairs' ratios
// and of the times, in milliseconds.
func ratios(b *testing.B, n int, one, other func() *exec.Cmd) (ratio, oneMS, otherMS float64) {
	b.Helper()
	timed := func(make func() *exec.Cmd) float64 {
		cmd := make()
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return float64(time.Since(began).Microseconds()) / 1000
	}
	var rs, ones, others []float64
	for i := range n + 3 {
		o, p := timed(one), timed(other)
		if i < 3 { // warm-up
			continue
		}
		rs, ones, others = append(rs, o/p), append(ones, o), append(others, p)
	}
	return median(rs), median(ones), median(others)
}

func budgetVersion(b *testing.B) {
	w := newWorld(b)
	nothing := w.build("nothing", "package main\n\nfunc main() {}\n")
	var programs [2]string // copies, as install.sh makes one
	for i, path := range []string{w.program, nothing} {
		programs[i] = filepath.Join(w.dir, "copy-"+strconv.Itoa(i))
		program, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(programs[i], program, 0o700)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	ratio, ours, empty := ratios(b, 100,
		func() *exec.Cmd { return w.command("", programs[0], "version") },
		func() *exec.Cmd { return w.command("", programs[1]) })
	b.ReportMetric(ours, "ms")
	b.ReportMetric(empty, "ms-empty")
	report(b, ratio, "x", 3)
}

// build builds a program of one file and returns its path.
func (w *world) build(name, source string) string {
	w.Helper()
	w.mkdir(name + "-source")
	w.write(name+"-source/go.mod", "module "+name+"\n")
	w.write(name+"-source/main.go", source)
	path := filepath.Join(w.dir, name)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	build.Dir = filepath.Join(w.dir, name+"-source")
	if out, err := build.CombinedOutput(); err != nil {
		w.Fatalf("%v\n%s", err, out)
	}
	return path
}

// kernelFigures are what testdata/python/bench_kernel.py prints.
type kernelFigures struct {
	Start, Big, Lines  [][2]float64 // seconds, bare and wrapped
	Get                [][2]float64 // µs, p50 and p99 of a round
	Idle, Burst, After float64      // MB
	w                  *world
}

func measureKernels(b *testing.B) (f kernelFigures) {
	w := newWorld(b)
	w.setSecret("BENCH_KEY", randomValue())
	for i := range 99 {
		w.setSecret("OTHER_"+strconv.Itoa(i), randomValue())
	}
	w.write("project/nbhush.toml", "[secrets]\nBENCH_KEY = {}\n")
	w.nbhush("project", nil, "allow")
	w.twoSpecs()
	out := w.run(w.command("project", w.python, w.script("bench_kernel.py"), "bare", "hooked", "15"))
	if err := json.Unmarshal(out, &f); err != nil {
		b.Fatal(err)
	}
	f.w = w
	return f
}

func (f kernelFigures) get(b *testing.B) {
	p50, p99 := f.getTimes()
	b.ReportMetric(median(p99), "µs-p99")
	b.ReportMetric(slices.Max(p50), "µs-in-the-worst-round")
	report(b, median(p50), "µs", 100)
}

// getTimes returns the p50 and the p99 of each round, in µs.
func (f kernelFigures) getTimes() (p50, p99 []float64) {
	for _, round := range f.Get {
		p50, p99 = append(p50, round[0]), append(p99, round[1])
	}
	return p50, p99
}

func (f kernelFigures) keyring(b *testing.B) {
	cmd := f.w.command("", "dbus-run-session", "--", "sh", "-c",
		`printf 'pass\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; exec "$0" "$1"`, f.w.python, f.w.script("bench_keyring.py"))
	cmd.Env = slices.DeleteFunc(cmd.Env, func(kv string) bool { return strings.HasPrefix(kv, "DBUS_") })
	µs, err := strconv.ParseFloat(strings.TrimSpace(string(f.w.run(cmd))), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(µs, "µs-keyring")
	p50, _ := f.getTimes()
	b.ReportMetric(µs/median(p50), "got-x")
	b.ReportMetric(20, "floor")
}

func (f kernelFigures) ratio(b *testing.B, pairs [][2]float64, budget float64) {
	var rs, bare, ours []float64
	for _, p := range pairs {
		rs, bare, ours = append(rs, p[1]/p[0]), append(bare, p[0]), append(ours, p[1])
	}
	b.ReportMetric(median(bare), "s-bare")
	b.ReportMetric(median(ours), "s")
	report(b, median(rs), "x", budget)
}

// echoFigures are what testdata/python/bench_echo.py prints: µs, bare, hooked and relayed.
type echoFigures map[string][3][]float64

// relay carries bytes between a port and a socket: the least that any program does
// that stands between a client and a kernel.
const relay = `package main

import (
	"net"
	"os"
)

func main() {
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		client, err := l.Accept()
		if err != nil {
			panic(err)
		}
		kernel, err := net.Dial("unix", os.Args[2])
		if err != nil { // it is not up yet: the client comes again
			_ = client.Close()
			continue
		}
		go carry(client, kernel)
		go carry(kernel, client)
	}
}

func carry(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			_ = to.Close()
			return
		}
	}
}
`

func measureEcho(b *testing.B) (f echoFigures) {
	w := newWorld(b)
	w.setSecret("BENCH_KEY", randomValue())
	out := w.run(w.command("project", w.python, w.script("bench_echo.py"), w.program, w.build("relay", relay), "4000"))
	if err := json.Unmarshal(out, &f); err != nil {
		b.Fatal(err)
	}
	return f
}

func (f echoFigures) added(b *testing.B, kind string) {
	bare, hooked, relayed := median(f[kind][0]), median(f[kind][1]), median(f[kind][2])
	b.ReportMetric(bare, "µs-bare")
	b.ReportMetric(relayed-bare, "µs-added-by-a-relay-that-only-copies")
	b.ReportMetric(hooked-bare, "got-µs")
}

func (f echoFigures) ratio(b *testing.B, kind string) {
	bare, hooked, relayed := median(f[kind][0]), median(f[kind][1]), median(f[kind][2])
	b.ReportMetric(bare, "µs-bare")
	b.ReportMetric(relayed/bare, "x-through-a-relay-that-only-copies")
	report(b, hooked/bare, "x", 1.75)
}

func budgetAgent(b *testing.B) {
	w := newWorld(b)
	for i := range 200 {
		w.setSecret("KEY_"+strconv.Itoa(i), randomValue())
	}
	pid := w.agentPID()
	before := cpuTicks(b, pid)
	time.Sleep(5 * time.Second)
	b.ReportMetric(float64(cpuTicks(b, pid)-before)*10, "ms-CPU-in-5-idle-s")
	report(b, memoryMB(b, pid), "MB", 20)
}

func memoryMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kB, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kB) / 1024
}

func cpuTicks(b *testing.B, pid int) int {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}
