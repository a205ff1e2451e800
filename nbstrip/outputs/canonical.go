package outputs

import "bytes"

// checker finds out without writing whether a notebook of nbformat 4 has its
// form already, as nearly all have. It says no of what is rare, too, and of a
// notebook that nbstripout could not read it may say anything: that keeps its
// form. Its methods expect pos at the first byte of what they check, and leave
// it behind the last one if that has its form.
type checker struct {
	src []byte
	pos int

	cells, version    bool // were seen
	needsIDs, lacksID bool // cells in this version; one of them
	hasID             bool // the cell at hand
	stream            bool // the output at hand
}

// canonical reports whether src, which is JSON, is what writer would make of it.
func (c *checker) canonical(src []byte, giveIDs bool) bool {
	for _, separator := range []string{"\u0085", "\u2028", "\u2029"} { // which end a line, too
		if bytes.Contains(src, []byte(separator)) {
			return false
		}
	}
	*c = checker{src: src}
	ok := c.members(0, (*checker).ofNotebook) && string(src[c.pos:]) == "\n"
	return ok && c.cells && c.version && (!giveIDs || !c.needsIDs || !c.lacksID)
}

// skip reports whether s is next, and goes behind it.
func (c *checker) skip(s string) bool {
	if len(c.src)-c.pos < len(s) || string(c.src[c.pos:c.pos+len(s)]) != s {
		return false
	}
	c.pos += len(s)
	return true
}

func (c *checker) at(b byte) bool { return c.pos < len(c.src) && c.src[c.pos] == b }

// line reports whether a line of that indent begins.
func (c *checker) line(depth int) bool {
	if !c.at('\n') || len(c.src)-c.pos <= depth {
		return false
	}
	for _, b := range c.src[c.pos+1 : c.pos+1+depth] {
		if b != ' ' {
			return false
		}
	}
	c.pos += 1 + depth
	return true
}

func (c *checker) value(depth int) bool {
	switch {
	case c.at('{'):
		return c.members(depth, (*checker).ofAny)
	case c.at('['):
		return c.items(depth, (*checker).value)
	case c.at('"'):
		_, ok := c.str(false)
		return ok
	}
	return c.scalar()
}

// members checks an object.
func (c *checker) members(depth int, member func(c *checker, name []byte, depth int) bool) bool {
	if c.skip("{}") {
		return true
	}
	if !c.skip("{") {
		return false
	}
	var last []byte
	for first := true; first || c.skip(","); first = false {
		if !c.line(depth + 1) {
			return false
		}
		name, ok := c.name()
		if !ok || !first && bytes.Compare(last, name) >= 0 {
			return false
		}
		if !c.skip(": ") || !member(c, name, depth+1) {
			return false
		}
		last = name
	}
	return c.line(depth) && c.skip("}")
}

// items checks a list.
func (c *checker) items(depth int, item func(c *checker, depth int) bool) bool {
	if c.skip("[]") {
		return true
	}
	if !c.skip("[") {
		return false
	}
	for first := true; first || c.skip(","); first = false {
		if !c.line(depth+1) || !item(c, depth+1) {
			return false
		}
	}
	return c.line(depth) && c.skip("]")
}

// name checks a string without escapes and returns what is inside.
func (c *checker) name() (inside []byte, ok bool) {
	if !c.skip(`"`) {
		return nil, false
	}
	end := bytes.IndexByte(c.src[c.pos:], '"')
	if end < 0 {
		return nil, false
	}
	inside = c.src[c.pos : c.pos+end]
	c.pos += end + 1
	return inside, bytes.IndexByte(inside, '\\') < 0
}

