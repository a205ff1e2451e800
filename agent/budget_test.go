//go:build linux

package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/secret"
)

// BenchmarkBudget holds the budgets of the agent, of the program as install.sh
// builds it. .ci/bench makes a table of them.
func BenchmarkBudget(b *testing.B) {
	p := buildProgram(b)
	b.Run("warm_get_over_HTTP,_p50", p.get)
	b.Run("agent's_start_on_demand,_p50", p.start)
	b.Run("agent's_memory_at_most,_100,000_requests_of_200_clients", p.crowd)
	b.Run("agent's_memory_after_a_search_for_looks", p.looks)
}

type program string

func buildProgram(b *testing.B) program {
	path := filepath.Join(b.TempDir(), "nbhush")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "../cmd/nbhush")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return program(path)
}

// up starts an agent with secrets in a home of its own, and ends it with b.
func (p program) up(b *testing.B, secrets int) (home.Home, *client.Client) {
	h := tempHome(b)
	if out, err := exec.Command(string(p), "agent", "start").CombinedOutput(); err != nil {
		b.Fatalf("start: %v\n%s", err, out)
	}
	b.Cleanup(func() { stopAgent(b); waitGone(b, h.AgentLock()) })
	c := &client.Client{NoStart: true}
	b.Cleanup(c.Close)
	for i := range secrets {
		if _, err := c.Set(b.Context(), secret.Name(fmt.Sprintf("NAME_%d", i)), secret.New([]byte("nk-"+rand.Text()+rand.Text()))); err != nil {
			b.Fatal(err)
		}
	}
	return h, c
}

func (p program) get(b *testing.B) {
	h, c := p.up(b, 200)
	took := make([]time.Duration, 5000)
	for i := range took {
		begin := time.Now()
		got, err := c.Get(b.Context(), []secret.Name{"NAME_7"}, "")
		if took[i] = time.Since(begin); err != nil {
			b.Fatal(err)
		}
		wipeAll(got)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e6, "µs-with-package-client")
	took = plainGets(b, h, len(took))
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e6, "µs-p99")
	reportRow(b, took[len(took)/2].Seconds()*1e6, "µs", 150)
}

// plainGets asks on one connection by hand: what a client does besides is not the
// agent's time. The times are sorted.
func plainGets(b *testing.B, h home.Home, n int) []time.Duration {
	conn, err := net.Dial("unix", h.Socket())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := `{"names":["NAME_7"],"dir":""}`
	request := fmt.Appendf(nil, "POST /v1/get HTTP/1.1\r\nHost: nbhush\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	in := bufio.NewReader(conn)
	took := make([]time.Duration, n)
	for i := range took {
		begin := time.Now()
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		took[i] = time.Since(begin)
		if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("NAME_7")) {
			b.Fatalf("%s, %v", resp.Status, err)
		}
		clear(text)
	}
	slices.Sort(took)
	return took
}

func (p program) start(b *testing.B) {
	h := tempHome(b)
	took := make([]time.Duration, 21)
	for i := range took {
		c := &client.Client{Start: func(context.Context) error { return exec.Command(string(p), "agent", "serve").Start() }}
		begin := time.Now()
		if err := c.Up(b.Context()); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(begin)
		c.Close()
		stopAgent(b)
		waitGone(b, h.AgentLock())
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)-1].Seconds()*1e3, "ms-longest")
	reportRow(b, took[len(took)/2].Seconds()*1e3, "ms", 30)
}

func (p program) crowd(b *testing.B) {
	h, _ := p.up(b, 200)
	took := crowd(b, h, 100_000)
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms-p50")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "ms-p99")
	most, after := p.rest(b)
	b.ReportMetric(after, "MB-after")
	reportRow(b, most, "MB", 20)
}

func (p program) looks(b *testing.B) {
	_, c := p.up(b, 200)
	s, err := c.Stream(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	text := []byte(strings.Repeat("x = 'nothing to see here' # a line of a cell\n", 20_000) + "api_key = '" + rand.Text() + rand.Text() + "'\n")
	for range 5 {
		if r, err := s.Search(b.Context(), text); err != nil || len(r.Spans) != 1 {
			b.Fatalf("%v, %v", r, err)
		}
	}
	most, after := p.rest(b)
	b.ReportMetric(most, "MB-at-most")
	reportRow(b, after, "MB", 20)
}

// rest reports what an agent does that is left alone, and returns how many MB it held
// at most until then and holds after it.
func (p program) rest(b *testing.B) (most, after float64) {
	pid := agentPID(b)
	most = statusMB(b, pid, "VmHWM:")
	time.Sleep(2 * time.Second)
	before := ticks(b, pid)
	time.Sleep(5 * time.Second)
	b.ReportMetric(float64(ticks(b, pid)-before)*10, "ms-CPU-in-5-idle-s")
	return most, statusMB(b, pid, "VmRSS:")
}

// reportRow prints a row: got is at most budget, in unit.
func reportRow(b *testing.B, got float64, unit string, budget float64) {
	b.ReportMetric(got, "got-"+unit)
	b.ReportMetric(budget, "budget")
}

func statusMB(b *testing.B, pid int, field string) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), field)
	kB, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kB) / 1024
}

func ticks(b *testing.B, pid int) int {
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
