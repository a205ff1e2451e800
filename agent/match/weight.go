package match

import (
	"bytes"
	"encoding/base64"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/secret"
)

const (
	// MinLen is the length, in bytes, of the shortest value that can be matched.
	MinLen = 8

	minPiece  = 12           // bytes of the shortest fragment
	minHeft   = 2 * minPiece // halves that a fragment weighs at least
	maxLen    = 64 << 10     // bytes of a value that are looked at
	fewHeft   = MinLen       // halves under which a value is well-known text
	runLen    = 6            // shortest run of one byte, or of consecutive ones, that weighs nothing
	phraseLen = 14           // shortest row of words that is no accident
	longWord  = 16           // longest plain word
	wordLen   = 4            // shortest English word
	sharedMax = 16           // values that may share 8 bytes before these count as boilerplate
	splitLen  = 256          // shortest run of such bytes that is left out
	repeatMax = 8            // times that 8 bytes may stand in one value before the next ones weigh nothing
)

// Weakness returns why v cannot be matched, or not all of it, in words that
// follow "its value is", or "" if it can.
func Weakness(v secret.Value) string {
	if why := unmatchable(v.Reveal()); why != "" {
		return why
	}
	if v.Len() > maxLen {
		return "longer than 64 KiB: only its first 64 KiB are matched"
	}
	return ""
}

// unmatchable returns why b is left out of a Set, or "".
func unmatchable(b []byte) string {
	b = bytes.TrimRight(b[:min(len(b), maxLen)], "\r\n")
	if len(b) < MinLen {
		return "shorter than 8 bytes"
	}
	heft := weigh(b)
	lo, hi := shortLines(b)
	b, heft = b[lo:hi], heft[lo:hi]
	switch {
	case len(b) < MinLen:
		return "made of lines shorter than 8 bytes"
	case bytes.HasPrefix(b, []byte(placeholderStart)):
		return "a placeholder of nbhush"
	case isCommon(b):
		return "too common"
	case repeats(b):
		return "one pattern repeated"
	case len(b) <= longWord && isWord(b, 4):
		return "a plain English word"
	}
	if sum(heft) < fewHeft {
		return "made of well-known text"
	}
	return ""
}

// isCommon reports whether b is in the list of common values, with or without
// digits and signs around it.
func isCommon(b []byte) bool {
	core := bytes.TrimFunc(b, func(r rune) bool { return r < utf8.RuneSelf && !isLetter(byte(r)) })
	for _, c := range commonValues {
		if len(c) == len(core) && bytes.EqualFold(core, []byte(c)) || len(c) == len(b) && bytes.EqualFold(b, []byte(c)) {
			return true
		}
	}
	return false
}

// repeats reports whether b repeats its first one to four bytes over and over.
func repeats(b []byte) bool {
	for period := 1; period <= 4; period++ {
		if bytes.Equal(b[period:], b[:len(b)-period]) {
			return true
		}
	}
	return false
}

// weigh returns the weight of each byte of a value, in halves: 0 inside
// well-known text, 1 inside what reads like a language, else 2.
func weigh(b []byte) []uint8 {
	heft := make([]uint8, len(b))
	for i := range heft {
		heft[i] = 2
	}
	weighLetters(b, heft)
	weighWords(b, heft)
	dropBoilerplate(b, heft)
	dropTemplates(b, heft)
	dropJSON(b, heft)
	dropURL(b, heft)
	dropRuns(b, heft)
	dropSequences(b, heft)
	dropRepeats(b, heft)
	return heft
}

// weighLetters gives what is not ASCII in a text the weight of a letter of a
// word, and that of two to scripts with more than two bytes a character.
func weighLetters(b []byte, heft []uint8) {
	if !utf8.Valid(b) {
		return
	}
	for i := 0; i < len(b); {
		_, n := utf8.DecodeRune(b[i:])
		if n > 1 {
			copy(heft[i:i+n], []uint8{1, uint8(min(n, 3) - 2), 0, 0})
		}
		i += n
	}
}

