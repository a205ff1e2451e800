package main

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strings"
)

// gitIgnored knows what git ignores below a folder of a work tree. It asks a git that
// goes on running, since a folder may hold a hundred thousand files. It is not safe for
// concurrent use.
type gitIgnored struct {
	ctx  context.Context // ends git
	dir  string
	in   io.WriteCloser // nil while none runs
	out  *bufio.Reader
	wait func() error
}

// newGitIgnored returns nil where dir is in no work tree, or is itself ignored: who
// names it wants what is in it.
func newGitIgnored(ctx context.Context, dir string) *gitIgnored {
	g := &gitIgnored{ctx: ctx, dir: dir}
	if exec.CommandContext(ctx, "git", "-C", dir, "check-ignore", "-q", ".").Run() == nil {
		return nil
	}
	if !g.start() {
		return nil
	}
	return g
}

func (g *gitIgnored) start() bool {
	cmd := exec.CommandContext(g.ctx, "git", "-C", g.dir, "check-ignore", "-z", "--stdin", "--verbose", "--non-matching")
	in, err := cmd.StdinPipe()
	if err != nil {
		return false
	}
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return false
	}
	g.in, g.out, g.wait = in, bufio.NewReader(out), cmd.Wait
	return true
}

// has reports whether git ignores path, which is absolute; what git tracks it does
// not. A path that git says nothing of, as below another repository, is not ignored.
func (g *gitIgnored) has(path string) bool {
	if g == nil || g.in == nil && !g.start() {
		return false
	}
	if _, err := io.WriteString(g.in, path+"\x00"); err != nil {
		return g.ended()
	}
	var fields [4]string // the file of the pattern, its line, the pattern, path
	for i := range fields {
		f, err := g.out.ReadString(0)
		if err != nil {
			return g.ended()
		}
		fields[i] = strings.TrimSuffix(f, "\x00")
	}
	return fields[0] != "" && !strings.HasPrefix(fields[2], "!")
}

// ended is for a git that ended; the next question starts another one.
func (g *gitIgnored) ended() bool {
	_ = g.in.Close()
	_ = g.wait()
	g.in = nil
	return false
}
