package gitfilter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

var errHandshake = errors.New("this is not git's filter protocol, version 2")

// request is one command of git. Content is the buffer of the conversation, valid until the next Scan.
type request struct {
	Command string // clean or smudge; others are answered with an error
	Path    string // as git stores it: from the top of the work tree, with slashes
	Content []byte
	// Err says why Content is not all of the file; the conversation goes on.
	Err error
}

// conversation is the long-running filter process protocol, version 2, in the
// shape of a bufio.Scanner: after start, each Scan reads a request, which is
// answered by respond or refuse before the next Scan. It is for one goroutine.
type conversation struct {
	p   *packets
	req request
	buf []byte
	err error
}

// start does the handshake: welcome, version, capabilities.
func start(r io.Reader, w io.Writer) (*conversation, error) {
	widen(r)
	widen(w)
	c := &conversation{p: newPackets(r, w)}
	hello, err := c.handshakeList()
	if err != nil {
		return nil, err
	}
	if len(hello) == 0 || hello[0] != "git-filter-client" || !slices.Contains(hello[1:], "version=2") {
		return nil, errHandshake
	}
	if err := c.send("git-filter-server", "version=2"); err != nil {
		return nil, err
	}
	offered, err := c.handshakeList()
	if err != nil {
		return nil, err
	}
	var taken []string
	for _, ours := range []string{"capability=clean", "capability=smudge"} {
		if slices.Contains(offered, ours) {
			taken = append(taken, ours)
		}
	}
	return c, c.send(taken...)
}

func (c *conversation) handshakeList() ([]string, error) {
	lines, err := c.p.list()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, eofIsShort(err))
	}
	return lines, nil
}

func (c *conversation) send(lines ...string) error {
	if err := c.p.writeList(lines...); err != nil {
		return err
	}
	return c.p.w.Flush()
}

// Scan reads the next request. It returns false when git hangs up, which is
// how the conversation ends, and when what comes is not the protocol.
func (c *conversation) Scan() bool {
	if c.err != nil {
		return false
	}
	lines, err := c.p.list()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			c.err = err
		}
		return false
	}
	// The values of unknown keys, such as ref= and treeish=, are of no use here.
	c.req = request{}
	named := false
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "command":
			c.req.Command = value
		case "pathname":
			c.req.Path, named = value, true
		}
	}
	if !named {
		return true // a command about no file has no content
	}
	c.buf, err = c.p.content(c.buf[:0])
	switch {
	case errors.Is(err, errContent):
		c.req.Err = err
	case err != nil:
		c.err = err
		return false
	}
	c.req.Content = c.buf
	return true
}

// Err returns why Scan returned false, nil if git hung up between two commands.
func (c *conversation) Err() error { return c.err }

// respond answers the request with content, in one write as far as it fits.
func (c *conversation) respond(content []byte) error {
	if err := c.p.writeList("status=success"); err != nil {
		return err
	}
	if err := c.p.writeContent(content); err != nil {
		return err
	}
	// An empty list: the status of before goes for the content as well.
	if err := c.p.writeList(); err != nil {
		return err
	}
	return c.p.w.Flush()
}

// refuse answers that this file could not be filtered. Since the filter is
// required, git gives up then and stores nothing.
func (c *conversation) refuse() error { return c.send("status=error") }

func eofIsShort(err error) error {
	if errors.Is(err, io.EOF) {
		return errShort
	}
	return err
}

// Process serves git until it hangs up, which is no error.
func (f *Filter) Process(ctx context.Context, r io.Reader, w io.Writer) error {
	c, err := start(r, w)
	if err != nil {
		return fmt.Errorf("talk to git: %w", err)
	}
	for c.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.answer(ctx, c); err != nil {
			return fmt.Errorf("answer git: %w", err)
		}
	}
	if err := c.Err(); err != nil {
		return fmt.Errorf("talk to git: %w", err)
	}
	return nil
}

func (f *Filter) answer(ctx context.Context, c *conversation) error {
	switch {
	case c.req.Err != nil:
		f.report(&RefusedError{Path: c.req.Path, Err: c.req.Err})
		return c.refuse()
	case c.req.Command == "smudge":
		return c.respond(f.Smudge(ctx, c.req.Path, c.req.Content))
	case c.req.Command == "clean" && c.req.Path != "":
		out, err := f.clean(ctx, c.req.Path, c.req.Content)
		if err != nil {
			f.report(err)
			return c.refuse()
		}
		return c.respond(out)
	}
	return c.refuse()
}
