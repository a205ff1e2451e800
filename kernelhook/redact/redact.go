package redact

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// Redactor takes values out of messages. It holds no state between messages
// and is safe for concurrent use; see Stage for what goes over several messages.
type Redactor struct {
	// Finder says where the values are.
	Finder match.Finder
	// Spelled says that values are also looked for whose characters are
	// separated, as in "s e c r e t" or ['s', 'e', …].
	Spelled bool
	// Signer signs the messages that were changed.
	Signer *wire.Signer
}

// noText are the types of messages that hold no text of the user's: nobody is
// asked about them. Everything else is searched, also types of later protocols.
var noText = map[string]bool{
	"status": true, "iopub_welcome": true, "clear_output": true,
	"kernel_info_reply": true, "comm_info_reply": true, "connect_reply": true,
	"interrupt_reply": true, "shutdown_reply": true, "is_complete_reply": true, "usage_reply": true,
	"create_subshell_reply": true, "delete_subshell_reply": true, "list_subshell_reply": true,
}

// protocolMember are members of content whose values are the protocol's own.
var protocolMember = map[string]bool{
	"status": true, "comm_id": true, "target_name": true, "target_module": true, "name": true,
}

// Message returns m without values: m itself if there was none in it.
func (r *Redactor) Message(ctx context.Context, m wire.Message) wire.Message {
	h, _ := wire.ScanHeader(m.Header())
	d := read(m, h.MsgType)
	if len(d.pieces) == 0 {
		return m
	}
	pieces := make([]*piece, len(d.pieces))
	for i, p := range d.pieces {
		pieces[i] = &p.piece
	}
	if _, _, err := r.search(ctx, pieces); err != nil {
		return d.withheld(r.Signer, err, false)
	}
	return d.redacted(r.Signer)
}

// Frames of a message that can hold text, in the order of the wire.
const (
	inMetadata = iota
	inContent
	inBuffer // and the following ones
)

// textPiece is a piece and where in the message it is.
type textPiece struct {
	piece
	leaf
	frame   int  // inMetadata, inContent, or inBuffer + index
	whole   bool // the frame is no JSON: the piece is the frame as it is
	bundled bool // the data of a binary mimetype: goes as a whole
	stream  bool // the text of a stream message
}

// document is a message with its texts.
type document struct {
	m       wire.Message
	msgType string
	pieces  []*textPiece
	text    *textPiece // of a stream message; also in pieces
	name    string     // of a stream message: stdout or stderr
}

// read lists the texts of m that have to be searched.
func read(m wire.Message, msgType string) *document {
	d := &document{m: m, msgType: msgType}
	if noText[msgType] {
		return d
	}
	d.readJSON(inMetadata, m.Metadata())
	d.readJSON(inContent, m.Content())
	for i, b := range m.Buffers() {
		if len(b) >= minText {
			d.pieces = append(d.pieces, &textPiece{piece: piece{raw: b}, frame: inBuffer + i})
		}
	}
	return d
}

func (d *document) readJSON(frame int, src []byte) {
	if len(src) < minText {
		return
	}
	first := len(d.pieces)
	err := leaves(src, func(l leaf) { d.readLeaf(frame, src, l) })
	if err == nil {
		return
	}
	// No JSON: search it as it is.
	d.pieces = append(d.pieces[:first], &textPiece{piece: piece{raw: src}, frame: frame, whole: true})
	d.text = nil
}

func (d *document) readLeaf(frame int, src []byte, l leaf) {
	raw := src[l.start:l.end]
	top := frame == inContent && l.depth == 1
	stream := top && d.msgType == "stream" && !l.name
	switch {
	case stream && l.key == "name":
		d.name = string(raw)
		return
	case stream && l.key == "text":
	case len(raw) < minText, l.depth == 1 && l.name, top && protocolMember[l.key]:
		return
	}
	p := &textPiece{piece: piece{raw: raw, json: true}, leaf: l, frame: frame, stream: stream && l.key == "text"}
	d.pieces = append(d.pieces, p)
	if p.stream {
		d.text = p
	}
	if !l.name && l.object >= 0 && binaryMime(l.key) {
		p.bundled = true
		decoded := &textPiece{piece: piece{raw: decodeBase64(raw)}, leaf: l, frame: frame, bundled: true}
		d.pieces = append(d.pieces, decoded)
	}
}

// source returns a frame's bytes.
func (d *document) source(frame int) []byte {
	switch frame {
	case inMetadata:
		return d.m.Metadata()
	case inContent:
		return d.m.Content()
	}
	return d.m.Buffers()[frame-inBuffer]
}

// redacted returns the message without what the pieces' hits cover.
func (d *document) redacted(s *wire.Signer) wire.Message {
	var changes changes
	for _, p := range d.pieces {
		switch {
		case len(p.hits) == 0:
		case p.frame >= inBuffer:
			changes.add(p.frame, masks(p.hits)...)
		case p.bundled:
			changes.drop(p, match.Placeholder(p.hits[0].name)+" was in this "+p.key+", which nbhush left out")
		default:
			changes.add(p.frame, p.edits(p.start)...)
		}
	}
	return changes.apply(d, s)
}

