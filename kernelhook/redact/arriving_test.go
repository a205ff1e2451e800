package redact

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// slow is a content of which only what was waited for, and a little more, is there.
type slow struct {
	whole, seen []byte
	there       int
	fails       int // offset at which no more comes, 0 for none
	waits       int
}

// message returns m with a content that is not there yet: quotes, which would end a text.
func (s *slow) message(m wire.Message) wire.Message {
	s.whole, s.seen = m.Content(), bytes.Repeat([]byte{'"'}, len(m.Content()))
	frames := slices.Clone(m.Frames)
	frames[len(frames)-1-len(m.Buffers())] = s.seen
	m.Frames = frames
	return m
}

func (s *slow) wait(_ context.Context, n int) (int, error) {
	s.waits++
	if n = min(n, len(s.whole)); n > s.there {
		to := min(len(s.whole), n+mathrand.IntN(window/2))
		if s.fails > 0 && to > s.fails {
			return s.there, io.ErrUnexpectedEOF
		}
		copy(s.seen[s.there:to], s.whole[s.there:to])
		s.there = to
	}
	return s.there, nil
}

// longText returns text of several windows with the values at random places, and one
// over each place where windows meet.
func longText(values ...string) string {
	lines := []string{"a line that is no secret \\ \"\n", "é \U0001f600 \\u0041 \\\\\n", "\n\n\n\n\n\n", strings.Repeat("x", 99) + "\n"}
	text := bytes.Repeat([]byte(lines[mathrand.IntN(len(lines))]), 1)
	text = bytes.Repeat(text, (window+mathrand.IntN(3*window/2))/len(text))
	for n := 1; n <= 2; n++ {
		v := values[mathrand.IntN(len(values))]
		at := min(len(text)-len(v), max(0, n*(window-overlap)-mathrand.IntN(len(v)+2*overlap)))
		copy(text[at:], v)
	}
	return strings.ToValidUTF8(string(text), "?")
}

// A message that is redacted while it arrives is what it is when it has arrived,
// whatever comes before and after it.
func TestStageArriving(t *testing.T) {
	value, long := rand.Text(), string(random(60<<10))
	set := match.New([]match.Known{
		{Name: "SHORT", Value: secret.New([]byte(value))},
		{Name: "LONG", Value: secret.New([]byte(long))},
	})
	signer, err := wire.NewSigner("hmac-sha256", []byte(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	r := &Redactor{Finder: set, Signer: signer}
	const early = true
	for name, c := range map[string]struct {
		form  string // of the content
		early bool   // whether the text is searched while it arrives
	}{
		"as Python writes it":  {`{"name": "stdout", "text": "TEXT"}`, early},
		"as orjson does":       {`{"name":"stderr","text":"TEXT"}`, early},
		"with space":           {" {\n\"name\" :\t\"stdout\" , \"text\" : \"TEXT\" } \n", early},
		"the other way around": {`{"text": "TEXT", "name": "stdout"}`, !early},
		"with more behind":     {`{"name": "stdout", "text": "TEXT", "x": "TEXT"}`, !early},
		"text before it":       {`{"x": "TEXT", "name": "stdout", "text": "TEXT"}`, !early},
		"cut off":              {`{"name": "stdout", "text": "TEXT`, !early},
		"a quote too many":     {`{"name": "stdout", "text": "TEXT""}`, !early},
		"a quote escaped":      {`{"name": "stdout", "text": "TEXT\"}`, !early},
		"nothing":              {`{"name": "stdout", "text": ""}`, early},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := quoteInside(longText(value, long))
				content := strings.ReplaceAll(c.form, "TEXT", string(text))
				stream := func(text string) wire.Message { return r.message("stream", "p", streamContent("stdout", text)) }
				msgs := []wire.Message{stream("before "), r.message("stream", "p", content), stream(value[9:]), r.message("status", "p", `{"execution_state":"idle"}`)}
				if mathrand.IntN(2) == 0 { // its text goes on from the one before
					msgs[0] = stream("before " + value[:9])
				}
				push := func(arrives bool) (out []string) {
					s, sent := collect(r)
					defer s.Close()
					for i, m := range msgs {
						if i != 1 || !arrives {
							s.Push(t.Context(), []wire.Message{m})
							continue
						}
						var sl slow
						if err := s.PushArriving(t.Context(), sl.message(m), sl.wait); err != nil {
							t.Fatal(err)
						}
					}
					for _, m := range sent.get() {
						if string(m.Signature()) != "" && !signer.Verify(m) {
							t.Error("a message is not signed")
						}
						out = append(out, string(m.Content()))
					}
					return out
				}
				want, got := push(false), push(true)
				if !slices.Equal(got, want) {
					t.Fatalf("%d messages in place of %d, or others", len(got), len(want))
				}
				if all := strings.Join(got, ""); strings.Contains(all, value) || len(text) > 0 && strings.Contains(c.form, "TEXT") && !strings.Contains(all, "[nbhush:") {
					t.Error("the values are still there")
				}
				var sl slow
				a := arriving{redactor: r, wait: sl.wait}
				m := sl.message(msgs[1])
				a.content = m.Content()
				if d, err := a.search(t.Context(), m); err != nil || (d != nil) != c.early {
					t.Errorf("searched while it arrived: %v, %v", d != nil, err)
				}
			})
		})
	}
}

// What never becomes whole is not sent; what cannot be searched is withheld as ever.
func TestStageArrivingFails(t *testing.T) {
	r, f, v := newTest(t)
	content := streamContent("stdout", strings.Repeat("no secret\n", 3*window/10)+v)
	s, sent := collect(r)
	defer s.Close()
	for _, at := range []int{1, 300, window, 2*window + 5} {
		sl := slow{fails: at}
		err := s.PushArriving(t.Context(), sl.message(r.message("stream", "p", content)), sl.wait)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off at %d: %v", at, err)
		}
	}
	if got := sent.get(); len(got) > 0 {
		t.Fatalf("sent %d messages that were not whole", len(got))
	}
	f.err = errors.New("gone")
	for range 2 {
		var sl slow
		if err := s.PushArriving(t.Context(), sl.message(r.message("stream", "p", content)), sl.wait); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := texts(sent.get()), []string{"[nbhush: output withheld: gone]\n", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzWholeEscapes holds that no escape goes over the place that wholeEscapes returns.
func FuzzWholeEscapes(f *testing.F) {
	for _, s := range []string{`abc`, `a\\\\\\`, `\ud83d\ude00\ud83d\ude00\ud83d\ude00x`, `\n\n\n\n\n\n\n\n\n\"`, `\\u0041\u0041 longer text behind it`} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, end int) {
		b := []byte(s)
		if end < 0 || end > len(b) {
			end = len(b)
		}
		cut := wholeEscapes(b, 0, end)
		if cut < 0 || cut > end {
			t.Fatalf("%d of %d", cut, end)
		}
		var buf [4]byte
		at := 0
		for at < cut {
			n, _ := unit(b[at:], &buf)
			at += n
		}
		if at != cut {
			t.Errorf("an escape goes from before %d to %d", cut, at)
		}
	})
}
