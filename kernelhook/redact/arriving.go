package redact

import (
	"bytes"
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/nbhush/nbhush/kernelhook/wire"
)

// streamHead matches what ipykernel's content of a stream message begins with; the
// name of the stream is its only group.
var streamHead = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*\{\s*"name"\s*:\s*"(\w+)"\s*,\s*"text"\s*:\s*"`)
})

// maxHead is more than any head of a stream message needs.
const maxHead = 256

// PushArriving is Push for one stream message whose content is still on its way, so
// that its text is searched meanwhile. wait waits until the first n bytes of the
// content are there, or all, and returns how many are. The error is wait's: the
// message will never be whole, and is not sent.
func (s *Stage) PushArriving(ctx context.Context, m wire.Message, wait func(ctx context.Context, n int) (int, error)) error {
	a := arriving{redactor: s.redactor, content: m.Content(), wait: wait}
	var d *document
	if s.begins(m) {
		var err error
		if d, err = a.search(ctx, m); err != nil {
			return err
		}
	}
	if _, err := wait(ctx, len(a.content)); err != nil {
		return err
	}
	if d == nil {
		s.Push(ctx, []wire.Message{m})
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(d, time.Now()).stream.searched(nil, a.length, a.tail, a.err)
	s.drain()
	return nil
}

// begins reports whether m is a stream message whose text goes on from no other's,
// and which has no other text. Nobody but Push changes that.
func (s *Stage) begins(m wire.Message) bool {
	if len(m.Buffers()) > 0 || len(m.Metadata()) >= minText {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, _ := wire.ScanHeader(m.Parent())
	for key, st := range s.streams {
		if key.parent == parent.MsgID && (len(st.open) > 0 || len(st.left) > 0) {
			return false
		}
	}
	return true
}

// arriving is a search in a content that is not all there.
type arriving struct {
	redactor *Redactor
	content  []byte
	wait     func(ctx context.Context, n int) (int, error)

	start        int // of the text's literal in content, inside of the quote
	length, tail int // as search returns them
	err          error
}

// search returns the message with what was found in its text, nil if its content is
// not what its beginning promised. It takes the text for all but the last two
// characters until these are there.
func (a *arriving) search(ctx context.Context, m wire.Message) (*document, error) {
	n, err := a.wait(ctx, min(maxHead, len(a.content)))
	if err != nil {
		return nil, err
	}
	head := streamHead().FindSubmatchIndex(a.content[:min(n, maxHead)])
	if head == nil {
		return nil, nil
	}
	a.start = head[1]
	name := string(a.content[head[2]:head[3]])
	p := &textPiece{piece: piece{json: true}, leaf: leaf{start: a.start}, frame: inContent}
	s := searcher{Redactor: a.redactor, ctx: ctx, limit: window}
	defer s.end()
	s.buf = s.buffer(window + overlap)
	for {
		last, err := a.next(ctx, &p.piece)
		if err != nil {
			return nil, err
		}
		if p.raw == nil {
			return nil, nil
		}
		s.add(&p.piece)
		if p.from = len(p.raw); last {
			break
		}
	}
	p.end, p.from = a.start+len(p.raw), 0
	a.length, a.tail, a.err = s.finish([]*piece{&p.piece})
	return &document{m: m, msgType: "stream", pieces: []*textPiece{p}, text: p, name: name}, nil
}

// next makes p.raw what there is of the text once there is another window of it, up
// to where no escape goes on, or all of it. p.raw is nil if this is no text that a
// stream message would end with.
func (a *arriving) next(ctx context.Context, p *piece) (last bool, err error) {
	from := a.start + p.from
	n, err := a.wait(ctx, min(from+window, len(a.content)))
	if err != nil {
		return false, err
	}
	p.raw = nil
	if n == len(a.content) {
		end := bytes.TrimRight(a.content, " \t\r\n")
		end, whole := bytes.CutSuffix(end, []byte("}"))
		end, quoted := bytes.CutSuffix(bytes.TrimRight(end, " \t\r\n"), []byte(`"`))
		if whole && quoted && len(end) >= from && closingQuote(a.content, from) == len(end) {
			p.raw = a.content[a.start:len(end)]
		}
		return true, nil
	}
	cut := wholeEscapes(a.content, from, n)
	if cut > from && closingQuote(a.content[:cut], from) < 0 {
		p.raw = a.content[a.start:cut]
	}
	return false, nil
}

// longestEscape is the length of a pair of surrogates.
const longestEscape = len(`\ud83d\ude00`)

// wholeEscapes returns the last offset of b up to end where no escape goes on, as
// far as that shows in the characters before it; from if there is none behind that.
func wholeEscapes(b []byte, from, end int) int {
	for end-longestEscape > from {
		before := b[end-longestEscape : end]
		i := bytes.LastIndex(before, []byte(`\u`))
		switch {
		case before[len(before)-1] == '\\':
			end--
		case i >= 0:
			end += i - len(before)
		default:
			return end
		}
	}
	return from
}
