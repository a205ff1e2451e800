package redact

import (
	"io"
	"testing/synctest"
	"time"
)

// chunks is a reader that returns one string at a time.
type chunks struct{ left []string }

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.left[0])
	c.left = c.left[1:]
	return n, nil
}

// wait lets the time of the bubble pass.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
