package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/secret"
)

// Op is what was asked.
type Op string

// The operations.
const (
	OpGet    Op = "get"
	OpSet    Op = "set"
	OpRemove Op = "rm"
	OpAllow  Op = "allow"
	OpDeny   Op = "deny"
	OpLock   Op = "lock"
	OpUnlock Op = "unlock"
	OpStart  Op = "start"
	OpStop   Op = "stop"
	OpKernel Op = "kernel"
	// OpConsent: the user was asked, or could not be.
	OpConsent Op = "consent"
	// OpRevoke: a grant was taken back, or a value was taken from a running kernel.
	OpRevoke Op = "revoke"
	// OpRotate: a running kernel got the new value of what it held.
	OpRotate Op = "rotate"
	// OpSync: with an encrypted file, also to and from a backup.
	OpSync Op = "sync"
	// OpFound: a secret was found where none should be, such as in a commit.
	OpFound Op = "found"
)

var ops = []Op{OpGet, OpSet, OpRemove, OpAllow, OpDeny, OpLock, OpUnlock, OpStart, OpStop, OpKernel, OpConsent, OpRevoke, OpRotate, OpSync, OpFound}

// Verdict is what came of it.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allow"
	Denied  Verdict = "deny"
	Failed  Verdict = "error" // allowed, and then it did not work
)

// Who is the process that asked. Append caps its texts and escapes what does
// not print.
type Who struct {
	PID      int    `json:"pid"`
	Exe      string `json:"exe,omitempty"`
	Kernel   string `json:"kernel,omitempty"`
	Notebook string `json:"notebook,omitempty"`
}

// Entry is one line of the log. Append fills in Seq and Prev, and Time where it
// is zero. A Name that is not one is left out: people paste values there.
type Entry struct {
	Time    time.Time   `json:"time"`
	Seq     uint64      `json:"seq"`
	Who     Who         `json:"who"`
	Op      Op          `json:"op"`
	Name    secret.Name `json:"name,omitempty"`
	Verdict Verdict     `json:"verdict"`
	Reason  string      `json:"reason,omitempty"`
	Prev    string      `json:"prev"`
}

// genesis is the first line.
type genesis struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Genesis string    `json:"genesis"`
	After   uint64    `json:"after,omitempty"` // the last entry of the file before
	Prev    string    `json:"prev,omitempty"`  // and the hash of its line
}

const version = 1

// Limits, in bytes. JSON's own escapes make a byte six at most, so that a line
// of four capped texts and a name stays under maxLine.
const (
	maxText = 256
	maxLine = 8 << 10
)

func (e *Entry) valid() error {
	if !slices.Contains(ops, e.Op) {
		return fmt.Errorf("audit: no such operation: %q", e.Op)
	}
	if e.Verdict != Allowed && e.Verdict != Denied && e.Verdict != Failed {
		return fmt.Errorf("audit: no such verdict: %q", e.Verdict)
	}
	return nil
}

// Clean returns e as Append would write it: texts capped, and nothing in them but
// what prints.
func (e Entry) Clean() Entry {
	e.clean()
	return e
}

func (e *Entry) clean() {
	if _, err := secret.ParseName(string(e.Name)); err != nil {
		e.Name = ""
	}
	for _, text := range []*string{&e.Who.Exe, &e.Who.Kernel, &e.Who.Notebook, &e.Reason} {
		*text = printable(*text)
	}
}

// printable returns s with everything escaped that a terminal would act on or
// show as something else, control characters and changes of direction among
// them, and cut to maxText bytes.
func printable(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		piece := s[:size]
		switch {
		case r == utf8.RuneError && size == 1:
			piece = fmt.Sprintf(`\x%02x`, s[0])
		case !unicode.IsPrint(r):
			piece = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if out.Len()+len(piece) > maxText-len("…") {
			out.WriteString("…")
			break
		}
		out.WriteString(piece)
		s = s[size:]
	}
	return out.String()
}

// parse returns the number of the entry in line, 0 for a genesis. It is strict:
// what Append did not write is an error, and errors repeat nothing of the line.
func parse(line []byte) (seq uint64, err error) {
	e, err := parseEntry(line)
	if err == nil {
		return e.Seq, nil
	}
	g, err := parseGenesis(line)
	return g.After, err
}

func parseEntry(line []byte) (e Entry, err error) {
	if err := strict(line, &e); err != nil {
		return e, err
	}
	if e.Seq == 0 || len(e.Prev) != 64 || e.valid() != nil {
		return e, errNotEntry
	}
	return e, nil
}

func parseGenesis(line []byte) (g genesis, err error) {
	if err := strict(line, &g); err != nil {
		return g, err
	}
	if g.Version != version || g.Genesis == "" || (g.After == 0) != (g.Prev == "") {
		return g, errNotEntry
	}
	return g, nil
}

var errNotEntry = errors.New("it is not an entry of the log")

func strict(line []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if d.Decode(to) != nil || d.InputOffset() != int64(len(line)) {
		return errNotEntry
	}
	return nil
}
