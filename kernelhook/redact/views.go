package redact

import (
	"bytes"
	"context"
	"slices"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/match"
)

// A value may be shown with something between its characters that is none of
// it: codes of colours (ECMA-48), tags of HTML, the ends of lines at which it
// was folded, and, where the user asks for that too, whatever separates single
// characters. A view is the text without these, which is searched as well; what
// is found there is cut out around them, so that colours and tags stay whole.
//
//	text   "k = \x1b[31msk-4f\x1b[0m9a…"        view   "k = sk-4f9a…"
//	found       └──── sk-4f │ 9a…: two stretches of one value, one placeholder
//
// What has none of it is searched once, as ever.

// found is a stretch of text that has to go. Stretches with the same head are
// one value.
type found struct {
	start, end int
	name       string
	head       int // where the first stretch of the value begins
}

// view is a text without its cuts.
type view struct {
	text []byte
	cuts []cut
	from int // of the source: what is in text already
}

// cut is a part of the source that is not in the view.
type cut struct {
	at         int // in the view
	start, end int // in the source
}

// leave leaves src[start:end], which lies behind the cuts before, out of v.
func (v *view) leave(src []byte, start, end int) {
	if v.text == nil {
		v.text = make([]byte, 0, len(src))
	}
	v.text = append(v.text, src[v.from:start]...)
	v.cuts = append(v.cuts, cut{len(v.text), start, end})
	v.from = end
}

// finish adds what of src is behind the last cut. It reports whether there was one.
func (v *view) finish(src []byte) bool {
	if len(v.cuts) == 0 {
		return false
	}
	v.text = append(v.text, src[v.from:]...)
	return true
}

// source returns where the byte at offset at of the view is in the source, and
// the index of the first cut behind it.
func (v *view) source(at int) (offset, next int) {
	next, _ = slices.BinarySearchFunc(v.cuts, at, func(c cut, at int) int {
		if c.at <= at {
			return -1
		}
		return 1
	})
	if next == 0 {
		return at, 0
	}
	return v.cuts[next-1].end + at - v.cuts[next-1].at, next
}

// stretches returns the stretches of the source that the spans of the view are.
func (v *view) stretches(spans []match.Span) (out []found) {
	for _, sp := range spans {
		start, next := v.source(sp.Start)
		f := found{start: start, name: sp.Name, head: start}
		at := sp.Start
		for ; next < len(v.cuts) && v.cuts[next].at < sp.End; next++ {
			f.end = f.start + v.cuts[next].at - at
			if f.end > f.start {
				out = append(out, f)
			}
			f.start, at = v.cuts[next].end, v.cuts[next].at
		}
		f.end = f.start + sp.End - at
		out = append(out, f)
	}
	return out
}

// look searches text and its views. No value reaches into the tail from
// outside of it.
func (r *Redactor) look(ctx context.Context, text []byte) (all []found, tail int, err error) {
	ask := func(text []byte) (match.Result, error) {
		res, err := r.Finder.Find(ctx, text)
		res.Tail = min(max(res.Tail, 0), len(text))
		return res, err
	}
	res, err := ask(text)
	if err != nil {
		return nil, 0, err
	}
	for _, sp := range res.Spans {
		all = append(all, found{sp.Start, sp.End, sp.Name, sp.Start})
	}
	tail = res.Tail
	for _, without := range [...]func() *view{
		func() *view { return withoutMarkup(text) },
		func() *view { return unfolded(text, len(all) > 0) },
		func() *view { return joined(text, r.Spelled) },
	} {
		v := without()
		if v == nil {
			continue
		}
		if res, err = ask(v.text); err != nil {
			return nil, 0, err
		}
		all = unite(all, v.stretches(res.Spans))
		if res.Tail > 0 {
			begin, _ := v.source(len(v.text) - res.Tail)
			tail = max(tail, len(text)-begin)
		}
	}
	for _, f := range slices.Backward(all) {
		if begin := len(text) - tail; f.end > begin && f.head < begin {
			tail = len(text) - f.head
		}
	}
	return all, tail, nil
}

// unite returns the stretches of both lists, in order and without overlaps.
func unite(a, b []found) []found {
	if len(b) == 0 {
		return a
	}
	all := append(a, b...)
	slices.SortStableFunc(all, func(x, y found) int {
		if x.start != y.start {
			return x.start - y.start
		}
		return x.head - y.head // a stretch of a value that began before: its placeholder is there
	})
	out := all[:1]
	for _, f := range all[1:] {
		if last := &out[len(out)-1]; f.start < last.end {
			last.end = max(last.end, f.end)
		} else {
			out = append(out, f)
		}
	}
	return out
}

const escape = 0x1b

// withoutMarkup returns b without escape sequences and tags, nil if it has none.
func withoutMarkup(b []byte) *view {
	if bytes.IndexByte(b, escape) < 0 && bytes.IndexByte(b, '<') < 0 {
		return nil
	}
	v := &view{}
	for at := 0; at < len(b); at++ {
		if b[at] != '<' && b[at] != escape {
			continue
		}
		if n := markupLen(b[at:]); n > 0 {
			v.leave(b, at, at+n)
			at += n - 1
		}
	}
	if !v.finish(b) {
		return nil
	}
	return v
}

// Longer ones are taken for text.
const (
	maxEscape = 2048 // a link has its address in it
	maxTag    = 4096
)