// weighWords halves the weight of words with signs around them, and of the
// signs, where they are no accident: many in a row, or half of the value.
func weighWords(b []byte, heft []uint8) {
	halved := make([]uint8, len(b)) // 1 where a word is
	letters := 0
	for i := 0; i < len(b); i++ {
		end := i
		for end < len(b) && isAlnum(b[end]) {
			end++
		}
		if isWord(b[i:end], 3) {
			letters += end - i
			for j := max(0, i-1); j < min(end+1, len(b)); j++ {
				halved[j] = 1
			}
		}
		i = end
	}
	for i := 0; i < len(b); i++ {
		end := i
		for end < len(b) && halved[end] == 1 {
			end++
		}
		if end-i >= phraseLen || 2*letters >= len(b) {
			for j := i; j < end; j++ {
				heft[j] = min(heft[j], 1)
			}
		}
		i = end
	}
}

// isWord reports whether b is letters of one case, or with a capital, of which
// so many pairs in four are common in English. With all four, about one random
// string of eight letters in a thousand is a word, and of twelve one in a hundred thousand.
func isWord(b []byte, quarters int) bool {
	if len(b) < wordLen {
		return false
	}
	common, pairs := commonPairs(), 0
	for i, c := range b {
		if !isLetter(c) || i > 1 && c&0x20 != b[1]&0x20 || i == 1 && c&0x20 == 0 && b[0]&0x20 != 0 {
			return false
		}
		if i > 0 && common[b[i-1]|0x20-'a'][c|0x20-'a'] {
			pairs++
		}
	}
	return 4*pairs >= quarters*(len(b)-1)
}

// dropBoilerplate takes the weight off well-known strings and their base64.
func dropBoilerplate(b []byte, heft []uint8) {
	known := boilerplateIndex()
	for i := 0; i+4 <= len(b); i++ {
		for _, s := range known[[4]byte(b[i:])] {
			if len(s) <= len(b)-i && string(b[i:i+len(s)]) == s {
				clear(heft[i : i+len(s)])
			}
		}
	}
}

// boilerplateIndex is the table boilerplate with the base64 of its strings at
// every alignment, by their first four bytes.
var boilerplateIndex = sync.OnceValue(func() map[[4]byte][]string {
	index := make(map[[4]byte][]string)
	add := func(s string) {
		key := [4]byte([]byte(s))
		index[key] = append(index[key], s)
	}
	for _, s := range boilerplate {
		add(s)
		for shift := range 3 {
			text := base64.StdEncoding.EncodeToString([]byte("\x00\x00"[:shift] + s))
			if image := text[(8*shift+5)/6 : 8*(shift+len(s))/6]; len(image) >= MinLen {
				add(image)
			}
		}
	}
	return index
})

// dropTemplates takes the weight off dates, times and private addresses.
func dropTemplates(b []byte, heft []uint8) {
	for _, t := range templates {
		for i := 0; i+len(t) <= len(b); i++ {
			if b[i] == t[0] || t[0] == 'd' && isDigit(b[i]) {
				if fits(b[i:i+len(t)], t) {
					clear(heft[i : i+len(t)])
				}
			}
		}
	}
}

func fits(b []byte, template string) bool {
	for i, c := range b {
		if c != template[i] && (template[i] != 'd' || !isDigit(c)) {
			return false
		}
	}
	return true
}

