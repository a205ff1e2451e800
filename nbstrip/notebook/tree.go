package notebook

import (
	"bytes"
	"strconv"
)

// Node is a JSON value by its place in the source, and what is to become of
// it. The zero marks leave it as it is.
type Node struct {
	Range
	Name  Range  // of the object's member that it is the value of, with the quotes
	Key   string // that name, decoded
	Items []Node // of an array or object, in the order of the source

	Drop bool   // take it out, with its name and one of the commas around it
	New  []byte // if not nil, what stands in its place
}

// Parse returns the value that src is, or a *NotNotebookError for what is no
// JSON as the package comment has it. Of a member whose name is in shallow the
// tree goes that many levels deep, which saves time and memory; all of src is checked.
func Parse(src []byte, shallow map[string]int) (*Node, error) {
	return new(Parser).Parse(src, shallow)
}

// Deepen makes the items of n, if any, and of what is in it, where Parse went
// less deep. The source is that of Parse.
func (n *Node) Deepen(src []byte) {
	if n == nil || len(n.Items) > 0 || src[n.Start] != '{' && src[n.Start] != '[' {
		return
	}
	p := Parser{lexer: lexer{src: src, pos: n.Start}}
	if whole, err := p.node(maxDepth); err == nil {
		n.Items = whole.Items
	}
}

// Blank reports whether n has nothing but brackets, names and empty strings.
func (n *Node) Blank(src []byte) bool {
	l := lexer{src: src[:n.End], pos: n.Start}
	for {
		switch l.peek() {
		case 0:
			return true
		case '{', '}', '[', ']', ',', ':':
			l.pos++
		case '"':
			start := l.pos
			if _, err := l.str(); err != nil || l.pos-start > len(`""`) && l.peek() != ':' {
				return false
			}
		default:
			return false
		}
	}
}

// Get returns the member called key, the last one of them as in Python; nil if there is none.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := len(n.Items) - 1; i >= 0; i-- {
		if m := &n.Items[i]; m.Key == key && m.Name.End > 0 {
			return m
		}
	}
	return nil
}

// Edits returns the edits that the marks in the tree ask for.
func (n *Node) Edits() []Edit { return n.AppendEdits(nil) }

// AppendEdits appends the edits that the marks in the tree ask for.
func (n *Node) AppendEdits(edits []Edit) []Edit {
	if n.New != nil {
		return append(edits, Edit{Start: n.Start, End: n.End, New: n.New})
	}
	for i := 0; i < len(n.Items); i++ {
		if !n.Items[i].Drop {
			edits = n.Items[i].AppendEdits(edits)
			continue
		}
		first := i
		for i+1 < len(n.Items) && n.Items[i+1].Drop {
			i++
		}
		edits = append(edits, n.cut(first, i))
	}
	return edits
}

// cut returns the edit that takes the items first to last out.
func (n *Node) cut(first, last int) Edit {
	switch {
	case last+1 < len(n.Items):
		return Edit{Start: n.Items[first].begin(), End: n.Items[last+1].begin()}
	case first > 0:
		return Edit{Start: n.Items[first-1].End, End: n.Items[last].End}
	}
	return Edit{Start: n.Start + 1, End: n.End - 1} // nothing is left
}

// begin is where n begins as an item.
func (n *Node) begin() int {
	if n.Name.End > 0 {
		return n.Name.Start
	}
	return n.Start
}

// maxKept is how many nodes a Parser keeps room for from one tree to the next: a few MB.
const maxKept = 1 << 15

// Parser makes trees, each in the memory of the one before. It is for one goroutine.
type Parser struct {
	lexer
	shallow map[string]int
	open    []Node // items of the arrays and objects that are open
	room    []Node // items of those that are complete
	used    int
}

// Parse is the function Parse; the tree is valid until the next one is made.
func (p *Parser) Parse(src []byte, shallow map[string]int) (*Node, error) {
	p.lexer, p.shallow, p.open, p.used = lexer{src: src}, shallow, p.open[:0], 0
	if len(p.room) > maxKept || cap(p.open) > maxKept {
		p.room, p.open = nil, nil
	}
	if p.open == nil { // at once what most notebooks need: in steps it takes memory of many sizes
		p.open = make([]Node, 0, 64)
	}
	if len(src) > maxSize {
		return nil, p.fail("it is larger than " + strconv.Itoa(maxSize) + " bytes")
	}
	if mark := []byte("\ufeff"); bytes.HasPrefix(src, mark) {
		p.pos = len(mark)
	}
	n, err := p.node(maxDepth)
	if err != nil {
		return nil, err
	}
	if p.peek() != 0 || p.pos < len(src) {
		return nil, p.unexpected("the end of the file")
	}
	return &n, nil
}

// keep moves the open items from first on to where they stay.
func (p *Parser) keep(first int) []Node {
	n := len(p.open) - first
	if n == 0 {
		return nil
	}
	if p.used+n > len(p.room) { // what is in the old one stays there
		p.room, p.used = make([]Node, max(n, 2*len(p.room), 64)), 0
	}
	items := p.room[p.used : p.used+n : p.used+n]
	p.used += copy(items, p.open[first:])
	p.open = p.open[:first]
	return items
}

// node reads a value and levels of what is in it.
func (p *Parser) node(levels int) (n Node, err error) {
	c := p.peek()
	n.Start = p.pos
	if levels == 0 || c != '{' && c != '[' {
		err = p.skip()
		n.End = p.pos
		return n, err
	}
	closing, first := c+2, len(p.open)
	more, err := p.enter(closing)
	for more && err == nil {
		var item Node
		if closing == '}' {
			item, err = p.member(levels - 1)
		} else {
			item, err = p.node(levels - 1)
		}
		p.open = append(p.open, item)
		if err == nil {
			more, err = p.next(closing)
		}
	}
	n.Items = p.keep(first)
	n.End = p.pos
	return n, err
}

// member reads a member of an object, at its name.
func (p *Parser) member(levels int) (Node, error) {
	at := Range{Start: p.pos}
	name, err := p.str()
	if err != nil {
		return Node{}, err
	}
	at.End = p.pos
	if err := p.expect(':'); err != nil {
		return Node{}, err
	}
	key := name.word(p.src)
	if c := p.peek(); c == '{' || c == '[' {
		if max, ok := p.shallow[key]; ok {
			levels = min(levels, max)
		}
	}
	n, err := p.node(levels)
	n.Name, n.Key = at, key
	return n, err
}
