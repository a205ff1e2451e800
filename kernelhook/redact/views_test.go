package redact

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// newLong returns a Redactor that knows one value of 78 characters.
func newLong(t testing.TB) (*Redactor, string) {
	t.Helper()
	v := rand.Text() + rand.Text() + rand.Text()
	signer, err := wire.NewSigner("hmac-sha256", []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	return &Redactor{Finder: match.New([]match.Known{{Name: "LONG", Value: secret.New([]byte(v))}}), Signer: signer}, v
}

// redactText returns text as a client sees it in the stream of a cell.
func (r *Redactor) redactText(t testing.TB, text string) string {
	t.Helper()
	m := r.Message(context.Background(), r.message("stream", "p", streamContent("stdout", text)))
	var c struct{ Text string }
	if err := json.Unmarshal(m.Content(), &c); err != nil {
		t.Fatal(err)
	}
	return c.Text
}

// between returns v with sep after every n characters but the last ones.
func between(v, sep string, n int) string {
	var parts []string
	for part := range slices.Chunk([]byte(v), n) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, sep)
}

// What stands between the characters of a value stays, and the value goes.
func TestViews(t *testing.T) {
	r, v := newLong(t)
	const p = "[nbhush:LONG]"
	encoded := base64.StdEncoding.EncodeToString([]byte(v))
	for _, c := range []struct{ name, text, want string }{
		{"colour in the middle", "k \x1b[31m" + v[:5] + "\x1b[1;39m" + v[5:] + "\x1b[0m.", "k \x1b[31m" + p + "\x1b[1;39m\x1b[0m."},
		{"colour after each", between(v, "\x1b[38;5;28m", 1), p + strings.Repeat("\x1b[38;5;28m", len(v)-1)},
		{"link", "\x1b]8;;http://x\x1b\\" + v[:9] + "\x1b]8;;\a" + v[9:], "\x1b]8;;http://x\x1b\\" + p + "\x1b]8;;\a"},
		{"character set", v[:9] + "\x1b(B" + v[9:], p + "\x1b(B"},
		{"pygments", `<span class="s1">&#39;` + v[:5] + `</span><span class="si">` + v[5:9] + `</span>` + v[9:] + "&#39;", `<span class="s1">&#39;` + p + `</span><span class="si"></span>&#39;`},
		{"line break of HTML", v[:40] + "<br>" + v[40:] + "<br/>", p + "<br><br/>"},
		{"colour and tag", "<i>" + v[:4] + "\x1b[0m" + v[4:8] + "</i>" + v[8:], "<i>" + p + "\x1b[0m</i>"},
		{"value in a tag", `<a href="` + v + `">x</a>`, `<a href="` + p + `">x</a>`},
		{"two values", v[:5] + "\x1b[0m" + v[5:] + " " + v, p + "\x1b[0m " + p},
		{"folded at 70", between(v, "\n", 70), p + "\n"},
		{"folded at 76 and indented", "    " + between(encoded, "\n    ", 76) + "\n", "    " + p + "\n    \n"},
		{"folded in repr", `b'` + between(encoded, `\n`, 76) + `\n'`, `b'` + p + `\n\n'`},
		{"folded in JSON in repr", between(encoded, `\\n`, 76), p + `\\n`},
		{"folded literals", "(b'" + between(v, "'\n b'", 70) + "')", "(b'" + p + "'\n b'')"},
		{"folded by a backslash", between(v, "\\\n", 70), p + "\\\n"},
		{"folded with CRLF", between(v, "\r\n", 70), p + "\r\n"},
		{"folded and coloured", "\x1b[32m" + between(v, "\x1b[0m\n\x1b[32m", 70), "\x1b[32m" + p + "\x1b[0m\n\x1b[32m"},
		{"lines of their own", v + "\n" + v + "\n", p + "\n" + p + "\n"},
		{"less than", "1 < 2 </ " + v[:40] + "x\x1b[0m>", "1 < 2 </ " + p + "x\x1b[0m>"},
		{"nothing", "<b>\x1b[31mred\x1b[0m</b>\n\n", "<b>\x1b[31mred\x1b[0m</b>\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.redactText(t, c.text)
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if again := r.redactText(t, got); again != got {
				t.Errorf("redacted again: %q", again)
			}
		})
	}
}

