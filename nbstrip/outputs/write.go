package outputs

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// value writes any value as Python's json does.
func (w *writer) value(n *notebook.Node, depth int) {
	switch {
	case n.New != nil:
		w.buf = append(w.buf, n.New...)
	case w.src[n.Start] == '{':
		w.members(n, depth, w.anyValue)
	case w.src[n.Start] == '[':
		w.items(n, depth, w.anyValue)
	case w.src[n.Start] == '"':
		w.joined([]notebook.Node{*n})
	default:
		w.scalar(w.src[n.Start:n.End])
	}
}

// members writes an object.
func (w *writer) members(n *notebook.Node, depth int, member func(m *notebook.Node, depth int)) {
	if w.need(w.is(n, '{')); w.failed {
		return
	}
	w.buf = append(w.buf, '{')
	empty := true
	all := w.ordered(n.Items)
	for i := range all {
		if m := &all[i]; !m.Drop && !w.failed {
			w.next(empty, depth+1)
			w.name(m)
			member(m, depth+1)
			empty = false
		}
	}
	w.end('}', empty, depth)
}

// items writes a list.
func (w *writer) items(n *notebook.Node, depth int, item func(n *notebook.Node, depth int)) {
	if w.need(w.is(n, '[')); w.failed {
		return
	}
	w.buf = append(w.buf, '[')
	for i := range n.Items {
		if !w.failed {
			w.next(i == 0, depth+1)
			item(&n.Items[i], depth+1)
		}
	}
	w.end(']', len(n.Items) == 0, depth)
}

// ordered returns members in the order in which they are written. Of those with
// one name the last one counts, at the place of the first.
func (w *writer) ordered(all []notebook.Node) []notebook.Node {
	kept := all[:0]
	if w.inOrder {
		at := make(map[string]int, len(all))
		for _, m := range all {
			i, ok := at[m.Key]
			if ok {
				kept[i] = m
				continue
			}
			at[m.Key] = len(kept)
			kept = append(kept, m)
		}
		return kept
	}
	slices.SortStableFunc(all, func(a, b notebook.Node) int { return strings.Compare(a.Key, b.Key) })
	for i, m := range all {
		if i+1 == len(all) || all[i+1].Key != m.Key {
			kept = append(kept, m)
		}
	}
	return kept
}

// next writes what is before an item, and begins its line.
func (w *writer) next(first bool, depth int) {
	if !first {
		w.buf = append(w.buf, ',')
	}
	w.line(depth)
}

// end writes the closing bracket.
func (w *writer) end(bracket byte, empty bool, depth int) {
	if !empty {
		w.line(depth)
	}
	w.buf = append(w.buf, bracket)
}

func (w *writer) line(depth int) {
	if w.need(depth <= maxDepth && len(w.buf) < w.limit); w.failed {
		return
	}
	w.buf = append(w.buf, '\n')
	for range depth * w.indent {
		w.buf = append(w.buf, ' ')
	}
}

// name writes the name of a member. What Key cannot tell apart is not written.
func (w *writer) name(m *notebook.Node) {
	if m.Name.End == 0 { // it is not in the source
		w.buf = append(w.buf, `"`+m.Key+`": `...)
		return
	}
	name := w.src[m.Name.Start+1 : m.Name.End-1]
	w.need(bytes.IndexByte(name, '\\') < 0 || !strings.ContainsRune(m.Key, utf8.RuneError))
	w.buf = append(w.buf, '"')
	w.text(name)
	w.buf = append(w.buf, `": `...)
}

// scalar writes a number or word.
func (w *writer) scalar(token []byte) {
	const mostDigits = 4300 // that Python reads
	isWord := token[len(token)-1] > '9'
	w.need(isWord || len(bytes.TrimPrefix(token, []byte("-"))) <= mostDigits || bytes.ContainsAny(token, ".eE"))
	if isWord {
		w.buf = append(w.buf, token...)
	} else {
		w.buf = appendNumber(w.buf, token)
	}
}

