package match

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/secret"
)

// naive is Find by definition: every form against every place of the text.
func naive(s *Set, text []byte) []Span {
	var hits []hit
	at := 0
	for _, m := range append(regexp.MustCompile(`\[nbhush:[A-Za-z0-9_]+\]`).FindAllIndex(text, -1), []int{len(text), len(text)}) {
		if m[0] < len(text) && !isOwn(s, string(text[m[0]:m[1]])) {
			continue
		}
		for i := range s.forms {
			hits = append(hits, naiveForm(s, i, text[at:m[0]], at)...)
		}
		at = m[1]
	}
	for merged := true; merged; {
		merged = false
		for i := 0; i < len(hits); i++ {
			for j := i + 1; j < len(hits); j++ {
				a, b := hits[i], hits[j]
				if a.start >= b.end || b.start >= a.end {
					continue
				}
				if b.longest > a.longest || b.longest == a.longest && b.name < a.name {
					a.name, a.longest = b.name, b.longest
				}
				a.start, a.end = min(a.start, b.start), max(a.end, b.end)
				hits[i] = a
				hits = append(hits[:j], hits[j+1:]...)
				j--
				merged = true
			}
		}
	}
	var spans []Span
	for len(spans) < len(hits) {
		next := hit{start: len(text) + 1}
		for _, h := range hits {
			if h.start < next.start && (len(spans) == 0 || h.start >= spans[len(spans)-1].End) {
				next = h
			}
		}
		spans = append(spans, Span{next.start, next.end, s.names[next.name]})
	}
	return spans
}

func isOwn(s *Set, placeholder string) bool {
	for _, n := range s.names {
		if Placeholder(n) == placeholder {
			return true
		}
	}
	return false
}

func naiveForm(s *Set, i int, text []byte, at int) []hit {
	info := s.forms[i]
	form := s.arena[info.start:s.formEnd(i)]
	core := len(form) - int(info.edge.pad)
	var hits []hit
	for shift := -len(form); shift <= len(text); shift++ {
		for a := max(0, -shift); a < len(form) && shift+a < len(text); a++ {
			b := a
			for b < len(form) && shift+b < len(text) && form[b] == text[shift+b] {
				b++
			}
			lo, hi := a, b
			for {
				head, _, ok := bytes.Cut(form[lo:hi], []byte("\n"))
				if !ok || len(head) >= MinLen {
					break
				}
				lo += len(head) + 1
			}
			for {
				n := bytes.LastIndexByte(form[lo:hi], '\n')
				if n < 0 || hi-(lo+n+1) >= MinLen {
					break
				}
				hi = lo + n
			}
			sum := 0
			for j := lo; j < hi; j++ {
				place := int(info.start) + j
				sum += int(s.heft[place/4] >> (place % 4 * 2) & 3)
			}
			if hi > lo && (lo == 0 && hi >= core || hi-lo >= 12 && sum >= 24) {
				start, end := shift+lo, shift+hi
				if lo == 0 && info.edge.leftMask != 0 && start > 0 && agrees(text[start-1], info.edge.leftMask, info.edge.leftBits) {
					start--
				}
				if hi == core && info.edge.rightMask != 0 && end < len(text) && agrees(text[end], info.edge.rightMask, info.edge.rightBits) {
					end++
				}
				hits = append(hits, hit{at + start, at + end, info.name, end - start})
			}
			a = b
		}
	}
	return hits
}

// alphabets of random values: ordinary ones and those that make repeats,
// escapes, lines and words.
var alphabets = []string{
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
	"0123456789abcdef",
	"ab",
	"abcq\n",
	"xyzXYZ019%\\\"/'&<> \n\té√",
	"\x00\x01\xfe\xff\x80abc",
	"theinr -",
}

