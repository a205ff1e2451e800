package detect

import (
	"bufio"
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// IgnoreFile is the name of a file with fingerprints, in a notebook's folder or above.
const IgnoreFile = ".nbhushignore"

// IgnoreTag is the tag of a cell in which nothing is found by its look.
const IgnoreTag = "nbhush-ignore"

// Rule returns the rule that gave a span its name, and false if the name is
// not one of a Detector's but of a stored secret.
func Rule(name string) (string, bool) {
	i := strings.LastIndexByte(name, '-')
	return strings.ToLower(name[:max(i, 0)]), i > 0
}

// Fingerprint names a finding in an IgnoreFile: the rule, and a hash of what it
// found, which is the same for everybody. The hash is slow, some milliseconds,
// so that a list of passwords cannot be tried quickly on the report of one.
func Fingerprint(rule string, found []byte) string {
	const rounds, size = 1 << 14, 6
	sum, err := pbkdf2.Key(sha256.New, string(found), []byte("nbhush "+rule), rounds, size)
	if err != nil {
		return rule // a build that refuses short keys has no fingerprints
	}
	return rule + ":" + hex.EncodeToString(sum)
}

// Ignore is the findings that somebody looked at and that are no secrets. Nil
// ignores nothing. It is safe for concurrent use.
type Ignore struct {
	prints map[string]bool
	rules  map[string]bool

	mu    sync.Mutex
	known map[[sha256.Size]byte]bool // answers, since a fingerprint is slow
}

var printForm = lazy(`^[a-z0-9][a-z0-9-]*:[0-9a-f]{12}$`)

// ParseIgnore reads an IgnoreFile: a fingerprint a line; empty lines, and what
// follows a #, say nothing.
func ParseIgnore(b []byte) (*Ignore, error) {
	ig := &Ignore{prints: map[string]bool{}, rules: map[string]bool{}, known: map[[sha256.Size]byte]bool{}}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if !printForm().MatchString(line) {
			return nil, &IgnoreError{Line: n} // the line is not repeated: it may be a value
		}
		rule, _, _ := strings.Cut(line, ":")
		ig.prints[line], ig.rules[rule] = true, true
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", IgnoreFile, err)
	}
	return ig, nil
}

// IgnoreError says which line of an IgnoreFile is no fingerprint.
type IgnoreError struct{ Line int }

func (e *IgnoreError) Error() string {
	return fmt.Sprintf("line %d of %s is no fingerprint", e.Line, IgnoreFile)
}

// Hint says where fingerprints come from.
func (e *IgnoreError) Hint() string {
	return "copy fingerprints, never values, from: nbhush strip --check FILE"
}

// Has reports whether what rule found is to be ignored.
func (ig *Ignore) Has(rule string, found []byte) bool {
	if ig == nil || !ig.rules[rule] {
		return false
	}
	key := sha256.Sum256(append([]byte(rule+":"), found...))
	ig.mu.Lock()
	defer ig.mu.Unlock()
	has, ok := ig.known[key]
	if !ok {
		has = ig.prints[Fingerprint(rule, found)]
		ig.known[key] = has
	}
	return has
}
