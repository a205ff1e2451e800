package detect

import (
	"bytes"
	"context"
)

const (
	// maxValue is the length of the longest secret that is looked for.
	maxValue = 8 << 10
	// maxDepth is how many encodings are undone, one in the other.
	maxDepth = 3
	// blobBlock is how many characters of base64 in a row are taken for a
	// picture or a program.
	blobBlock = 4096
)

// scan is the search of one text, or of a view of it.
type scan struct {
	ctx   context.Context
	set   *ruleSet
	text  []byte
	depth int
	out   *collector

	// The way back: the text is at at in the one that Find was given, or else
	// it is a view of parent's.
	at     int
	parent *scan
	back   func(start, end int) (int, int)

	searched []int // by rule: up to where its expression was tried
	labelled int   // up to where labels were looked at
}

// up leads from the text to the one that Find was given.
func (s *scan) up(start, end int) (int, int) {
	if s.parent == nil {
		return start + s.at, end + s.at
	}
	return s.parent.up(s.back(start, end))
}

// all searches the text and the views of it.
func (s *scan) all() {
	defer s.done()
	if bytes.IndexByte(s.text, 0x1b) >= 0 {
		s.withoutColours()
		return
	}
	for from := 0; from < len(s.text); {
		if s.ctx.Err() != nil {
			return
		}
		var to int
		from, to = nextPart(s.text, from)
		s.part(from, to)
		from = to
	}
}

// done gives back what the next scan can use.
func (s *scan) done() {
	if s.searched != nil {
		clear(s.searched)
		s.out.searched = append(s.out.searched, s.searched)
		s.searched = nil
	}
}

// part searches text[from:to], which has no long base64.
func (s *scan) part(from, to int) {
	if from >= to {
		return
	}
	s.set.words.search(s.text, from, to, func(k uint16, end int) {
		s.keyword(int(k), end)
	})
	if s.ctx.Err() == nil {
		s.views(from, to)
	}
}

// keyword tries the rules of keyword k, which ends at end.
func (s *scan) keyword(k, end int) {
	start := end - len(s.set.keywords[k])
	for _, i := range s.set.byKeyword[k] {
		r := s.set.rules[i]
		switch {
		case r.find != nil:
			r.find(s, r, start, end)
		case r.anchored:
			s.anchored(r, start)
		default:
			s.expression(int(i), r, start, end)
		}
	}
}

// anchored tries a rule whose match begins with its keyword.
func (s *scan) anchored(r *rule, start int) {
	if !s.startsWord(start) || !isWord[s.text[start]] && start > 0 && isWord[s.text[start-1]] && isWord[s.text[start]] {
		return
	}
	r.compile()
	if r.re == nil {
		return
	}
	window := s.text[start:min(len(s.text), start+r.bounds.longest+8)]
	if r.bounds.longest == maxWindow {
		window = s.text[start:min(len(s.text), start+maxValue)]
	}
	if !hasRun(window, r.bounds.run) {
		return
	}
	m := r.re.FindSubmatchIndex(window)
	if m != nil {
		s.matched(r, start, m)
	}
}

// startsWord reports whether no word reaches over start from the left.
func (s *scan) startsWord(start int) bool {
	if start == 0 || !isWord[s.text[start-1]] {
		return true
	}
	return start > 1 && s.text[start-2] == '\\' && bytes.IndexByte([]byte("nrt"), s.text[start-1]) >= 0
}

// expression tries a rule around its keyword.
func (s *scan) expression(i int, r *rule, start, end int) {
	if n := len(s.out.searched); s.searched == nil && n > 0 {
		s.searched, s.out.searched = s.out.searched[n-1], s.out.searched[:n-1]
	} else if s.searched == nil {
		s.searched = make([]int, len(s.set.rules))
	}
	if s.searched[i] > start {
		return
	}
	r.compile()
	if r.re == nil {
		return
	}
	from, to := max(0, start-nearWindow, s.searched[i]), min(len(s.text), end+r.bounds.longest+nearWindow)
	if !hasRun(s.text[max(0, start-r.bounds.run):to], r.bounds.run) {
		return
	}
	for at := from; at < to; {
		m := r.re.FindSubmatchIndex(s.text[at:to])
		if m == nil {
			break
		}
		s.matched(r, at, m)
		at += max(m[1]-1, m[0]+1)
		s.searched[i] = at
	}
	s.searched[i] = max(s.searched[i], end)
}

// hasRun reports whether n characters of token stand in a row in b.
func hasRun(b []byte, n int) bool {
	if n < 2 {
		return true
	}
	for at := n - 1; at < len(b); {
		back := 0
		for back < n && isToken[b[at-back]] {
			back++
		}
		if back == n {
			return true
		}
		at += n - back
	}
	return false
}

// matched takes a match of r, m being relative to at.
func (s *scan) matched(r *rule, at int, m []int) {
	g := r.group
	if g == 0 {
		for g = 1; 2*g+1 < len(m) && m[2*g] == m[2*g+1]; g++ {
		}
		if 2*g+1 >= len(m) {
			g = 0
		}
	}
	if 2*g+1 >= len(m) || m[2*g] < 0 {
		return
	}
	start, end := at+m[2*g], at+m[2*g+1]
	secret, whole := s.text[start:end], s.text[at+m[0]:at+m[1]]
	if start == end || r.entropy > 0 && entropy(secret) <= r.entropy || r.check != nil && !r.check(secret) {
		return
	}
	from, to := lineOf(s.text, start, end)
	line := s.text[from:min(to, from+2000)]
	for _, a := range r.allow {
		if a.allows(secret, whole, line) {
			return
		}
	}
	for _, a := range s.set.allow {
		if a.allows(secret, whole, line) {
			return
		}
	}
	s.add(r, start, end)
}

// add takes text[start:end] as a finding unless it is a placeholder.
func (s *scan) add(r *rule, start, end int) {
	secret := s.text[start:end]
	if isExample(secret) || bytes.Contains(secret, []byte("[nbhush:")) || !r.lenient && placeholder(secret) {
		return
	}
	start, end = s.up(start, end)
	s.out.found = append(s.out.found, finding{start, end, r.id, r.rank})
}

// nextPart returns the first part of text from at on that is no long base64.
func nextPart(text []byte, at int) (from, to int) {
	for at < len(text) && isBlob(text, at) {
		at += blobBlock
	}
	to = at
	for to < len(text) && !isBlob(text, to) {
		to += blobBlock
	}
	return min(at, len(text)), min(to, len(text))
}

// isBlob reports whether text[at:at+blobBlock] is all base64, in lines or not.
func isBlob(text []byte, at int) bool {
	if at+blobBlock > len(text) {
		return false
	}
	block := text[at : at+blobBlock]
	breaks := 0
	for _, c := range block {
		if !isBase64[c] {
			if c != '\n' && c != '\r' {
				return false
			}
			if breaks++; breaks > blobBlock/30 {
				return false
			}
		}
	}
	return true
}
