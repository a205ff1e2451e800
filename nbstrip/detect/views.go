package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"slices"
	"sort"
	"unicode/utf8"
)

// A view is a text as somebody sees it who looks at a screen, joins strings or
// decodes: other bytes, and a way back to where they come from.

const (
	minBlob = 20   // characters that are tried as base64 or hex
	maxBlob = 8192 // more is no secret
	maxSite = 4096 // bytes of a statement whose strings are joined
)

// mapped is a text made of pieces of another one.
type mapped struct {
	text  []byte
	atoms []atom
	open  bool // a script that does not end was seen
}

// atom is some bytes of a view from at on: size bytes of the source from src
// on that stand for one thing, or, when size is 0, source bytes one by one.
type atom struct{ at, src, size int }

// copy appends src[from:to].
func (m *mapped) copy(src []byte, from, to int) {
	if from < to {
		m.atoms = append(m.atoms, atom{at: len(m.text), src: from})
		m.text = append(m.text, src[from:to]...)
	}
}

// put appends b for size bytes of the source.
func (m *mapped) put(b string, src, size int) {
	if b != "" {
		m.atoms = append(m.atoms, atom{at: len(m.text), src: src, size: max(size, 1)})
		m.text = append(m.text, b...)
	}
}

// span returns where a part of the view comes from.
func (m *mapped) span(start, end int) (int, int) {
	a, b := m.atomOf(start), m.atomOf(end-1)
	from, to := a.src, b.src+b.size
	if a.size == 0 {
		from += start - a.at
	}
	if b.size == 0 {
		to += end - b.at
	}
	return from, to
}

func (m *mapped) atomOf(i int) atom {
	n := sort.Search(len(m.atoms), func(k int) bool { return m.atoms[k].at > i })
	return m.atoms[n-1]
}

// into searches a view of the text; back leads from it to the text.
func (s *scan) into(view []byte, back func(start, end int) (int, int)) {
	if s.depth >= maxDepth || len(view) == 0 { // colours are undone before any view
		return
	}
	child := scan{ctx: s.ctx, set: s.set, text: view, depth: s.depth + 1, out: s.out, parent: s, back: back}
	child.all()
}

// newView returns an empty view; search or drop takes it back.
func (s *scan) newView() *mapped {
	if n := len(s.out.views); n > 0 {
		m := s.out.views[n-1]
		s.out.views = s.out.views[:n-1]
		return m
	}
	return &mapped{}
}

// search searches m and drops it.
func (s *scan) search(m *mapped) {
	s.into(m.text, m.span)
	s.drop(m)
}

// drop wipes m, which may hold a secret.
func (s *scan) drop(m *mapped) {
	clear(m.text)
	m.text, m.atoms, m.open = m.text[:0], m.atoms[:0], false
	s.out.views = append(s.out.views, m)
}

// views searches the views of text[from:to].
func (s *scan) views(from, to int) {
	if s.depth >= maxDepth {
		return
	}
	text := s.text[from:to]
	if looksHTML(text) {
		if m := s.newView(); m.withoutTags(s.text, from, to) {
			s.search(m)
		} else {
			s.drop(m)
		}
	}
	if hasEscapes(text) {
		m := s.newView()
		m.withoutEscapes(s.text, from, to)
		s.search(m)
	}
	s.joins(from, to)
	s.lists(from, to)
	s.sums(from, to)
	s.blobs(from, to)
	s.percents(from, to)
}

// withoutColours searches the text as a terminal shows it.
func (s *scan) withoutColours() {
	m := s.newView()
	text, at := s.text, 0
	for at < len(text) {
		i := bytes.IndexByte(text[at:], 0x1b)
		if i < 0 {
			break
		}
		m.copy(text, at, at+i)
		at += i + escapeLen(text[at+i:])
	}
	m.copy(text, at, len(text))
	s.search(m)
}