// markupLen returns the length of the escape sequence or tag that b begins
// with, 0 if it is none, and len(b) if it may go on behind b.
func markupLen(b []byte) int {
	if b[0] != '<' {
		return escapeLen(b)
	}
	if len(b) > 1 && !isLetter(b[1]) && b[1] != '/' && b[1] != '!' {
		return 0
	}
	end := bytes.IndexAny(b[1:min(len(b), maxTag)], "<>\x00")
	switch {
	case end < 0 && len(b) < maxTag:
		return len(b)
	case end < 0 || b[1+end] != '>':
		return 0
	}
	return end + 2
}

// escapeLen returns the length of the control function that b begins with
// (ECMA-48, 5.3 to 5.6), 1 if it is none.
func escapeLen(b []byte) int {
	if len(b) == 1 {
		return 1
	}
	b = b[:min(len(b), maxEscape)]
	i := 2
	switch b[1] {
	case '[': // control sequence
		for i < len(b) && b[i] >= 0x20 && b[i] <= 0x3f {
			i++
		}
	case ']', 'P', 'X', '^', '_': // control string, up to BEL or ESC \
		end := bytes.IndexAny(b[i:], "\a\x1b\x00")
		switch {
		case end < 0 && len(b) < maxEscape:
			return len(b)
		case end < 0 || b[i+end] == 0:
			return 1
		case b[i+end] == escape:
			end++
		}
		return min(len(b), i+end+1)
	default:
		for i = 1; i < len(b) && b[i] >= 0x20 && b[i] <= 0x2f; {
			i++
		}
	}
	if i < len(b) && (b[i] < 0x30 || b[i] > 0x7e) {
		return 1
	}
	return min(len(b), i+1)
}

// unfolded returns b without markup and without the ends of its lines and what
// indents them, if something was found in b: a value whose lines are all too
// short to be found is not worth a second search of everything that is printed.
func unfolded(b []byte, found bool) *view {
	if !found {
		return nil
	}
	v := &view{}
	folded := false
	for at := 0; at < len(b); at++ {
		if c := b[at]; c != '\n' && c != '\\' && c != '<' && c != escape {
			continue
		}
		start, end := at, at+markupOrFold(b, at)
		if end == start {
			continue
		}
		if b[at] == '\n' || b[at] == '\\' {
			folded = true
			start, end = foldAround(b, max(v.from, start-maxIndent), start, end)
		}
		v.leave(b, start, end)
		at = end - 1
	}
	if !folded || !v.finish(b) {
		return nil
	}
	return v
}

// markupOrFold returns the length of a tag, an escape sequence or an end of a
// line, also one that is spelled \n, 0 if there is none at b[at:].
func markupOrFold(b []byte, at int) int {
	switch b[at] {
	case '\n':
		return 1
	case '\\':
		for i := at + 1; i < len(b) && i <= at+3; i++ { // \n, \r\n, \\n; or the end of a line behind it
			if b[i] == 'n' || b[i] == '\n' {
				return i + 1 - at
			}
			if b[i] != 'r' && b[i] != '\\' {
				break
			}
		}
		return 0
	}
	return markupLen(b[at:])
}

// maxIndent is the longest row of spaces at a fold, in bytes.
const maxIndent = 64

// foldAround widens the end of a line at b[start:end] by the spaces around it,
// and by quotes that end one literal and begin the next. It does not go before from.
func foldAround(b []byte, from, start, end int) (int, int) {
	for start > from && isBlank(b[start-1]) {
		start--
	}
	for limit := min(len(b), end+maxIndent); end < limit && isBlank(b[end]); {
		end++
	}
	if start == from || b[start-1] != '\'' && b[start-1] != '"' {
		return start, end
	}
	quote, next := b[start-1], end
	if next < len(b) && b[next] == 'b' {
		next++
	}
	if next < len(b) && b[next] == quote {
		return start - 1, next + 1
	}
	return start, end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isAlnum(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' }

// What counts as spelled: as many single characters in a row, with the same
// separator of so many bytes between them. At the end of the text fewer do,
// since more of them may come.
const (
	minSpelled   = match.MinLen
	openSpelled  = 3
	maxSeparator = 8
)

// joined returns b without the separators between single characters, if this
// is wanted and there are any.
func joined(b []byte, wanted bool) *view {
	if !wanted {
		return nil
	}
	v := &view{}
	for at := 0; at < len(b); {
		if b[at] <= ' ' || at+1 < len(b) && b[at] < utf8.RuneSelf && isAlnum(b[at+1]) {
			at++
			continue
		}
		n, k, end := longestRun(b, at)
		if n == 0 {
			_, size := utf8.DecodeRune(b[at:])
			at += size
			continue
		}
		for range n - 1 {
			_, size := utf8.DecodeRune(b[at:])
			v.leave(b, at+size, at+size+k)
			at += size + k
		}
		at = end
	}
	if !v.finish(b) {
		return nil
	}
	return v
}

// longestRun returns the number of characters of the longest row of single
// characters that begins at b[at], the length of their separator and where the
// last of them ends; n is 0 if there is none.
func longestRun(b []byte, at int) (n, k, end int) {
	_, size := utf8.DecodeRune(b[at:])
	for length := 1; length <= maxSeparator && at+size+length < len(b); length++ {
		separator := b[at+size : at+size+length]
		if c := separator[length-1]; isAlnum(c) || c >= utf8.RuneSelf || c == 0 {
			break
		}
		count, to := 1, at+size
		for bytes.HasPrefix(b[to:], separator) && to+length < len(b) && b[to+length] != 0 {
			_, next := utf8.DecodeRune(b[to+length:])
			to += length + next
			count++
		}
		open := to == len(b) || len(b)-to <= length && bytes.HasPrefix(separator, b[to:])
		if count > n && (count >= minSpelled || open && count >= openSpelled) {
			n, k, end = count, length, to
		}
	}
	return n, k, end
}
