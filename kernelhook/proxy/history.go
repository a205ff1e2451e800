package proxy

import "sync"

// maxHistory is the number of messages that a history knows at most, as many as
// jupyter_client's Session does.
const maxHistory = 1 << 16

// history knows messages of clients by the beginning of their signatures, so that
// one shows that is sent again: the newest half of maxHistory at least. It takes memory
// as messages come, 1 MB in the end, and is safe for concurrent use. The zero
// history knows none.
type history struct {
	mu       sync.Mutex
	new, old tags // old is full, or empty
}

// again reports whether tag is known, and knows it from now on.
func (h *history) again(tag uint64) bool {
	tag = max(tag, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.old.has(tag) || h.new.has(tag) {
		return true
	}
	if h.new.count == maxHistory/2 {
		h.new, h.old = h.old, h.new
		clear(h.new.slots)
		h.new.count = 0
	}
	h.new.put(tag)
	return false
}

// tags is a set of numbers that are not 0. They are their own hashes, since they
// come out of one: each stands in the slot that its lower bits say, or in the next
// free one.
type tags struct {
	slots []uint64 // 0 where nothing is; as many as a power of two, half of them free
	count int
}

func (t *tags) has(tag uint64) bool {
	return len(t.slots) > 0 && t.slots[t.slot(tag)] == tag
}

// slot returns where tag stands, or has to.
func (t *tags) slot(tag uint64) uint64 {
	last := uint64(len(t.slots) - 1)
	at := tag & last
	for t.slots[at] != 0 && t.slots[at] != tag {
		at = (at + 1) & last
	}
	return at
}

// put adds tag, which the set has not.
func (t *tags) put(tag uint64) {
	if 2*t.count >= len(t.slots) {
		was := t.slots
		t.slots = make([]uint64, max(64, 2*len(was)))
		for _, tag := range was {
			if tag != 0 {
				t.slots[t.slot(tag)] = tag
			}
		}
	}
	t.slots[t.slot(tag)] = tag
	t.count++
}