// escapeLen is the length of the control sequence that b begins with (ECMA-48, 5.4).
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 1
	}
	switch b[1] {
	case '[':
		n := 2
		for n < len(b) && b[n] >= 0x20 && b[n] < 0x40 {
			n++
		}
		if n < len(b) && b[n] >= 0x40 && b[n] < 0x7f {
			n++
		}
		return n
	case ']': // a title or a link, up to BEL or ESC \
		for n := 2; n < len(b) && n < 4096; n++ {
			if b[n] == 7 {
				return n + 1
			}
			if b[n] == 0x1b && n+1 < len(b) && b[n+1] == '\\' {
				return n + 2
			}
		}
	}
	return 2
}

func looksHTML(text []byte) bool {
	return bytes.Contains(text, []byte("</")) || bytes.Contains(text, []byte("&quot;")) || bytes.Contains(text, []byte("&#39;")) || bytes.Contains(text, []byte("&amp;"))
}

// tagText is what stands for a tag in the view; nothing for others.
var tagText = map[string]string{
	"/td": "\t", "/th": "\t", "/tr": "\n", "tr": "", "br": "\n", "/p": "\n", "p": "\n", "/div": "\n", "div": "\n", "/li": "\n", "li": "\n",
	"/pre": "\n", "pre": "\n", "/h1": "\n", "/h2": "\n", "/h3": "\n", "/h4": "\n", "/table": "\n", "table": "\n", "/dt": "\t", "/dd": "\n", "/label": " ", "/option": "\n",
}

// inTable are the tags between which blanks mean nothing.
var inTable = wordSet("table /table thead /thead tbody /tbody tr /tr /td /th dl /dl /dt /dd")

// withoutTags appends text[from:to] as a browser shows it: cells of tables with
// tabs between them, rows in lines; false if there is nothing to undo.
func (m *mapped) withoutTags(text []byte, from, to int) (changed bool) {
	at := from
	for at < to {
		i := bytes.IndexAny(text[at:to], "<&")
		if i < 0 {
			break
		}
		m.copy(text, at, at+i)
		at += i
		n := 0
		if text[at] == '&' {
			n = m.entity(text[at:min(to, at+12)], at)
		} else {
			n = m.tag(text, at, to)
		}
		if n == 0 {
			m.copy(text, at, at+1)
			n = 1
		} else {
			changed = true
		}
		at += n
	}
	m.copy(text, at, to)
	return changed
}

func (m *mapped) entity(b []byte, at int) int {
	end := bytes.IndexByte(b, ';')
	if end < 2 {
		return 0
	}
	decoded := html.UnescapeString(string(b[:end+1]))
	if utf8.RuneCountInString(decoded) != 1 {
		return 0
	}
	if decoded == "\u00a0" {
		decoded = " "
	}
	m.put(decoded, at, end+1)
	return end + 1
}

func (m *mapped) tag(text []byte, at, to int) int {
	b := text[at+1 : min(to, at+1+maxSite)]
	if len(b) == 0 || !isLetter(b[0]) && b[0] != '/' && b[0] != '!' {
		return 0
	}
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		return 0
	}
	n := 1
	for n < end && isAlnum(b[n]) {
		n++
	}
	name := string(bytes.ToLower(b[:n]))
	size := end + 2
	m.put(tagText[name], at, size)
	switch {
	case (name == "script" || name == "style") && !m.open:
		if i := bytes.Index(text[at:to], []byte("</"+name)); i > 0 {
			return i
		}
		m.open = true
	case inTable()[name]:
		for at+size < to && isSpace(text[at+size]) {
			size++
		}
	}
	return size
}

func hasEscapes(text []byte) bool {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '\\')
		if i < 0 || at+i+1 >= len(text) {
			return false
		}
		at += i + 1
		switch text[at] {
		case '"', '\'', '/', '\\', 'u', 'x':
			return true
		}
	}
}