// Characters one by one are found where the user asks for it, and only there.
func TestSpelled(t *testing.T) {
	r, v := newLong(t)
	for _, c := range []struct{ name, before, sep, after string }{
		{"spaces", "", " ", ""},
		{"lines", "", "\n", "\n"},
		{"dashes", "<", "-", ">"},
		{"list of Python", "['", "', '", "']"},
		{"list that IPython breaks", "['", "',\n '", "']"},
		{"list of JSON", `["`, `", "`, `"]`},
		{"list of JSON, indented", "[\n  \"", "\",\n  \"", "\"\n]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.before + between(v, c.sep, 1) + c.after
			r.Spelled = false
			if got := r.redactText(t, text); got != text {
				t.Errorf("without being asked: %q", got)
			}
			r.Spelled = true
			want := c.before + "[nbhush:LONG]" + strings.Repeat(c.sep, len(v)-1) + c.after
			if got := r.redactText(t, text); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// FuzzViews holds that whatever markup stands in a value, however the text is
// cut into messages, the value goes and the markup stays.
func FuzzViews(f *testing.F) {
	r, v := newLong(f)
	marks := []string{"\x1b[31m", "\x1b[0;1;39m", "\x1b]8;;x\a", "<b>", "</span>", "<br/>", `<a href="x">`}
	f.Add([]byte{0, 3, 1, 9, 4, 30}, []byte{9, 50})
	f.Add([]byte{7, 1, 7, 1, 7, 1}, []byte{1, 1, 1})
	f.Fuzz(func(t *testing.T, places, cuts []byte) {
		text, rest, want := "a ", v, "a [nbhush:LONG]"
		for i := 0; i+1 < len(places) && len(rest) > 1; i += 2 {
			n := min(1+int(places[i+1])%20, len(rest)-1)
			mark := marks[int(places[i])%len(marks)]
			text, rest, want = text+rest[:n]+mark, rest[n:], want+mark
		}
		text, want = text+rest+" end", want+" end"
		if got := r.redactText(t, text); got != want {
			t.Errorf("at once: got %q, want %q", got, want)
		}
		s, sent := collect(r)
		defer s.Close()
		for _, n := range cuts {
			n := min(int(n), len(text))
			s.Push(t.Context(), []wire.Message{r.message("stream", "p", streamContent("stdout", text[:n]))})
			text = text[n:]
		}
		s.Push(t.Context(), []wire.Message{r.message("stream", "p", streamContent("stdout", text)), r.message("status", "p", `{"execution_state":"idle"}`)})
		all := texts(sent.get())
		if got := strings.Join(all[:len(all)-1], ""); letters(got) != letters(want) {
			t.Errorf("in pieces: got %q, want %q", got, want)
		}
	})
}

// letters returns s without placeholders: with a value over messages that had
// to leave, there may be two.
func letters(s string) string { return strings.ReplaceAll(s, "[nbhush:LONG]", "") }

// FuzzSpelled holds that no text makes the search for spelled values fail, or
// lose what is no value.
func FuzzSpelled(f *testing.F) {
	r, _ := newLong(f)
	r.Spelled = true
	f.Add("a b c d e f g h i j")
	f.Add("- - - - - \x1b[ <b> é é é é é é é é")
	f.Add("a\x00b c d e f g h i j k")
	f.Fuzz(func(t *testing.T, text string) {
		b := []byte(text)
		for _, v := range []*view{withoutMarkup(b), unfolded(b, true), joined(b, true)} {
			if v == nil {
				continue
			}
			var back []byte
			at, cuts := 0, v.cuts
			for _, c := range cuts {
				back = append(append(back, v.text[at:c.at]...), b[c.start:c.end]...)
				at = c.at
			}
			if back = append(back, v.text[at:]...); !bytes.Equal(back, b) {
				t.Fatalf("view %q and cuts %v are not %q", v.text, v.cuts, b)
			}
			whole := v.stretches([]match.Span{{Start: 0, End: len(v.text)}})
			n := 0
			for _, s := range whole {
				n += s.end - s.start
			}
			if n != len(v.text) {
				t.Fatalf("stretches %v have %d bytes of %d", whole, n, len(v.text))
			}
		}
	})
}

func BenchmarkViews(b *testing.B) {
	r, _ := newLong(b)
	line := "a line of the output of a cell\n"
	for _, c := range []struct {
		name, line string
		spelled    bool
	}{
		{"plain", line, false}, {"coloured", "\x1b[32m" + line + "\x1b[0m", false}, {"html", "<td>" + line + "</td>", false}, {"spelled", line, true},
	} {
		m := r.message("stream", "p", streamContent("stdout", strings.Repeat(c.line, 1<<20/len(c.line))))
		b.Run(c.name, func(b *testing.B) {
			r.Spelled = c.spelled
			b.SetBytes(1 << 20)
			for b.Loop() {
				r.Message(b.Context(), m)
			}
		})
	}
}
