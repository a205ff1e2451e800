package gitfilter

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A block is what this package owns of a file that is the user's: the lines
// from blockBegin to blockEnd. The first line also notes what has to be undone
// to get the old file back to the byte.
const (
	blockBegin = "# nbhush: begin; nbhush git uninstall removes these lines"
	blockEnd   = "# nbhush: end\n"
)

var errBlock = errors.New("the lines of nbhush begin but do not end")

// note is what was done to the file besides adding the block.
type note struct {
	newFile    bool
	newFolders int
	lineEnd    bool // the last line had no end
	// hadAttributes: the attributes were there already, as in a clone of a
	// repository that has them committed, and are not Uninstall's to take.
	hadAttributes bool
}

func (n note) String() string {
	s := ""
	if n.newFile {
		s += "; new file"
	}
	if n.newFolders > 0 {
		s += fmt.Sprintf("; new folders: %d", n.newFolders)
	}
	if n.lineEnd {
		s += "; line end added"
	}
	if n.hadAttributes {
		s += "; attributes were there"
	}
	return s + "\n"
}

func parseNote(line []byte) (n note) {
	for part := range bytes.SplitSeq(line, []byte(";")) {
		switch part := string(bytes.TrimSpace(part)); part {
		case "new file":
			n.newFile = true
		case "line end added":
			n.lineEnd = true
		case "attributes were there":
			n.hadAttributes = true
		default:
			_, _ = fmt.Sscanf(part, "new folders: %d", &n.newFolders)
		}
	}
	return n
}

// findBlock returns where the block is in file; start < 0 if there is none.
func findBlock(file []byte) (start, end int, n note, err error) {
	for at := 0; ; {
		i := bytes.Index(file[at:], []byte(blockBegin))
		if i < 0 {
			return -1, -1, note{}, nil
		}
		start = at + i
		if start == 0 || file[start-1] == '\n' {
			break
		}
		at = start + 1
	}
	head, _, _ := bytes.Cut(file[start:], []byte("\n"))
	i := bytes.Index(file[start:], []byte("\n"+blockEnd))
	if i < 0 {
		return beginOnly(file, start, start+len(head))
	}
	return start, start + i + 1 + len(blockEnd), parseNote(head[len(blockBegin):]), nil
}

// beginOnly is findBlock for a block without an end: git config --remove-section
// takes out the section and the comments in it, the end among them.
func beginOnly(file []byte, start, lineEnd int) (int, int, note, error) {
	rest := bytes.TrimPrefix(file[lineEnd:], []byte("\n"))
	for _, ours := range []string{sectionHead, strings.TrimSpace(attributes)} {
		if bytes.HasPrefix(rest, []byte(ours)) {
			return 0, 0, note{}, errBlock
		}
	}
	return start, len(file) - len(rest), parseNote(file[start+len(blockBegin) : lineEnd]), nil
}

// withBlock returns file with the block holding lines, at its place or at the
// end. fresh notes how the file came to be; it counts for a new block only.
func withBlock(file []byte, lines string, fresh note) ([]byte, error) {
	start, end, n, err := findBlock(file)
	if err != nil {
		return nil, err
	}
	if start < 0 {
		start, end, n = len(file), len(file), fresh
		n.lineEnd = len(file) > 0 && file[len(file)-1] != '\n'
	}
	var out bytes.Buffer
	out.Write(file[:start])
	if n.lineEnd && start == len(file) {
		out.WriteByte('\n')
	}
	out.WriteString(blockBegin + n.String() + lines + blockEnd)
	out.Write(file[end:])
	return out.Bytes(), nil
}

// withoutBlock returns file as it was before withBlock; found is false if it has no block.
func withoutBlock(file []byte) (old []byte, n note, found bool, err error) {
	start, end, n, err := findBlock(file)
	if err != nil || start < 0 {
		return file, note{}, false, err
	}
	// If lines follow by now, the line end separates them from those before.
	if n.lineEnd && start > 0 && end == len(file) {
		start--
	}
	return append(bytes.Clone(file[:start]), file[end:]...), n, true, nil
}