// withoutEscapes appends text[from:to] with the escapes of strings undone once.
func (m *mapped) withoutEscapes(text []byte, from, to int) {
	at := from
	for at < to {
		i := bytes.IndexByte(text[at:to], '\\')
		if i < 0 || at+i+1 >= to {
			break
		}
		m.copy(text, at, at+i)
		at += i
		size, out := 2, ""
		switch c := text[at+1]; c {
		case '"', '\'', '/', '\\':
			out = string(c)
		case 'n':
			out = "\n"
		case 't':
			out = "\t"
		case 'r':
			out = "\r"
		case 'u', 'x':
			digits := 4
			if c == 'x' {
				digits = 2
			}
			var r rune
			if r, size = hexRune(text[at+2:to], digits); size > 0 {
				out = string(r)
			}
		}
		if out == "" {
			m.copy(text, at, at+1)
			at++
			continue
		}
		m.put(out, at, size)
		at += size
	}
	m.copy(text, at, to)
}

// hexRune reads digits of an escape and returns the length of all of it, 0 for none.
func hexRune(b []byte, digits int) (r rune, size int) {
	if len(b) < digits {
		return 0, 0
	}
	for _, c := range b[:digits] {
		if !isHex[c] {
			return 0, 0
		}
		r = r<<4 | rune(hexDigit(c))
	}
	if r == 0 {
		return 0, 0
	}
	return r, 2 + digits
}