// str checks a string. In a line of a text the end of one is nowhere but at its
// end; ended says that it is there.
func (c *checker) str(inLine bool) (ended, ok bool) {
	if !c.skip(`"`) {
		return false, false
	}
	for end := -1; ; {
		if end < c.pos {
			if end = bytes.IndexByte(c.src[c.pos:], '"'); end < 0 {
				return false, false
			}
			end += c.pos
		}
		slash := bytes.IndexByte(c.src[c.pos:end], '\\')
		if slash < 0 {
			c.pos = end + 1
			return false, true
		}
		c.pos += slash + 2
		switch escaped := c.src[c.pos-1]; escaped {
		case '"', '\\', 't', 'b':
		case 'n', 'r', 'f':
			if inLine {
				ended = escaped == 'n' && c.skip(`"`)
				return ended, ended
			}
		default:
			return false, false
		}
	}
}

// lines checks the list of a text's lines.
func (c *checker) lines(depth int) bool {
	if c.skip("[]") {
		return true
	}
	if !c.skip("[") {
		return false
	}
	for more := true; more; {
		if !c.line(depth+1) || c.skip(`""`) {
			return false
		}
		ended, ok := c.str(true)
		if more = c.skip(","); !ok || more && !ended {
			return false
		}
	}
	return c.line(depth) && c.skip("]")
}

// scalar checks a number or word.
func (c *checker) scalar() bool {
	start := c.pos
	for c.pos < len(c.src) && c.src[c.pos] > ' ' && c.src[c.pos] != ',' {
		c.pos++
	}
	token := c.src[start:c.pos]
	if len(token) == 0 || token[len(token)-1] > '9' {
		return len(token) > 0
	}
	var room [32]byte
	return bytes.Equal(appendNumber(room[:0], token), token)
}

func (c *checker) ofAny(_ []byte, depth int) bool { return c.value(depth) }

func (c *checker) ofNotebook(name []byte, depth int) bool {
	switch string(name) {
	case "cells":
		c.cells = true
		return c.items(depth, (*checker).cell)
	case "metadata":
		return c.members(depth, (*checker).ofMetadata)
	case "nbformat":
		c.version = true
		return c.skip("4")
	case "nbformat_minor":
		start := c.pos
		ok := c.scalar()
		c.needsIDs = c.pos > start+1 || string(c.src[start:c.pos]) >= "5"
		return ok
	}
	return c.value(depth)
}

func (c *checker) ofMetadata(name []byte, depth int) bool {
	switch string(name) {
	case "orig_nbformat", "orig_nbformat_minor", "signature":
		return false
	}
	return c.value(depth)
}

func (c *checker) cell(depth int) bool {
	c.hasID = false
	ok := c.members(depth, (*checker).ofCell)
	c.lacksID = c.lacksID || !c.hasID
	return ok
}

func (c *checker) ofCell(name []byte, depth int) bool {
	switch string(name) {
	case "attachments":
		return c.members(depth, (*checker).ofAttachments)
	case "id":
		c.hasID = true
	case "metadata":
		return c.members(depth, (*checker).ofCellMetadata)
	case "outputs":
		return c.items(depth, (*checker).output)
	case "source":
		return c.lines(depth)
	}
	return c.value(depth)
}

func (c *checker) ofAttachments(_ []byte, depth int) bool {
	return c.members(depth, (*checker).ofBundle)
}

func (c *checker) ofCellMetadata(name []byte, depth int) bool {
	return string(name) != "trusted" && c.value(depth)
}

func (c *checker) output(depth int) bool {
	c.stream = false
	return c.members(depth, (*checker).ofOutput)
}

func (c *checker) ofOutput(name []byte, depth int) bool {
	switch string(name) {
	case "data":
		return c.members(depth, (*checker).ofBundle)
	case "output_type":
		kind, ok := c.name()
		c.stream = string(kind) == "stream"
		return ok
	case "text":
		return c.stream && c.lines(depth)
	}
	return c.value(depth)
}

// ofBundle checks the data of one MIME type: lines, one string, or JSON that is no list.
func (c *checker) ofBundle(name []byte, depth int) bool {
	switch {
	case bytes.HasPrefix(name, []byte("text/")), string(name) == "application/javascript", string(name) == "image/svg+xml":
		return c.lines(depth)
	}
	return !c.at('[') && c.value(depth)
}
