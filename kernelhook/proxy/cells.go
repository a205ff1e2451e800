package proxy

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

// maxCells is the number of requests to execute code that are remembered.
const maxCells = 4096

// cells are the requests of clients to execute code which the kernel has not
// replied to: the one that runs, and those that wait. It is known for each who
// may be asked something while it runs.
type cells struct {
	count atomic.Int32

	mu   sync.Mutex
	open []*Cell // in the order in which they came
}

// Cell is one request of a client to execute code.
type Cell struct {
	id      string
	peer    []byte // routing id of the client
	header  []byte
	answers bool          // the client answers input_requests
	ended   chan struct{} // closed when the kernel has replied
}

// ID returns the msg_id of the request.
func (c *Cell) ID() string { return c.id }

// Ended is closed when the cell has ended.
func (c *Cell) Ended() <-chan struct{} { return c.ended }

// cellOf returns the cell of a request on shell, nil if it is none to execute code.
// It copies what it keeps of frames.
func cellOf(peer []byte, frames [][]byte) *Cell {
	m, err := wire.Parse(frames)
	if err != nil {
		return nil
	}
	h, _ := wire.ScanHeader(m.Header())
	if h.MsgType != "execute_request" || h.MsgID == "" {
		return nil
	}
	return &Cell{
		id: h.MsgID, peer: peer, header: bytes.Clone(m.Header()),
		answers: allowsStdin(m.Content()), ended: make(chan struct{}),
	}
}

// began notes c. The first request with an id has it: nobody gets the questions of
// another by its msg_id.
func (cs *cells) began(c *Cell) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if slices.ContainsFunc(cs.open, func(o *Cell) bool { return o.id == c.id }) {
		return
	}
	if len(cs.open) == maxCells {
		close(cs.open[0].ended)
		cs.open = slices.Delete(cs.open, 0, 1)
	}
	cs.open = append(cs.open, c)
	cs.count.Store(int32(len(cs.open)))
}

// replied returns the cell that a reply on shell ends, nil if it ends none.
func (cs *cells) replied(m wire.Message) *Cell {
	if cs.count.Load() == 0 {
		return nil
	}
	parent, _ := wire.ScanHeader(m.Parent())
	cs.mu.Lock()
	defer cs.mu.Unlock()
	i := slices.IndexFunc(cs.open, func(c *Cell) bool { return c.id == parent.MsgID })
	if i < 0 {
		return nil
	}
	c := cs.open[i]
	cs.open = slices.Delete(cs.open, i, i+1)
	cs.count.Store(int32(len(cs.open)))
	close(c.ended)
	return c
}

// find returns the cell with this id, or the one that came first, which is the
// one that runs where there are no subshells. Nil if none does.
func (cs *cells) find(id string) *Cell {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.open {
		if c.id == id {
			return c
		}
	}
	if len(cs.open) == 0 {
		return nil
	}
	return cs.open[0]
}

var stdinKey = []byte(`"allow_stdin"`)

// allowsStdin reports whether the content of an execute_request says that the
// client answers input_requests. Within a string the quotes of the key would
// stand behind backslashes. Some clients write code first and some last, so
// both ends are looked at before the rest.
func allowsStdin(content []byte) bool {
	const end = 256
	i := bytes.LastIndex(content[max(0, len(content)-end):], stdinKey)
	if i >= 0 {
		i += max(0, len(content)-end)
	} else if i = keyIndex(content); i < 0 {
		return false
	}
	rest := bytes.TrimLeft(content[i+len(stdinKey):], " \t\r\n")
	rest, ok := bytes.CutPrefix(rest, []byte(":"))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("true"))
}

// keyIndex is bytes.Index of stdinKey, which takes 60 µs for 100 KB that begin with
// a few quotes; this takes 5.
func keyIndex(b []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		if at += n; bytes.HasPrefix(b[at:], stdinKey) {
			return at
		}
		at++
	}
}
