package detect

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/nbhush/nbhush/agent/match"
)

// Detector finds secrets by their look. It implements match.Finder. The zero
// Detector works; its rules are read when the first text comes. It is safe for
// concurrent use.
type Detector struct {
	key   []byte
	once  sync.Once
	rules *ruleSet
	err   error
}

// New returns a Detector. The names of its spans end in a hash of the secret
// under key, so that equal secrets have equal names and nobody without the key
// can try guesses. A key must be kept as long as placeholders are to stay the
// same: a git filter that changes keys changes files. Without a key a random
// one is made, for this Detector alone. New keeps a copy of key.
func New(key []byte) *Detector {
	return &Detector{key: slices.Clone(key)}
}

// load reads the rules.
func (d *Detector) load() error {
	d.once.Do(func() {
		if len(d.key) == 0 {
			d.key = make([]byte, 32)
			_, _ = rand.Read(d.key) // never fails
		}
		d.rules, d.err = newRuleSet()
	})
	return d.err
}

// Find implements match.Finder. The Name of a span is
// the rule's, in capitals, and four digits.
//
// A byte 0xFF ends a text: what follows is another one.
//
// Secrets of one line are found however the text is cut. Of one that reaches
// over lines, only a private key's block is waited for by Tail, and no more
// than maxTail bytes.
func (d *Detector) Find(ctx context.Context, text []byte) (match.Result, error) {
	if err := ctx.Err(); err != nil {
		return match.Result{}, err
	}
	if len(text) == 0 {
		return match.Result{}, nil
	}
	if err := d.load(); err != nil {
		return match.Result{}, err
	}
	c := collector{text: text}
	s := scan{ctx: ctx, set: d.rules, out: &c}
	for rest, at := text, 0; len(rest) > 0; {
		n := bytes.IndexByte(rest, separator)
		if n < 0 {
			n = len(rest)
		}
		s.text, s.at, s.labelled = rest[:n], at, 0
		s.all()
		at += n + 1
		rest = rest[min(n+1, len(rest)):]
	}
	if err := ctx.Err(); err != nil {
		return match.Result{}, err
	}
	var r match.Result
	for _, f := range c.settle() {
		r.Spans = append(r.Spans, match.Span{Start: f.start, End: f.end, Name: d.name(f.rule, text[f.start:f.end])})
	}
	r.Tail = tailOf(text, r.Spans)
	return r, nil
}

// separator is in no UTF-8. Where texts are searched together it stands between them.
const separator = 0xff

func (d *Detector) name(rule string, secret []byte) string {
	h := hmac.New(sha256.New, d.key)
	h.Write(secret)
	return strings.ToUpper(rule) + "-" + hex.EncodeToString(h.Sum(nil)[:2])
}

// maxTail is the most that Find asks to see again.
const maxTail = 16 << 10

var blockStart, blockEnd = []byte("-----BEGIN "), []byte("-----END ")

// tailOf returns how much of the end of text later text may change: the last
// line, if it is not ended, and a private key's block.
func tailOf(text []byte, spans []match.Span) int {
	recent := max(0, len(text)-maxTail)
	from := max(recent, bytes.LastIndexByte(text, '\n')+1)
	if bytes.Contains(text[recent:], blockStart) {
		begin := recent + bytes.LastIndex(text[recent:], blockStart)
		if _, end, _ := bytes.Cut(text[begin:], blockEnd); !bytes.Contains(end, []byte("-----")) {
			from = min(from, begin)
		}
	}
	for i := len(spans) - 1; i >= 0 && spans[i].End > from; i-- {
		from = min(from, spans[i].Start)
	}
	return len(text) - from
}

// rank says which of two findings that overlap is to be believed.
type rank uint8

const (
	rankLabel  rank = iota // a value by what stands before it
	rankPlace              // a part of something with a syntax of its own
	rankFormat             // a value by its own format
)

// finding is a secret in the text that Find was given.
type finding struct {
	start, end int
	rule       string
	rank       rank
}

// collector takes findings and settles which of them count.
type collector struct {
	text  []byte
	found []finding

	// What scans are done with, and the next ones can use.
	views    []*mapped
	searched [][]int
}

// settle returns the findings in order; of those that overlap, the best.
func (c *collector) settle() []finding {
	var keep []finding
	slices.SortStableFunc(c.found, c.compare)
	for _, f := range c.found {
		// Those kept do not overlap, so that their ends are in order too.
		i, _ := slices.BinarySearchFunc(keep, f.start, func(k finding, start int) int { return k.end - 1 - start })
		if (i == len(keep) || keep[i].start >= f.end) && !c.ignored(f) {
			keep = slices.Insert(keep, i, f)
		}
	}
	return keep
}

// compare puts the better of two findings first: one by format that is whole,
// then the longer one.
func (c *collector) compare(a, b finding) int {
	if x, y := c.worth(a), c.worth(b); x != y {
		return int(y) - int(x)
	}
	return (b.end - b.start) - (a.end - a.start)
}

func (c *collector) worth(f finding) rank {
	cutLeft := f.start > 0 && isAlnum(c.text[f.start-1]) && isAlnum(c.text[f.start]) && (f.start < 2 || c.text[f.start-2] != '\\')
	cutRight := f.end < len(c.text) && isAlnum(c.text[f.end]) && isAlnum(c.text[f.end-1])
	if f.rank == rankFormat && (cutLeft || cutRight) {
		return rankLabel
	}
	return f.rank
}

// ignored reports whether the line of f says that it is to be ignored.
func (c *collector) ignored(f finding) bool {
	from, to := lineOf(c.text, f.start, f.end)
	line := c.text[from:to]
	i := bytes.Index(line, []byte("nbhush:"))
	for i >= 0 {
		rest := bytes.TrimLeft(line[i+len("nbhush:"):], " ")
		if bytes.HasPrefix(rest, []byte("ignore")) {
			return true
		}
		line = rest
		i = bytes.Index(line, []byte("nbhush:"))
	}
	return false
}
