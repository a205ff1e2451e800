//go:build unix

package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"os/exec"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/client"
	"github.com/nbhush/nbhush/agent/secret"
)

// benchWorld has 200 secrets and serves them.
func benchWorld(b *testing.B) (*world, *client.Client, *client.Stream) {
	b.Helper()
	w := newWorld(b)
	for i := range 200 {
		w.set(b, secret.Name(fmt.Sprintf("NAME_%d", i)))
	}
	w.listen(b)
	c := &client.Client{NoStart: true}
	s, err := c.Stream(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = s.Close()
		c.Close()
	})
	return w, c, s
}

func BenchmarkGet(b *testing.B) {
	w, c, s := benchWorld(b)
	ctx := context.Background()
	names := []secret.Name{"NAME_7"}
	session := w.session()
	dir := w.writeProject(b, "NAME_7")
	w.approve(b, dir)
	hook := w.session(7)
	if _, err := hook.RegisterKernel(ctx, api.Kernel{Dir: dir}); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		get  func() error
	}{
		{"memory", func() error { _, err := session.Get(ctx, names, ""); return err }},
		{"memory, kernel", func() error { _, err := hook.Get(ctx, names, ""); return err }},
		{"http", func() error { _, err := c.Get(ctx, names, ""); return err }},
		{"stream", func() error { _, err := s.Get(ctx, "NAME_7"); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.get(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	w, _, s := benchWorld(b)
	ctx := context.Background()
	for _, size := range []int{100, 100_000, 10_000_000} {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(' ' + i*7%90)
		}
		for _, f := range []struct {
			name string
			find func() error
		}{
			{"memory", func() error { _, err := w.values.Find(ctx, text); return err }},
			{"stream", func() error { _, err := s.Find(ctx, text); return err }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := f.find(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkConnect is what one short command pays before its answer: a
// connection, the peer's ancestors, a request.
func BenchmarkConnect(b *testing.B) {
	_, _, _ = benchWorld(b)
	for b.Loop() {
		c := &client.Client{NoStart: true}
		if _, err := c.Get(context.Background(), []secret.Name{"NAME_7"}, ""); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

// BenchmarkStart is a start on demand: fork, exec, lock, socket, first answer.
func BenchmarkStart(b *testing.B) {
	h := tempHome(b)
	for b.Loop() {
		c := &client.Client{}
		if err := c.Up(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		stopAgent(b)
		waitGone(b, h.AgentLock())
		b.StartTimer()
	}
}

// BenchmarkMemory reports the resident memory of an agent with 200 secrets
// after a search.
func BenchmarkMemory(b *testing.B) {
	h := tempHome(b)
	ctx := context.Background()
	c := &client.Client{}
	defer func() { stopAgent(b); waitGone(b, h.AgentLock()) }()
	for i := range 200 {
		if _, err := c.Set(ctx, secret.Name(fmt.Sprintf("NAME_%d", i)), secret.New([]byte(rand.Text()+rand.Text()))); err != nil {
			b.Fatal(err)
		}
	}
	s, err := c.Stream(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	text := make([]byte, 100_000)
	for b.Loop() {
		if _, err := s.Find(ctx, text); err != nil {
			b.Fatal(err)
		}
	}
	out, err := exec.Command("ps", "-o", "rss=", "-p", fmt.Sprint(agentPID(b))).Output()
	if err != nil {
		b.Skip("no ps here")
	}
	var kb float64
	if _, err := fmt.Sscan(string(out), &kb); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(kb/1024, "MB-resident")
}
