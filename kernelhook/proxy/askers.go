package proxy

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

// maxAskers is the number of requests that are remembered.
const maxAskers = 4096

// askers remember which client a request came from, for kernels that leave the
// identities out of their replies, as Deno's does: it takes whoever is connected
// for the client. Nothing is remembered until such a reply has come, which is
// the one to the hook's own first request.
type askers struct {
	needed atomic.Bool

	mu    sync.Mutex
	peers map[string][]byte // by msg_id
	ids   []string          // of peers, the oldest first
}

// note remembers where the request in frames came from.
func (a *askers) note(peer []byte, frames [][]byte) {
	m, err := wire.Parse(frames)
	if err != nil {
		return
	}
	h, _ := wire.ScanHeader(m.Header())
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.peers[h.MsgID]; ok || h.MsgID == "" {
		return // the first one has it: nobody gets the replies of another by its msg_id
	}
	if len(a.ids) == maxAskers {
		delete(a.peers, a.ids[0])
		a.ids = a.ids[1:]
	}
	if a.peers == nil {
		a.peers = map[string][]byte{}
	}
	a.peers[h.MsgID] = bytes.Clone(peer)
	a.ids = append(a.ids, h.MsgID)
}

// of returns whom a message without identities is for, or nil. self is the
// session of the hook's own requests.
func (a *askers) of(m wire.Message, self []byte) (peer []byte, own bool) {
	parent, _ := wire.ScanHeader(m.Parent())
	if parent.Session == string(self) {
		a.needed.Store(true)
		return nil, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.peers[parent.MsgID], false
}
