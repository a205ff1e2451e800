package redact

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/nbhush/nbhush/agent/match"
)

// Copy copies text from src to dst without values until src ends. What may be the start of
// a value waits for more, until nothing has come for as long as a message waits: how long dst
// takes does not count. Of a file all is there, and there is no need to give up.
func (r *Redactor) Copy(ctx context.Context, dst io.Writer, src io.Reader) error {
	chunks := make(chan []byte)
	done := make(chan struct{})
	c := copier{redactor: r, dst: dst}
	if f, ok := src.(*os.File); ok {
		st, err := f.Stat()
		c.whole = err == nil && st.Mode().IsRegular()
		c.more = func() bool { return readable(f) }
	}
	defer close(done)
	var readErr error
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, 32<<10)
			n, err := src.Read(b)
			if n > 0 {
				c.coming.Store(true)
				select {
				case chunks <- b[:n]:
				case <-done:
					return
				}
				c.coming.Store(false)
			}
			if err != nil {
				readErr = err
				return
			}
		}
	}()
	err := c.run(ctx, chunks)
	if err == nil && !errors.Is(readErr, io.EOF) {
		err = readErr
	}
	return err
}

// copier holds the end of a text that was not written yet, or was written but
// may be the start of a value.
type copier struct {
	redactor *Redactor
	dst      io.Writer
	left     []byte // written
	held     []byte // not written
	told     bool   // that text was withheld

	whole  bool        // nothing is to be waited for
	coming atomic.Bool // a piece was read and not taken
	more   func() bool // one can be read; nil where that is not known
}

func (c *copier) run(ctx context.Context, chunks <-chan []byte) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case b, ok := <-chunks:
			if !ok {
				return c.add(ctx, nil, true)
			}
			if err := c.add(ctx, b, false); err != nil {
				return err
			}
			timer.Reset(Hold)
		case <-timer.C:
			if c.whole || len(c.held) == 0 {
				continue
			}
			if c.more != nil && c.more() || c.coming.Load() { // it is there: this machine is slow
				timer.Reset(Hold)
				continue
			}
			if err := c.add(ctx, nil, true); err != nil {
				return err
			}
		}
	}
}

// add searches what is held and b, and writes what later text cannot change:
// everything, if the time is up.
func (c *copier) add(ctx context.Context, b []byte, flush bool) error {
	text := append(c.held, b...)
	if len(text) == 0 {
		return nil
	}
	old := &piece{raw: c.left, sent: true}
	p := &piece{raw: text, joins: true}
	length, tail, err := c.redactor.search(ctx, []*piece{old, p})
	if err != nil {
		return c.withhold(err)
	}
	c.told = false
	open := max(0, length-tail-len(c.left)) // in text
	until := open
	if flush {
		until = len(text)
	}
	if err := c.write(p, until); err != nil {
		return err
	}
	all := append(append([]byte(nil), c.left...), text[:until]...)
	c.left = all[min(len(all), max(0, length-tail)):]
	c.held = append([]byte(nil), text[until:]...)
	return nil
}

// write writes p's text before the offset until, in which no hit is cut.
func (c *copier) write(p *piece, until int) error {
	out, at := []byte(nil), 0
	for _, h := range p.hits {
		if h.end > until {
			break
		}
		out = append(out, p.raw[at:h.start]...)
		if !h.rest {
			out = append(out, match.Placeholder(h.name)...)
		}
		at = h.end
	}
	out = append(out, p.raw[at:until]...)
	if len(out) == 0 {
		return nil
	}
	_, err := c.dst.Write(out)
	return err
}

// withhold forgets text that could not be searched, and says so once.
func (c *copier) withhold(why error) error {
	c.left, c.held = nil, nil
	if c.told {
		return nil
	}
	c.told = true
	_, err := io.WriteString(c.dst, Notice(why)+"\n")
	return err
}