func hexDigit(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// joins searches statements in which strings stand side by side, or with a
// plus between them, with those strings joined.
func (s *scan) joins(from, to int) {
	for at := from; at < to; {
		site := nextJoin(s.text, at, to)
		if site.end == 0 {
			return
		}
		lo, _ := lineOf(s.text, site.start, site.start)
		if lo > 0 { // name = (
			lo, _ = lineOf(s.text, lo-1, lo-1)
		}
		lo = max(lo, from, site.start-maxSite)
		m, end := s.newView(), site
		at = lo
		for {
			m.copy(s.text, at, end.start)
			at = end.end
			_, eol := lineOf(s.text, end.end, end.end)
			next := nextJoin(s.text, at, min(to, eol, lo+maxSite))
			if next.end == 0 {
				at = min(eol, end.end+maxSite)
				break
			}
			end = next
		}
		m.copy(s.text, end.end, at)
		s.search(m)
		at = max(at, end.end)
	}
}

var listJoin = []byte(".join(")

// lists searches statements that join a list of strings, with those joined.
func (s *scan) lists(from, to int) {
	for at := from; at < to; {
		i := bytes.Index(s.text[at:to], listJoin)
		if i < 0 {
			return
		}
		call := at + i
		at = call + len(listJoin)
		lo, _ := lineOf(s.text, call, call)
		open := call
		for open > lo && isQuote(s.text[open-1]) {
			open--
		}
		m := s.newView()
		m.copy(s.text, lo, open)
		end, pieces := min(to, call+maxSite), 0
		for p := at; p < end && s.text[p] != ')' && s.text[p] != ']'; p++ {
			if !isQuote(s.text[p]) {
				continue
			}
			a, b, ok := quotedAt(s.text, p)
			if !ok || b > to {
				break
			}
			if pieces++; pieces == 1 {
				m.put(`"`, p, 1)
			}
			m.copy(s.text, a, b)
			p, at = b, b
		}
		if pieces > 1 {
			m.put(`"`, at, 1)
			s.search(m)
		} else {
			s.drop(m)
		}
	}
}

// sums searches name = a + b as if the strings that a and b are stood there.
func (s *scan) sums(from, to int) {
	for at := from; at < to; {
		i := bytes.IndexByte(s.text[at:to], '+')
		if i < 0 {
			return
		}
		at += i + 1
		first, end := nameBefore(s.text, from, at-1)
		equals := blanksBefore(s.text, from, first) - 1
		if first == end || equals <= from || s.text[equals] != '=' || bytes.IndexByte([]byte("=!<>+-*/"), s.text[equals-1]) >= 0 {
			continue
		}
		names := [][]byte{s.text[first:end]}
		for more := true; more; {
			p := skipBlanks(s.text[:to], at)
			end := p
			for end < to && isWord[s.text[end]] {
				end++
			}
			names = append(names, s.text[p:end])
			at = skipBlanks(s.text[:to], end)
			if more = end > p && at < to && s.text[at] == '+'; more {
				at++
			}
		}
		lo := equals
		for lo > from && equals-lo < maxName && s.text[lo-1] != '\n' {
			lo--
		}
		s.sum(from, lo, lo, equals+1, names)
	}
}

// maxName is the length of the longest name that is assigned to, with its object.
const maxName = 100

// nameBefore returns the name before at, and before the blanks there.
func nameBefore(text []byte, from, at int) (start, end int) {
	end = blanksBefore(text, from, at)
	start = end
	for start > from && isWord[text[start-1]] {
		start--
	}
	if start < end && isDigit(text[start]) {
		return end, end
	}
	return start, end
}

func blanksBefore(text []byte, from, at int) int {
	for at > from && isBlank(text[at-1]) {
		at--
	}
	return at
}

// sum searches text[start:end], which ends in =, with the strings of names
// behind it. Those may be anywhere, so each piece of a secret is a finding.
func (s *scan) sum(from, lo, start, end int, names [][]byte) {
	m := s.newView()
	defer s.drop(m)
	m.copy(s.text, start, end)
	m.put(`"`, end, 1)
	pieces := len(m.atoms)
	for _, name := range names {
		a, b, ok := s.literal(max(from, lo-maxSite), lo, name)
		if !ok {
			return
		}
		m.copy(s.text, a, b)
	}
	last := len(m.atoms)
	m.put(`"`, end, 1)
	found := collector{text: m.text}
	child := scan{ctx: s.ctx, set: s.set, text: m.text, depth: maxDepth, out: &found}
	child.all()
	for _, f := range found.settle() {
		for i := pieces; i < last; i++ {
			piece := m.atoms[i]
			if a, b := max(f.start, piece.at), min(f.end, m.atoms[i+1].at); a < b {
				start, end := s.up(piece.src+a-piece.at, piece.src+b-piece.at)
				s.out.found = append(s.out.found, finding{start, end, f.rule, f.rank})
			}
		}
	}
}

// literal returns the string that was last assigned to name in text[from:to].
func (s *scan) literal(from, to int, name []byte) (start, end int, ok bool) {
	for len(name) > 0 {
		i := bytes.LastIndex(s.text[from:to], name)
		if i < 0 {
			return 0, 0, false
		}
		to = from + i
		p := skipBlanks(s.text, to+len(name))
		if to > from && s.text[to-1] > ' ' || p >= len(s.text) || s.text[p] != '=' {
			continue
		}
		return quotedAt(s.text, skipBlanks(s.text, p+1))
	}
	return 0, 0, false
}

// join is what stands between two strings, with their quotes.
type join struct{ start, end int }

func nextJoin(text []byte, from, to int) join {
	for at := from; at < to; {
		i := bytes.IndexAny(text[at:to], `"'`)
		if i < 0 {
			return join{}
		}
		at += i
		if at > 0 && isToken[text[at-1]] {
			if n := joinLen(text[at:to]); n > 0 {
				return join{at, at + n}
			}
		}
		at++
	}
	return join{}
}

// joinLen is the length of a join that b begins with: a quote, blanks, signs
// that join, a quote of a string.
func joinLen(b []byte) int {
	n, plus := 1, 0
	for n < len(b) && n < 200 {
		switch c := b[n]; {
		case c == '+' || c == '.' && plus == 0 && n > 1 || c == '&':
			plus++
		case isSpace(c) || c == '\\':
		case (c == 'f' || c == 'r' || c == 'b') && n > 1 && n+1 < len(b) && (b[n+1] == '"' || b[n+1] == '\''):
		case c == '"' || c == '\'':
			if n > 1 && plus <= 1 && n+1 < len(b) && isToken[b[n+1]] {
				return n + 1
			}
			return 0
		default:
			return 0
		}
		n++
	}
	return 0
}

// blobs searches what base64 and hexadecimal digits stand for.
func (s *scan) blobs(from, to int) {
	text := s.text
	for at := from + minBlob - 1; at < to; {
		if !isBase64[text[at]] {
			at += minBlob
			continue
		}
		start, end := at, at
		for start > from && isBase64[text[start-1]] {
			start--
		}
		for end < to && isBase64[text[end]] {
			end++
		}
		if end-start >= minBlob && end-start <= maxBlob {
			s.blob(start, end)
		}
		at = end + minBlob
	}
}

func (s *scan) blob(start, end int) {
	if start > 1 && s.text[start-1] == '\\' { // \nAbC
		start++
	}
	run := s.text[start:end]
	if lead := bytes.LastIndexAny(bytes.TrimRight(run, "="), "="); lead >= 0 { // NAME=value
		start += lead + 1
		run = run[lead+1:]
	}
	if len(run) < minBlob {
		return
	}
	if b, ok := decodeHex(run); ok {
		s.into(b, func(from, to int) (int, int) { return start + 2*from, start + 2*to })
		return
	}
	if b, ok := decodeBase64(run); ok {
		s.into(b, func(from, to int) (int, int) { return start + 8*from/6, start + min(len(run), (8*to+5)/6) })
	}
}

func decodeHex(run []byte) ([]byte, bool) {
	if len(run)%2 != 0 {
		return nil, false
	}
	for _, c := range run {
		if !isHex[c] {
			return nil, false
		}
	}
	b := make([]byte, len(run)/2)
	if _, err := hex.Decode(b, run); err != nil || !isText(b) {
		return nil, false
	}
	return b, true
}

func decodeBase64(run []byte) ([]byte, bool) {
	run = bytes.TrimRight(run, "=")
	if len(run) < 16 || len(run)%4 == 1 {
		return nil, false
	}
	// Most runs are names and paths. Their first characters give them away.
	var head [12]byte
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		enc = base64.RawURLEncoding
	}
	if n, err := enc.Decode(head[:], run[:16]); err != nil || !isText(head[:n]) {
		return nil, false
	}
	b := make([]byte, enc.DecodedLen(len(run)))
	n, err := enc.Decode(b, run)
	if err != nil || !isText(b[:n]) {
		return nil, false
	}
	return b[:n], true
}

