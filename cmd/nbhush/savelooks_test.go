//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
)

// opLooks asks for known values and what looks like a secret.
const opLooks api.Op = 'P'

// looker is an agent that knows one value and how others look.
type looker struct {
	version int
	mu      sync.Mutex
	asked   map[api.Op]int // bytes
}

var (
	known = regexp.MustCompile(`known-value`)
	looks = regexp.MustCompile(`known-value|looks-[a-z]{8}|"password": "[^"]{6,}"`)
)

func (l *looker) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	if _, err := http.ReadRequest(r); err != nil {
		return
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\n%s: %d\r\n\r\n", api.Protocol, api.VersionHeader, l.version)
	for {
		head, text, err := api.ReadFrame(r, nil)
		if err != nil || api.Op(head) == opLooks && l.version < 2 {
			return // as for every op that is not known
		}
		l.mu.Lock()
		l.asked[api.Op(head)] += len(text)
		l.mu.Unlock()
		find, res := known, match.Result{}
		if api.Op(head) == opLooks {
			find = looks
		}
		for _, at := range find.FindAllIndex(text, -1) {
			name, quoted := "RULE-1234", strings.HasPrefix(string(text[at[0]:at[1]]), `"`)
			if known.Match(text[at[0]:at[1]]) {
				name = "KNOWN"
			}
			if quoted { // the password alone
				at = []int{at[0] + len(`"password": "`), at[1] - 1}
			}
			res.Spans = append(res.Spans, match.Span{Start: at[0], End: at[1], Name: name})
		}
		if _, err := c.Write(api.AppendFrame(nil, api.StatusOK, api.AppendResult(nil, res))); err != nil {
			return
		}
	}
}

// TestSaveLooks saves beside agents that find what looks like a secret, and one that does not.
func TestSaveLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nbhush("", nil, "jupyter", "enable")
	const strip = "#!/bin/sh\n[ \"$1\" = agent ] && echo SOCKET && exit\n[ -e broken ] && exit 1\nif [ -e .nbhushignore ]; then cat; else sed s/looks-[a-z]*/[nbhush:RULE-5678]/; fi\n"
	long := strings.Repeat("a line that is long enough to be remembered\n", 5000)
	for name, c := range map[string]struct {
		version int
		files   []string
		cells   []string // of one notebook after the other
		want    []string
		most    int // bytes that are searched for what looks like a secret

		password, wantPassword string // only what stands before it tells what it is
	}{
		"an agent that does not": {
			version: 1, cells: []string{"known-value looks-abcdefgh"}, want: []string{"[nbhush:KNOWN] looks-abcdefgh"},
		},
		"decided by nbhush": {version: 2, cells: []string{"x looks-abcdefgh"}, want: []string{"x [nbhush:RULE-5678]"}, most: 2000},
		"nbhush cannot decide": {
			version: 2, files: []string{"broken"}, cells: []string{"x looks-abcdefgh"}, want: []string{"x [nbhush:RULE-1234]"}, most: 2000,
			password: "correct horse", wantPassword: "[nbhush:RULE-1234]",
		},
		"an exception": {version: 2, files: []string{".nbhushignore"}, cells: []string{"x looks-abcdefgh"}, want: []string{"x looks-abcdefgh"}, most: 2000},
		"clean texts are not searched again": {
			version: 2, cells: []string{long + "1", long + "1", long + "known-value", long + "known-value"},
			want: []string{long + "1", long + "1", long + "[nbhush:KNOWN]", long + "[nbhush:KNOWN]"}, most: 3*len(long) + 4000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			l := &looker{version: c.version, asked: map[api.Op]int{}}
			socket := filepath.Join(t.TempDir(), "s")
			w.mkdir("project")
			listen(t, socket, l.serve)
			w.write("stub", strings.Replace(strip, "SOCKET", socket, 1))
			w.run(w.command("", "chmod", "+x", "stub"))
			for _, file := range c.files {
				w.write("project/"+file, "")
			}
			var in []any
			for _, source := range c.cells {
				in = append(in, map[string]any{
					"cells": []any{map[string]any{"cell_type": "raw", "metadata": map[string]any{"password": c.password}, "source": source}}, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 2,
				})
			}
			sources, passwords := w.saveLooks(in)
			if err := os.RemoveAll(filepath.Join(w.dir, "project")); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(sources, c.want) {
				t.Errorf("got %.200q", sources)
			}
			if passwords[0] != c.wantPassword {
				t.Errorf("the password is %q, want %q", passwords[0], c.wantPassword)
			}
			if l.asked[opLooks] > c.most || l.asked[api.OpFind] == 0 && c.version == 1 {
				t.Errorf("asked %v, at most %d for looks", l.asked, c.most)
			}
		})
	}
}

// saveLooks saves the notebooks and returns, of their first cells, the source and the password.
func (w *world) saveLooks(in []any) (sources, passwords []string) {
	w.Helper()
	body, _ := json.Marshal(in)
	cmd := w.command("", w.python, w.script("save_looks.py"), filepath.Join(w.dir, ".local/share/nbhush/jupyter"), filepath.Join(w.dir, "stub"), filepath.Join(w.dir, "project"))
	cmd.Env = append(cmd.Env, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = strings.NewReader(string(body))
	var saved []struct {
		Cells []struct {
			Source   string
			Metadata struct{ Password string }
		}
	}
	if out := w.run(cmd); json.Unmarshal(out, &saved) != nil {
		w.Fatalf("%s", out)
	}
	for _, nb := range saved {
		sources, passwords = append(sources, nb.Cells[0].Source), append(passwords, nb.Cells[0].Metadata.Password)
	}
	return sources, passwords
}

// listen serves connections on a unix socket until the test ends.
func listen(t *testing.T, path string, serve func(net.Conn)) {
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}