// withheld returns the message with no text at all, and a line that says why
// unless it is to be quiet about it.
func (d *document) withheld(s *wire.Signer, why error, quiet bool) wire.Message {
	notice := Notice(why)
	line := notice
	switch {
	case quiet:
		line = ""
	case d.msgType == "stream":
		line += "\n"
	}
	var changes changes
	for _, p := range d.pieces {
		switch {
		case p.frame >= inBuffer:
			changes.add(p.frame, masks([]hit{{end: len(p.raw)}})...)
		case p.whole:
			changes.add(p.frame, edit{end: len(p.raw), text: []byte("{}")})
		case p.bundled:
			changes.drop(p, notice)
		case p.name && strings.Contains(string(p.raw), "/"): // a mimetype
		default:
			changes.add(p.frame, edit{p.start, p.end, quoteInside(line)})
		}
	}
	return changes.apply(d, s)
}

// Notice returns the line that stands where text had to be withheld.
func Notice(why error) string {
	line := "[nbhush: output withheld: " + why.Error()
	var h interface{ Hint() string }
	if errors.As(why, &h) && h.Hint() != "" {
		line += "; " + h.Hint()
	}
	return line + "]"
}

// masks returns edits that keep a buffer's length.
func masks(hits []hit) []edit {
	var out []edit
	for _, h := range hits {
		out = append(out, edit{h.start, h.end, bytes.Repeat([]byte("*"), h.end-h.start)})
	}
	return out
}

// changes are the edits of one message.
type changes struct {
	edits map[int][]edit // by frame
	drops []drop
}

// drop is a member of a bundle that goes as a whole.
type drop struct {
	frame, object, member int
	notice                string
}

func (c *changes) add(frame int, e ...edit) {
	if c.edits == nil {
		c.edits = map[int][]edit{}
	}
	c.edits[frame] = append(c.edits[frame], e...)
}

func (c *changes) drop(p *textPiece, notice string) {
	if n := len(c.drops); n > 0 && c.drops[n-1].frame == p.frame && c.drops[n-1].member == p.member {
		return // found twice, in its base64 and behind it
	}
	c.drops = append(c.drops, drop{p.frame, p.object, p.member, notice})
}

func (c *changes) apply(d *document, s *wire.Signer) wire.Message {
	for len(c.drops) > 0 {
		c.dropFromObject(d)
	}
	if len(c.edits) == 0 {
		return d.m
	}
	metadata, content, buffers := d.m.Metadata(), d.m.Content(), d.m.Buffers()
	if e := c.edits[inMetadata]; e != nil {
		metadata = splice(metadata, e)
	}
	if e := c.edits[inContent]; e != nil {
		content = splice(content, e)
	}
	for i, b := range d.m.Buffers() {
		if e := c.edits[inBuffer+i]; e != nil {
			if &buffers[0] == &d.m.Buffers()[0] {
				buffers = append([][]byte(nil), buffers...)
			}
			buffers[i] = splice(b, e)
		}
	}
	return d.m.With(s, metadata, content, buffers)
}

// dropFromObject turns the drops of one bundle into edits: the first dropped
// member becomes text/plain, or its notice is added to the text/plain that there is.
func (c *changes) dropFromObject(d *document) {
	frame, object := c.drops[0].frame, c.drops[0].object
	gone := map[int]bool{}
	notice := c.drops[0].notice
	var rest []drop
	for _, dr := range c.drops {
		if dr.frame == frame && dr.object == object {
			gone[dr.member] = true
		} else {
			rest = append(rest, dr)
		}
	}
	c.drops = rest
	list, err := members(d.source(frame), object)
	if err != nil { // a strict reader does not take it: say nothing rather than a value
		c.add(frame, edit{end: len(d.source(frame)), text: []byte("{}")})
		return
	}
	plain := -1
	for i, m := range list {
		if m.key == "text/plain" && d.source(frame)[m.valueStart] == '"' {
			plain = i
		}
	}
	if plain >= 0 {
		end := list[plain].close - 1
		c.add(frame, edit{end, end, quoteInside("\n" + notice)})
	}
	for i, m := range list {
		switch {
		case !gone[m.start]:
		case plain < 0:
			c.add(frame, edit{m.start, m.close, append([]byte(`"text/plain":"`), append(quoteInside(notice), '"')...)})
			plain = i
		case i+1 < len(list):
			c.add(frame, edit{start: m.start, end: list[i+1].start})
		default:
			c.add(frame, edit{start: lastKept(list, gone, i, plain), end: m.close})
		}
	}
}

// lastKept returns where the last member before i that stays ends: what follows
// it is the comma before the members that go. Members between go already.
func lastKept(list []member, gone map[int]bool, i, plain int) int {
	for i--; i > 0 && gone[list[i].start] && i != plain; i-- {
	}
	return list[i].close
}