// appendNumber appends a number as Python writes what it reads.
func appendNumber(dst, token []byte) []byte {
	if !bytes.ContainsAny(token, ".eE") {
		if string(token) == "-0" {
			token = token[1:]
		}
		return append(dst, token...)
	}
	f, _ := strconv.ParseFloat(string(token), 64) // too large a number is infinite for both
	switch abs := math.Abs(f); {
	case abs > math.MaxFloat64 && f < 0:
		return append(dst, "-Infinity"...)
	case abs > math.MaxFloat64:
		return append(dst, "Infinity"...)
	case abs != 0 && abs < 1e-4 || abs >= 1e16:
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	at := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if bytes.IndexByte(dst[at:], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// joined writes strings as one.
func (w *writer) joined(all []notebook.Node) {
	if w.need(w.strings(all)); w.failed {
		return
	}
	w.buf = append(w.buf, '"')
	for _, n := range all {
		w.text(w.inside(n))
	}
	w.buf = append(w.buf, '"')
}

// text writes what is inside of a string.
func (w *writer) text(s []byte) {
	for c, raw := range pieces(s) {
		w.char(c, raw)
	}
}

// pieces yields each piece of s, the inside of a string, with its bytes.
func pieces(s []byte) iter.Seq2[rune, []byte] {
	return func(yield func(rune, []byte) bool) {
		for rest := s; len(rest) > 0; {
			c, size := piece(rest)
			if !yield(c, rest[:size]) {
				return
			}
			rest = rest[size:]
		}
	}
}

// plain stands for characters that are written as they are.
const plain = -1

// piece returns the first character of s, the inside of a string, and its size
// there, or plain and how many of them there are.
func piece(s []byte) (c rune, size int) {
	for size < len(s) && s[size] < 0x7f && s[size] != '\\' {
		size++
	}
	switch {
	case size > 0:
		return plain, size
	case s[0] == '\\':
		c, size = notebook.Unescape(s)
		return c, max(size, 1)
	}
	return utf8.DecodeRune(s)
}

// char writes what piece returned.
func (w *writer) char(c rune, raw []byte) {
	switch {
	case c == plain:
		w.buf = append(w.buf, raw...)
	case c == '"' || c == '\\':
		w.buf = append(w.buf, '\\', byte(c))
	case c < ' ':
		w.control(c)
	case c == utf8.RuneError && isAlone(raw): // UTF-8 has none
		w.need(w.onlyText)
		w.buf = append(w.buf, bytes.ToLower(raw)...)
	case c < 0x7f || !w.onlyText:
		w.buf = utf8.AppendRune(w.buf, c)
	default:
		if high, low := utf16.EncodeRune(c); c > 0xffff {
			w.escape(high)
			c = low
		}
		w.escape(c)
	}
}

// isAlone reports whether raw, which stands for U+FFFD, is the escape of half a surrogate pair.
func isAlone(raw []byte) bool { return len(raw) == 6 && raw[2]|0x20 == 'd' }

func (w *writer) control(c rune) {
	if i := strings.IndexByte("\b\f\n\r\t", byte(c)); i >= 0 {
		w.buf = append(w.buf, '\\', "bfnrt"[i])
		return
	}
	w.escape(c)
}

func (w *writer) escape(c rune) {
	const hex = "0123456789abcdef"
	w.buf = append(w.buf, '\\', 'u', hex[c>>12], hex[c>>8&15], hex[c>>4&15], hex[c&15])
}

// lines writes a string, or a list of strings that are joined, as the list of
// its lines, and any other value as it is.
func (w *writer) lines(n *notebook.Node, depth int) {
	all := n.Items
	switch w.src[n.Start] {
	case '[':
		w.need(w.strings(all))
	case '"':
		all = []notebook.Node{*n}
	default:
		w.value(n, depth)
		return
	}
	if w.failed {
		return
	}
	w.buf = append(w.buf, '[')
	l := lineWriter{w: w, depth: depth + 1, bare: w.version == 2}
	joint := w.version == 2 || w.version == 3 && !w.endLines(all)
	for i, n := range all {
		if i > 0 && joint {
			l.add('\n', nil)
		}
		for c, raw := range pieces(w.inside(n)) {
			l.add(c, raw)
		}
	}
	l.end()
	w.need(w.version != 2 || l.count == 0 || !l.blank)
	w.need(w.version != 3 || l.count < 2 || l.first == '\n' || l.first == '\r')
	w.end(']', l.count == 0, depth)
}

// endLines reports whether the strings, lines in nbformat 3, have their ends: whether the first one does.
func (w *writer) endLines(all []notebook.Node) bool {
	if len(all) == 0 {
		return false
	}
	var last rune
	for c := range pieces(w.inside(all[0])) {
		last = c
	}
	return last == '\n' || last == '\r'
}

// lineWriter writes the lines of a text as Python's splitlines finds them.
// nbformat 2 leaves out how they end, and joins them without an empty last one;
// nbformat 3 joins them as if their ends were left out where the first one ends
// with neither a line feed nor a carriage return. Such a text would change anew
// each time, so it is not written.
type lineWriter struct {
	w           *writer
	depth       int
	bare        bool // without their ends
	count       int  // of the lines begun
	open, blank bool // a line is begun; nothing is in it
	carriage    bool // a carriage return was read: a line feed belongs to it
	first       rune // what the first line ends with
}

func (l *lineWriter) add(c rune, raw []byte) {
	if l.carriage && c != '\n' {
		l.close('\r')
	}
	if !l.open {
		l.w.next(l.count == 0, l.depth)
		l.w.buf = append(l.w.buf, '"')
		l.open, l.blank = true, true
		l.count++
	}
	ends := isLineEnd(c)
	if !ends || !l.bare {
		l.w.char(c, raw)
		l.blank = false
	}
	if l.carriage = c == '\r'; ends && !l.carriage {
		l.close(c)
	}
}

func (l *lineWriter) close(c rune) {
	l.w.buf = append(l.w.buf, '"')
	if l.open, l.carriage = false, false; l.count == 1 {
		l.first = c
	}
}

func (l *lineWriter) end() {
	switch {
	case l.carriage:
		l.close('\r')
	case l.open:
		l.close(0)
	}
}

func isLineEnd(c rune) bool {
	switch c {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}
