package kernelspec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A block is a range of lines that belongs to nbhush inside a file that belongs
// to the user:
//
//	# >>> nbhush jupyter >>> added=newline sum=0123456789ab
//	body
//	# <<< nbhush jupyter <<<
//
// added says what else had to be made, so that removing the block leaves the
// file as it was: a newline before the block, the file, or the file and its
// folder. sum is over the body's lines without their ends, so that it survives
// a change of line ends; a body that does not match was edited by hand.
const (
	blockBegin = "# >>> nbhush jupyter >>>"
	blockEnd   = "# <<< nbhush jupyter <<<"
)

// What a block's added field can say.
const (
	addedNothing = "nothing"
	addedNewline = "newline"
	addedFile    = "file"
	addedFolder  = "folder" // and the file in it
)

// block is one found in a file: src[start:end] are its lines, with the newline
// of the last one.
type block struct {
	start, end int
	added      string
	body       string // with \n line ends
}

// errBlock says that the block's markers or body are not as they were written.
// There is no telling which of the lines are the user's, so nothing is changed.
type errBlock struct{ reason string }

func (e *errBlock) Error() string { return "the block of nbhush is damaged: " + e.reason }

// Hint says what a person can do that a program should not.
func (e *errBlock) Hint() string {
	return "delete by hand what is left of the lines from " + blockBegin + " to " + blockEnd
}

// findBlock returns the block in src, or nil if there is none.
func findBlock(src []byte) (*block, error) {
	var b *block
	var body []string
	done := false
	for n, at := 1, 0; at < len(src); n++ {
		line, next := nextLine(src, at)
		text := string(line)
		switch {
		case strings.HasPrefix(text, blockBegin):
			if b != nil {
				return nil, &errBlock{fmt.Sprintf("it begins a second time in line %d", n)}
			}
			b = &block{start: at}
			if !b.parseHeader(text) {
				return nil, &errBlock{fmt.Sprintf("line %d was edited", n)}
			}
		case strings.HasPrefix(text, blockEnd):
			if b == nil || done || text != blockEnd {
				return nil, &errBlock{fmt.Sprintf("line %d ends what did not begin", n)}
			}
			b.end, done = next, true
		case b != nil && !done:
			body = append(body, text)
		}
		at = next
	}
	if b == nil {
		return nil, nil
	}
	if !done {
		return nil, &errBlock{"its end is missing"}
	}
	b.body = strings.Join(append(body, ""), "\n")
	if want := b.header(); string(mustLine(src, b.start)) != want {
		return nil, &errBlock{"its lines were edited"}
	}
	return b, nil
}

func mustLine(src []byte, at int) []byte {
	line, _ := nextLine(src, at)
	return line
}

// nextLine returns the line at src[at:] without its end, which is \n, \r\n or \r
// as in Python, and where the next one starts.
func nextLine(src []byte, at int) (line []byte, next int) {
	i := bytes.IndexAny(src[at:], "\r\n")
	if i < 0 {
		return src[at:], len(src)
	}
	line, next = src[at:at+i], at+i+1
	if src[at+i] == '\r' && next < len(src) && src[next] == '\n' {
		next++
	}
	return line, next
}

func (b *block) header() string {
	sum := sha256.Sum256([]byte(b.body))
	return fmt.Sprintf("%s added=%s sum=%s", blockBegin, b.added, hex.EncodeToString(sum[:6]))
}

func (b *block) parseHeader(line string) bool {
	fields := strings.Fields(strings.TrimPrefix(line, blockBegin))
	if len(fields) != 2 {
		return false
	}
	var ok bool
	b.added, ok = strings.CutPrefix(fields[0], "added=")
	switch b.added {
	case addedNothing, addedNewline, addedFile, addedFolder:
	default:
		return false
	}
	return ok
}

// setBlock returns src with body in its block: in the place of an older block,
// else at the end, where neither a coding line nor a docstring is pushed away.
// added is addedFile or addedFolder where src is a file that does not exist
// yet, else "". body has \n line ends; the block gets the line ends of src.
func setBlock(src []byte, body, added string) ([]byte, error) {
	old, err := findBlock(src)
	if err != nil {
		return nil, err
	}
	b := &block{start: len(src), end: len(src), added: addedNothing, body: body}
	before, eol := "", lineEnd(src)
	switch {
	case old != nil:
		b.start, b.end, b.added = old.start, old.end, old.added
	case added != "":
		b.added = added
	case len(src) > 0 && !endsLine(src):
		b.added, before = addedNewline, eol
	}
	lines := b.header() + "\n" + body + blockEnd + "\n"
	if old != nil && !endsLine(src[:old.end]) {
		lines = strings.TrimSuffix(lines, "\n")
	}
	out := make([]byte, 0, len(src)+len(lines)+16)
	out = append(out, src[:b.start]...)
	out = append(out, before...)
	out = append(out, strings.ReplaceAll(lines, "\n", eol)...)
	return append(out, src[b.end:]...), nil
}

// cutBlock returns src without its block, and the block, which is nil if there
// was none. A newline that setBlock added goes too, unless somebody has written
// behind the block since: it then separates their line from the one before.
func cutBlock(src []byte) ([]byte, *block, error) {
	b, err := findBlock(src)
	if b == nil || err != nil {
		return src, nil, err
	}
	before, after := src[:b.start], src[b.end:]
	if b.added == addedNewline && len(after) == 0 {
		if cut, ok := bytes.CutSuffix(before, []byte("\r\n")); ok {
			before = cut
		} else if len(before) > 0 && endsLine(before) {
			before = before[:len(before)-1]
		}
	}
	return append(bytes.Clone(before), after...), b, nil
}

func endsLine(src []byte) bool {
	return len(src) > 0 && (src[len(src)-1] == '\n' || src[len(src)-1] == '\r')
}

// lineEnd is the line end that src uses, as its first one says.
func lineEnd(src []byte) string {
	if i := bytes.IndexByte(src, '\n'); i > 0 && src[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
