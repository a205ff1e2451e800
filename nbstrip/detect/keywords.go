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

// search calls found with every keyword in text[from:to], in the order of their ends, and
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
	row  int
	next []uint16 // state*row + class -> state, 0 for none: nothing leads to the root
	fail []uint16
	ends [][]uint16
}

func newTrie(a *automaton, words []string) *trie {
	size := 1
	for _, w := range words {
		size += len(w)
	}
	t := &trie{row: 1 << a.rowBits}
	t.next, t.fail, t.ends = make([]uint16, t.row, size*t.row), make([]uint16, 1, size), make([][]uint16, 1, size)
	for n, w := range words {
		s := 0
		for i := range len(w) {
			to := &t.next[s*t.row+int(a.class[w[i]])]
			if *to == 0 {
				*to = uint16(len(t.ends))
				t.next, t.fail, t.ends = t.next[:len(t.next)+t.row], append(t.fail, 0), append(t.ends, nil)
			}
			s = int(*to)
		}
		t.ends[s] = append(t.ends[s], uint16(n))
	}
	t.complete()
	return t
}

// complete fills in the transitions that the words themselves do not have.
func (t *trie) complete() {
	var queue []uint16
	for _, s := range t.next[:t.row] {
		if s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := int(queue[0])
		queue = queue[1:]
		fail := int(t.fail[s])
		t.ends[s] = append(t.ends[s], t.ends[fail]...)
		row, over := t.next[s*t.row:(s+1)*t.row], t.next[fail*t.row:(fail+1)*t.row]
		for c, child := range row {
			if child == 0 {
				row[c] = over[c]
				continue
			}
			t.fail[child] = over[c]
			queue = append(queue, child)
		}
	}
}

// number takes the states over, those that end a keyword last.
func (a *automaton) number(t *trie) {
	order, silent := make([]uint16, len(t.ends)), 0
	for s, ends := range t.ends {
		if ends == nil {
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
	a.next = make([]uint16, len(t.next))
	for s := range t.ends {
		to := a.next[int(order[s])<<a.rowBits:]
		for c, n := range t.next[s*t.row : (s+1)*t.row] {
			to[c] = order[n]
		}
	}
}
