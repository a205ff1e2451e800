package notebook

import "bytes"

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
	p := parser{lexer: lexer{src: src}, shallow: shallow}
	p.skipValue, p.skipMember = p.skip, p.member
	if len(src) > maxSize {
		return nil, p.fail("it is larger than %d bytes", maxSize)
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
func (n *Node) Edits() []Edit { return n.appendEdits(nil) }

func (n *Node) appendEdits(edits []Edit) []Edit {
	if n.New != nil {
		return append(edits, Edit{Start: n.Start, End: n.End, New: n.New})
	}
	for i := 0; i < len(n.Items); i++ {
		if !n.Items[i].Drop {
			edits = n.Items[i].appendEdits(edits)
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

// parser makes the tree.
type parser struct {
	lexer
	shallow               map[string]int
	skipValue, skipMember func() error // skip and member, made once
}

// node reads a value and levels of what is in it.
func (p *parser) node(levels int) (n Node, err error) {
	c := p.peek()
	n.Start = p.pos
	switch {
	case levels == 0:
		err = p.skip()
	case c == '{':
		err = p.object(func() error {
			m, err := p.memberNode(levels - 1)
			n.Items = append(n.Items, m)
			return err
		})
	case c == '[':
		err = p.array(func() error {
			item, err := p.node(levels - 1)
			n.Items = append(n.Items, item)
			return err
		})
	default:
		err = p.skip()
	}
	n.End = p.pos
	return n, err
}

func (p *parser) memberNode(levels int) (Node, error) {
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
	if max, ok := p.shallow[key]; ok {
		levels = min(levels, max)
	}
	n, err := p.node(levels)
	n.Name, n.Key = at, key
	return n, err
}

// skip reads any value.
func (p *parser) skip() error {
	switch p.peek() {
	case '"':
		_, err := p.str()
		return err
	case '{':
		return p.object(p.skipMember)
	case '[':
		return p.array(p.skipValue)
	}
	return p.scalar()
}

// member skips any member of an object, at its name.
func (p *parser) member() error {
	if _, err := p.str(); err != nil {
		return err
	}
	if err := p.expect(':'); err != nil {
		return err
	}
	return p.skip()
}
