package detect

// automaton finds many keywords in one pass, whatever the case of their ASCII
// letters: Aho and Corasick's, with all transitions filled in. States from
// firstHit on end at least one keyword.
type automaton struct {
	class    [256]uint8
	next     []uint16 // state<<rowBits | class -> state
	rowBits  uint
	firstHit uint16
	hits     [][]uint16 // of state - firstHit: keywords that end there
}

// hit calls found with every keyword of text, in the order of their ends, and
// the offset behind it.
func (a *automaton) search(text []byte, from, to int, found func(keyword uint16, end int)) {
	state := uint16(0)
	next, bits, first := a.next, a.rowBits, a.firstHit
	for i, c := range text[from:to] {
		state = next[uint(state)<<(bits&15)|uint(a.class[c])]
		if state >= first {
			for _, k := range a.hits[state-first] {
				found(k, from+i+1)
			}
		}
	}
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// newAutomaton makes an automaton; keyword i is words[i]. There must be fewer
// than 1<<16 bytes in words.
func newAutomaton(words []string) *automaton {
	a := &automaton{}
	classes := 1
	for _, w := range words {
		for i := range len(w) {
			if c := fold(w[i]); a.class[c] == 0 {
				a.class[c] = uint8(classes)
				classes++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c|0x20]
	}
	for 1<<a.rowBits < classes {
		a.rowBits++
	}
	t := newTrie(a, words)
	a.number(t)
	return a
}

// trie is an automaton whose states are numbered as they were made.
type trie struct {
	next [][]int32 // 0 for none: nothing leads to the root
	fail []int32
	ends [][]uint16
}

func newTrie(a *automaton, words []string) *trie {
	row := 1 << a.rowBits
	t := &trie{next: [][]int32{make([]int32, row)}, fail: []int32{0}, ends: [][]uint16{nil}}
	for n, w := range words {
		s := int32(0)
		for i := range len(w) {
			c := a.class[w[i]]
			if t.next[s][c] == 0 {
				t.next[s][c] = int32(len(t.next))
				t.next, t.fail, t.ends = append(t.next, make([]int32, row)), append(t.fail, 0), append(t.ends, nil)
			}
			s = t.next[s][c]
		}
		t.ends[s] = append(t.ends[s], uint16(n))
	}
	t.complete()
	return t
}

// complete fills in the transitions that the words themselves do not have.
func (t *trie) complete() {
	var queue []int32
	for _, s := range t.next[0] {
		if s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		t.ends[s] = append(t.ends[s], t.ends[t.fail[s]]...)
		for c, child := range t.next[s] {
			over := t.next[t.fail[s]][c]
			if child == 0 {
				t.next[s][c] = over
				continue
			}
			t.fail[child] = over
			queue = append(queue, child)
		}
	}
}

// number takes the states over, those that end a keyword last.
func (a *automaton) number(t *trie) {
	order, silent := make([]uint16, len(t.next)), 0
	for s := range t.next {
		if t.ends[s] == nil {
			order[s] = uint16(silent)
			silent++
		}
	}
	a.firstHit = uint16(silent)
	for s, ends := range t.ends {
		if ends != nil {
			order[s] = a.firstHit + uint16(len(a.hits))
			a.hits = append(a.hits, ends)
		}
	}
	a.next = make([]uint16, len(t.next)<<a.rowBits)
	for s, row := range t.next {
		for c, to := range row {
			a.next[int(order[s])<<a.rowBits|c] = order[to]
		}
	}
}
