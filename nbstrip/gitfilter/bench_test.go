package gitfilter

import (
	"errors"
	"io"
)

// copyProcess is the filter process that only copies: what ours is measured against.
func copyProcess(r io.Reader, w io.Writer) error {
	c, err := start(r, w)
	if err != nil {
		return err
	}
	for c.Scan() {
		if err := errors.Join(c.req.Err, c.respond(c.req.Content)); err != nil {
			return err
		}
	}
	return c.Err()
}