func randomValue(r *rand.Rand) []byte {
	alphabet := []rune(alphabets[r.IntN(len(alphabets))])
	var b []byte
	if r.IntN(4) == 0 {
		b = append(b, []string{"https://www.", "-----BEGIN PRIVATE KEY-----\n", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", "postgresql://app:"}[r.IntN(4)]...)
	}
	for n := 8 + r.IntN(1+r.IntN(60)); n > 0; n-- {
		if c := alphabet[r.IntN(len(alphabet))]; c >= 0x80 && c <= 0xff && r.IntN(2) == 0 {
			b = append(b, byte(c))
		} else {
			b = append(b, string(c)...)
		}
	}
	switch r.IntN(16) {
	case 0:
		b = bytes.Repeat(b, 1+r.IntN(20))
		b = b[:r.IntN(min(len(b), 600))]
	case 1, 2:
		b = append(b, b[:len(b)/2]...)
	case 3, 4:
		b = append(b, '\n')
	}
	return b
}

func randomSet(r *rand.Rand) *Set {
	var known []Known
	for i := range 1 + r.IntN(6) {
		v := randomValue(r)
		if i > 0 && r.IntN(3) == 0 { // shares a piece with the one before
			b := known[i-1].Value.Reveal()
			v = append(bytes.Clone(b[:r.IntN(len(b))]), v...)
		}
		known = append(known, Known{secret.Name(fmt.Sprintf("NAME_%d", i)), secret.New(v)})
	}
	return New(known)
}

// randomText is made of pieces of s and of other things.
func randomText(r *rand.Rand, s *Set) []byte {
	var b []byte
	for range r.IntN(8) {
		switch r.IntN(6) {
		case 0:
			b = append(b, "abab\nab[nbhush:NAME_0] [nbhush:NAM QUJD\n"[:r.IntN(41)]...)
		case 1:
			b = append(b, Placeholder(fmt.Sprintf("NAME_%d", r.IntN(7)))...)
		case 2:
			b = append(b, randomValue(r)...)
		default:
			if len(s.forms) == 0 {
				continue
			}
			i := r.IntN(len(s.forms))
			form := s.arena[s.forms[i].start:s.formEnd(i)]
			lo := 0
			if r.IntN(2) == 0 {
				lo = r.IntN(len(form))
			}
			hi := len(form)
			if r.IntN(2) == 0 {
				hi = lo + r.IntN(len(form)-lo+1)
			}
			b = append(b, form[lo:hi]...)
			if len(b) > 0 && r.IntN(4) == 0 {
				b[r.IntN(len(b))] = "abcQ\n="[r.IntN(6)]
			}
		}
	}
	return b
}

func find(t testing.TB, s *Set, text []byte) Result {
	t.Helper()
	r, err := s.Find(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkAll holds every property of one set and text.
func checkAll(t *testing.T, s *Set, text []byte, r *rand.Rand) {
	t.Helper()
	got := find(t, s, text)
	if diff := cmp.Diff(naive(s, text), got.Spans); diff != "" {
		t.Fatalf("values %q\ntext %q\nnaive and Find differ:\n%s", values(s), text, diff)
	}
	want := Replace(nil, text, got.Spans)
	if again := find(t, s, want); len(again.Spans) != 0 {
		t.Fatalf("values %q\ntext %q\nredacted %q\nis searched again: %v", values(s), text, want, again.Spans)
	}
	var out bytes.Buffer
	w := NewRedactor(s, &out)
	for at := 0; at < len(text); {
		n := min(1+r.IntN(1+r.IntN(40)), len(text)-at)
		if _, err := w.Write(text[at : at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Fatalf("values %q\ntext %q\nin pieces %q\nat once   %q", values(s), text, out.Bytes(), want)
	}
}

// values returns the forms of s; they are made up.
func values(s *Set) []string {
	var out []string
	for i := range s.forms {
		out = append(out, s.names[s.forms[i].name]+" "+string(s.arena[s.forms[i].start:s.formEnd(i)]))
	}
	return out
}

func TestProperties(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 20
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		s := randomSet(r)
		for range 3 {
			checkAll(t, s, randomText(r, s), r)
		}
	}
}

func FuzzProperties(f *testing.F) {
	f.Add("NAME_0value-of-twenty-bytes", "a value-of-twenty-bytes [nbhush:A]", uint64(1))
	f.Add("abcdabcdabcdabce", "abcdabcdabcdabcdabcdabcdabce", uint64(2))
	f.Add("first line of it\nsecond\nthird line of it", "first line of it\nsecond\n", uint64(3))
	f.Fuzz(func(t *testing.T, value, text string, seed uint64) {
		if len(value) > 300 || len(text) > 1000 {
			t.Skip()
		}
		a, b, ok := strings.Cut(value, "\x00\x00")
		known := []Known{{"A", secret.New([]byte(a))}}
		if ok {
			known = append(known, Known{"B", secret.New([]byte(b))})
		}
		checkAll(t, New(known), []byte(text), rand.New(rand.NewPCG(seed, 2)))
	})
}