// dropJSON takes the weight off the signs between JSON strings, runs of
// space, and the values of fields that are public.
func dropJSON(b []byte, heft []uint8) {
	for i := 0; i < len(b); i++ {
		j := skipSpace(b, i)
		if j > i+1 {
			clear(heft[i:j])
			i = j - 1
		}
		if b[i] != '"' {
			continue
		}
		if j = skipSpace(b, i+1); j < len(b) && (b[j] == ':' || b[j] == ',') {
			if j = skipSpace(b, j+1); j < len(b) && b[j] == '"' {
				clear(heft[i : j+1])
			}
		}
	}
	for _, field := range publicFields {
		i := bytes.Index(b, []byte(`"`+field+`"`))
		if i < 0 {
			continue
		}
		j := skipSpace(b, i+len(field)+2)
		if j == len(b) || b[j] != ':' {
			continue
		}
		if j = skipSpace(b, j+1); j < len(b) && b[j] == '"' {
			if n := bytes.IndexByte(b[j+1:], '"'); n >= 0 {
				clear(heft[i : j+n+2])
			}
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// dropURL takes the weight off what is public in a URL with a password: user,
// host and path.
func dropURL(b []byte, heft []uint8) {
	lo, hi := urlPassword(b)
	if hi-lo < MinLen {
		return
	}
	clear(heft[:lo])
	end := len(b)
	if i := bytes.IndexAny(b[hi:], "?#;"); i >= 0 {
		end = hi + i
	}
	clear(heft[hi:end])
}

// urlPassword returns where the password of the URL b is, or 0, 0.
func urlPassword(b []byte) (lo, hi int) {
	i := bytes.Index(b, []byte("://"))
	if i <= 0 || i > 32 {
		return 0, 0
	}
	for _, c := range b[:i] {
		if !isAlnum(c) && c != '+' && c != '-' && c != '.' {
			return 0, 0
		}
	}
	i += len("://")
	end := len(b)
	if n := bytes.IndexAny(b[i:], "/?# \n"); n >= 0 {
		end = i + n
	}
	hi = i + bytes.LastIndexByte(b[i:end], '@')
	lo = i + bytes.IndexByte(b[i:end], ':') + 1
	if lo == i || hi < lo {
		return 0, 0
	}
	return lo, hi
}

// dropRuns takes the weight off runs of one byte.
func dropRuns(b []byte, heft []uint8) { dropSteps(b, heft, 0) }

// dropSequences takes the weight off runs such as abcdef and 987654.
func dropSequences(b []byte, heft []uint8) {
	dropSteps(b, heft, 1)
	dropSteps(b, heft, 0xFF)
}

func dropSteps(b []byte, heft []uint8, step byte) {
	start := 0
	for i := 1; i <= len(b); i++ {
		if i < len(b) && b[i] == b[i-1]+step {
			continue
		}
		if i-start >= runLen {
			clear(heft[start:i])
		}
		start = i
	}
}

// dropRepeats takes the weight off 8 bytes that have stood in the value many
// times before. It bounds the work that a periodic value makes.
func dropRepeats(b []byte, heft []uint8) {
	for i, again := range repeated(b) {
		if again {
			clear(heft[i : i+8])
		}
	}
}

// repeated returns at which places of b stand 8 bytes that stood there more
// than repeatMax times up to then.
func repeated(b []byte) []bool {
	if len(b) < repeatMax*MinLen {
		return nil
	}
	n := newCounter(len(b))
	again := make([]bool, len(b)-7)
	for i := range again {
		again[i] = n.bump(n.slot(load64(b[i:]))) > repeatMax
	}
	n.wipe()
	return again
}

// splitRepeats returns the parts of b without what is repeated over and over:
// where the first repeats are found at every period, the others are too, and
// need not be extended over each other.
func splitRepeats(b []byte) []Span {
	var parts []Span
	start, run := 0, 0
	again := repeated(b)
	for i := 0; i <= len(again); i++ {
		if i < len(again) && again[i] {
			run++
			continue
		}
		if run >= splitLen {
			parts = append(parts, Span{Start: start, End: i - run + 7})
			start = i - 1 // what follows begins with 8 of the repeated bytes
		}
		run = 0
	}
	return append(parts, Span{Start: start, End: len(b)})
}

// counter counts windows of 8 bytes, by a hash of them, up to 255.
type counter struct {
	counts []uint8
	shift  uint8
}

// newCounter returns a counter for n windows.
func newCounter(n int) counter {
	k := bits.Len(uint(n)) + 2
	return counter{make([]uint8, 1<<k), uint8(64 - k)}
}

// slot returns where window is counted.
func (c counter) slot(window uint64) uint32 { return uint32(window * longKind.mix >> c.shift) }

// bump counts at slot and returns the count.
func (c counter) bump(slot uint32) uint8 {
	if c.counts[slot] < 255 {
		c.counts[slot]++
	}
	return c.counts[slot]
}

func (c counter) wipe() { clear(c.counts) }

// commonPairs are the pairs of letters that English words are mostly made of.
var commonPairs = sync.OnceValue(func() *[26][26]bool {
	var t [26][26]bool
	for _, pair := range strings.Fields(englishPairs) {
		t[pair[0]-'a'][pair[1]-'a'] = true
	}
	return &t
})
