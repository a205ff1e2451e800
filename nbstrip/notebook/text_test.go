package notebook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// naive decodes the inside of a JSON string with encoding/json, which replaces
// invalid UTF-8; that stays as it is here.
func naive(t *testing.T, raw string) []byte {
	t.Helper()
	var out []byte
	for len(raw) > 0 { // between invalid bytes
		n := 0
		for n < len(raw) {
			r, size := utf8.DecodeRuneInString(raw[n:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			n += size
		}
		var s string
		if err := json.Unmarshal([]byte(`"`+raw[:n]+`"`), &s); err != nil {
			t.Fatalf("%q: %v", raw[:n], err)
		}
		out = append(out, s...)
		if n < len(raw) {
			out = append(out, raw[n])
			n++
		}
		raw = raw[n:]
	}
	return out
}

// checkText checks that x decodes to want, in pieces of every small size, and
// that its map leads every byte back to where it came from.
func checkText(t *testing.T, x Text, want []byte) {
	t.Helper()
	if x.Binary {
		want = bytes.ReplaceAll(bytes.ReplaceAll(want, []byte("\n"), nil), []byte("\r"), nil)
	}
	for _, size := range []int{1, 2, 3, 7, 1 << 20} {
		var got []byte
		for r := x.Reader(); r.More(); {
			before := len(got)
			got = r.Append(got, size)
			if len(got)-before >= size+utf8.UTFMax {
				t.Fatalf("%d bytes in a piece of %d", len(got)-before, size)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("pieces of %d: %q, want %q", size, got, want)
		}
	}
	if b, ok := x.Verbatim(); ok && !bytes.Equal(b, want) {
		t.Fatalf("verbatim %q, want %q", b, want)
	}
	if !x.Binary && len(want) < 4096 {
		checkMap(t, x, want)
	}
}

// checkMap checks for every decoded byte that its source range lies in a string
// of the text, decodes to the character around it, and that ranges ascend.
func checkMap(t *testing.T, x Text, decoded []byte) {
	t.Helper()
	m := x.Map()
	last := Range{}
	for at := range decoded {
		ranges := m.Ranges(at, at+1)
		if len(ranges) != 1 {
			t.Fatalf("byte %d of %q has %d ranges", at, decoded, len(ranges))
		}
		r := ranges[0]
		if r != last && r.Start < last.End {
			t.Fatalf("byte %d of %q is at %v, the one before at %v", at, decoded, r, last)
		}
		last = r
		if got := Raw(x.src[r.Start:r.End]).AppendTo(nil); !bytes.Equal(got, character(decoded, at)) && !joins(x, r) {
			t.Fatalf("byte %d of %q leads to %q", at, decoded, got)
		}
	}
	if len(decoded) == 0 {
		return
	}
	total := 0
	for _, r := range m.Ranges(0, len(decoded)) {
		total += r.End - r.Start
	}
	want := 0
	for _, s := range x.strings {
		want += len(s.bytes(x.src))
	}
	if total != want {
		t.Fatalf("the whole of %q leads to %d bytes of %d", decoded, total, want)
	}
}

// character returns the character of text that has the byte at.
func character(text []byte, at int) []byte {
	for start := at; start >= 0 && start > at-utf8.UTFMax; start-- {
		if r, n := utf8.DecodeRune(text[start:]); (r != utf8.RuneError || n > 1) && start+n > at {
			return text[start : start+n]
		}
	}
	return text[at : at+1]
}

// joins reports whether r ends or begins beside raw bytes that are no UTF-8 in
// their own string, or beside an escape: decoded they may join into a character.
func joins(x Text, r Range) bool {
	return !utf8.Valid(x.src[r.Start:r.End])
}

func TestMapRanges(t *testing.T) {
	const src = `{"cells": [{"source": ["a\ud83d\udd11é", "", "\u00e9b\n"]}]}`
	nb := scan(t, src)
	var x Text
	for _, text := range nb.Texts() {
		if text.Part == InSource {
			x = text
		}
	}
	decoded := string(x.AppendTo(nil))
	if decoded != "a\U0001f511é\u00e9b\n" {
		t.Fatalf("decoded %q", decoded)
	}
	cases := []struct {
		start, end int
		want       string
	}{
		{0, 1, "a"},
		{1, 2, `\ud83d\udd11`}, // a quarter of a character is all of it
		{0, 3, `a\ud83d\udd11`},
		{5, 6, "é"},
		{6, 7, "é"},
		{6, 8, `é|\u00e9`},
		{0, len(decoded), `a\ud83d\udd11é|\u00e9b\n`},
	}
	for _, c := range cases {
		var got []string
		for _, r := range x.Map().Ranges(c.start, c.end) {
			got = append(got, src[r.Start:r.End])
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("[%d, %d): %q, want %q", c.start, c.end, got, c.want)
		}
	}
}

func TestVerbatimIsNoCopy(t *testing.T) {
	src := []byte(`{"cells": [{"outputs": [{"data": {"image/png": "` + strings.Repeat("A", 100) + `\n", "text/plain": ["plain"]}}]}]}`)
	nb, err := Scan(src)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, x := range nb.Texts() {
		if b, ok := x.Verbatim(); ok {
			found++
			if &b[0] != &src[x.Range().Start+1] {
				t.Errorf("%q is a copy", b)
			}
		}
	}
	if found != 4 { // two names, two values
		t.Errorf("%d texts are verbatim, want 4", found)
	}
}

func TestRawKeepsWhatIsNoEscape(t *testing.T) {
	const src = `"a\u0041\x \` + "\n\x00" + `\ud83d\\n\u12`
	want := `"aA\x \` + "\n\x00\ufffd\\n\\u12"
	if got := string(Raw([]byte(src)).AppendTo(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	checkText(t, Raw([]byte(src)), []byte(want))
}

func TestSplice(t *testing.T) {
	src := []byte("0123456789")
	cases := []struct {
		name  string
		edits []Edit
		want  string
	}{
		{"one", []Edit{{2, 4, []byte("abc")}}, "01abc456789"},
		{"ends", []Edit{{0, 1, nil}, {9, 10, []byte("z")}}, "12345678z"},
		{"insert", []Edit{{5, 5, []byte("-")}}, "01234-56789"},
		{"adjacent", []Edit{{2, 4, nil}, {4, 6, []byte("x")}}, "01x6789"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := Splice(src, c.edits)
			if string(got) != c.want || cap(got) != len(got) {
				t.Errorf("%q of capacity %d, want %q", got, cap(got), c.want)
			}
		})
	}
	if string(src) != "0123456789" {
		t.Error("the source was changed")
	}
}

// FuzzText holds the decoding of one string, and of lists, against encoding/json.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "abc", `\n\t\"\\\/`, `\u00e9é\ud83d\udd11\ud83d`, "\xff\xc3", `\ud83d\ud83d\udd11`, "é\U0001f511"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		src := `{"cells": [{"source": ["` + a + `", "` + b + `"]}]}`
		nb, err := Scan([]byte(src))
		if err != nil || len(nb.strings) != 2 {
			return // a quote or worse in them
		}
		checkText(t, nb.Text(0), append(naive(t, a), naive(t, b)...))
	})
}