// isText reports whether b is ASCII that prints.
func isText(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x7f || c < ' ' && c != '\n' && c != '\t' && c != '\r' })
}

// percents searches URLs and forms with their escapes undone.
func (s *scan) percents(from, to int) {
	text := s.text
	for at := from; at < to; {
		i := bytes.IndexByte(text[at:to], '%')
		if i < 0 {
			return
		}
		at += i
		if at+2 >= to || !isHex[text[at+1]] || !isHex[text[at+2]] {
			at++
			continue
		}
		start, end := at, at
		for start > from && at-start < maxSite && isURL[text[start-1]] {
			start--
		}
		for end < to && end-at < maxSite && isURL[text[end]] {
			end++
		}
		m := s.newView()
		m.withoutPercents(text, start, end)
		s.search(m)
		at = end
	}
}

var isURL = charSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&()*+,;=%")

func (m *mapped) withoutPercents(text []byte, from, to int) {
	at := from
	for at < to {
		i := bytes.IndexByte(text[at:to], '%')
		if i < 0 || at+i+2 >= to {
			break
		}
		m.copy(text, at, at+i)
		at += i
		if a, b := text[at+1], text[at+2]; isHex[a] && isHex[b] {
			m.put(string([]byte{hexDigit(a)<<4 | hexDigit(b)}), at, 3)
			at += 3
		} else {
			m.copy(text, at, at+1)
			at++
		}
	}
	m.copy(text, at, to)
}
