package wire

import (
	"bytes"
	"errors"
)

// Delimiter is the frame between the routing identities and the message proper.
const Delimiter = "<IDS|MSG>"

// The errors of Parse.
var (
	ErrNoDelimiter = errors.New("message has no <IDS|MSG> frame")
	ErrShort       = errors.New("message has fewer frames than a header, parent header, metadata and content need")
)

// Positions of the frames after the delimiter.
const (
	signature = iota + 1
	header
	parent
	metadata
	content
	buffers
)

// Message is one Jupyter message. Its frames belong to whoever made them; a
// Message only points at them. The zero Message has no frames: only those that
// Parse returned may be asked for their parts.
type Message struct {
	// Frames are all frames, identities first.
	Frames [][]byte
	delim  int
}

// Parse finds the parts of frames without copying or decoding them.
func Parse(frames [][]byte) (Message, error) {
	for i, f := range frames {
		if string(f) != Delimiter {
			continue
		}
		if len(frames) < i+buffers {
			return Message{}, ErrShort
		}
		return Message{frames, i}, nil
	}
	return Message{}, ErrNoDelimiter
}

// Identities returns the frames before the delimiter: who it is from or for, or the topic of iopub.
func (m Message) Identities() [][]byte { return m.Frames[:m.delim] }

// Signature returns the signature in lower-case hexadecimal; it is empty where messages are not signed.
func (m Message) Signature() []byte { return m.Frames[m.delim+signature] }

// Header returns the header's JSON.
func (m Message) Header() []byte { return m.Frames[m.delim+header] }

// Parent returns the parent header's JSON.
func (m Message) Parent() []byte { return m.Frames[m.delim+parent] }

// Metadata returns the metadata's JSON.
func (m Message) Metadata() []byte { return m.Frames[m.delim+metadata] }

// Content returns the content's JSON.
func (m Message) Content() []byte { return m.Frames[m.delim+content] }

// Buffers returns the binary frames after the content.
func (m Message) Buffers() [][]byte { return m.Frames[m.delim+buffers:] }

// With returns a message with other metadata, content and buffers, signed by
// s. Identities and headers are shared with m, which stays as it was.
func (m Message) With(s *Signer, metadata, content []byte, buffers [][]byte) Message {
	return New(s, m.Identities(), m.Header(), m.Parent(), metadata, content, buffers)
}

// New returns the message that the parts make, signed by s. It shares the parts.
func New(s *Signer, identities [][]byte, header, parent, metadata, content []byte, buffers [][]byte) Message {
	frames := make([][]byte, 0, len(identities)+6+len(buffers))
	frames = append(frames, identities...)
	frames = append(frames, []byte(Delimiter), nil, header, parent, metadata, content)
	frames = append(frames, buffers...)
	m := Message{frames, len(identities)}
	m.Frames[m.delim+signature] = s.Sign(m)
	return m
}

// signed returns the four frames that a signature covers.
func (m Message) signed() [][]byte { return m.Frames[m.delim+header : m.delim+buffers] }

// IsFor reports whether the first identity of m is id.
func (m Message) IsFor(id []byte) bool {
	return m.delim > 0 && bytes.Equal(m.Frames[0], id)
}
