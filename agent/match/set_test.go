package match

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"io"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

func known(pairs ...string) []Known {
	var k []Known
	for i := 0; i < len(pairs); i += 2 {
		k = append(k, Known{secret.Name(pairs[i]), secret.New([]byte(pairs[i+1]))})
	}
	return k
}

func redact(t *testing.T, s *Set, text string) string {
	t.Helper()
	return string(Replace(nil, []byte(text), find(t, s, []byte(text)).Spans))
}

func TestFind(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(10, 5))
	a, b := random(r, 26, alnum), random(r, 26, alnum)
	s := New(known("A", a, "B", b, "B_TOO", b, "AB", a[:13]+b, "SHORT", "abc", "EIGHT", "Qx7!vK2z"))
	if s.Len() != 5 {
		t.Errorf("Len() = %d, want 5", s.Len())
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "an ordinary line of text\n", "an ordinary line of text\n"},
		{"empty", "", ""},
		{"whole", "a " + a + "\n", "a [nbhush:A]\n"},
		{"fragment", "a " + a[3:15] + "\n", "a [nbhush:A]\n"},
		{"too short", "a " + a[3:14] + "\n", "a " + a[3:14] + "\n"},
		{"first name", b, "[nbhush:B]"},
		{"longest name", a[:13] + b, "[nbhush:AB]"},
		{"first of equals", a[:13], "[nbhush:A]"},
		{"side by side", a + a, "[nbhush:A][nbhush:A]"},
		{"overlapping pieces", a[:13] + a[1:], "[nbhush:A]" + "[nbhush:A]"},
		{"eight bytes", "(Qx7!vK2z)", "([nbhush:EIGHT])"},
		{"seven of eight", "(Qx7!vK2)", "(Qx7!vK2)"},
		{"short value", "abc abc", "abc abc"},
		{"in a placeholder", "[nbhush:A]", "[nbhush:A]"},
	} {
		if got := redact(t, s, c.text); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestPlaceholdersAreNeverMatched(t *testing.T) {
	for _, value := range []string{"OPENAI_API_KEY_is_the_name", "nbhush:OPENAI_API_KEY", "]zq8x]wk3v]7", "x[nbhush:OPENAI_API_KEY]y9z8"} {
		s := New(known("OPENAI_API_KEY", value, "OTHER", "Y]zq8x]wk3"))
		for _, text := range []string{"[nbhush:OPENAI_API_KEY]", "[nbhush:OPENAI_API_KEY]zq8x]wk3v]7", "x[nbhush:OPENAI_API_KEY]y9z8"} {
			if got := redact(t, s, text); got != text {
				t.Errorf("%q became %q", text, got)
			}
		}
		// But what only looks like a placeholder hides nothing.
		if got := redact(t, s, "[nbhush:"+strings.Repeat("x", 20)+rand.Text()+"]"); strings.Contains(got, value) {
			t.Errorf("%q was kept", got)
		}
	}
	v := rand.Text()
	if got := redact(t, New(known("A", v)), "[nbhush:"+v+"]"); got != "[nbhush:[nbhush:A]]" {
		t.Errorf("a value in the shape of a placeholder became %q", got)
	}
}

func TestTail(t *testing.T) {
	v := "zqxj-" + rand.Text() + "\nsecond line of it\nend"
	s := New(known("A", v, "B", rand.Text()))
	for _, c := range []struct {
		name, text string
		least      int
	}{
		{"empty", "", 0},
		{"start of a value", "a zqxj-", 5},
		{"more of it", "a " + v[:11], 11},
		{"a whole line and its newline", "a " + v[:32], 32},
		{"a placeholder's start", "a [nbhush:", 8},
	} {
		if got := find(t, s, []byte(c.text)).Tail; got < c.least || got > len(c.text) {
			t.Errorf("%s: tail %d, want at least %d", c.name, got, c.least)
		}
	}
	// A print that ends with a newline must not wait for what follows it.
	for _, line := range []string{"\n", "done\n", "it\n", "of it\n", "[nbhush:A]\n", "100%\r\n"} {
		if got := find(t, s, []byte(line)).Tail; got != 0 {
			t.Errorf("%q: tail %d, want 0", line, got)
		}
	}
}

func TestFindFails(t *testing.T) {
	v := rand.Text()
	s := New(known("A", v))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Find(ctx, []byte(v)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Find: %v", err)
	}
	arena := s.arena
	s.Wipe()
	if _, err := s.Find(context.Background(), []byte(v)); !errors.Is(err, ErrWiped) {
		t.Errorf("Find after Wipe: %v", err)
	}
	if len(arena) == 0 || !bytes.Equal(arena, make([]byte, len(arena))) {
		t.Error("Wipe left forms in memory")
	}
	s.Wipe()
	if r, err := New(nil).Find(context.Background(), []byte(v)); err != nil || len(r.Spans) != 0 || r.Tail != 0 {
		t.Errorf("the empty set: %v, %v", r, err)
	}
}

func TestNewLeavesValuesAlone(t *testing.T) {
	k := known("A", "https://user:"+rand.Text()+"@host/\n")
	before := bytes.Clone(k[0].Value.Reveal())
	New(k).Wipe()
	if !bytes.Equal(before, k[0].Value.Reveal()) {
		t.Error("New or Wipe changed a value")
	}
}

func TestConcurrentFindAndWipe(t *testing.T) {
	v := rand.Text()
	s := New(known("A", v))
	text := []byte(strings.Repeat(v+" and more text\n", 1000))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				r, err := s.Find(context.Background(), text)
				if errors.Is(err, ErrWiped) {
					return
				}
				if err != nil || len(r.Spans) != 1000 {
					t.Errorf("%d spans, %v", len(r.Spans), err)
					return
				}
			}
		})
	}
	s.Wipe()
	wg.Wait()
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestRedactorFails(t *testing.T) {
	v := rand.Text()
	s := New(known("A", v))
	w := NewRedactor(s, &failing{1})
	if _, err := io.WriteString(w, "one line\n"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := io.WriteString(w, "another\n"); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("a failed write: %v", err)
		}
	}
	var out bytes.Buffer
	w = NewRedactor(s, &out)
	if _, err := io.WriteString(w, "a"+v[:10]); err != nil {
		t.Fatal(err)
	}
	s.Wipe()
	if _, err := io.WriteString(w, v[10:]); !errors.Is(err, ErrWiped) {
		t.Errorf("a Finder that fails: %v", err)
	}
	if err := w.Close(); !errors.Is(err, ErrWiped) {
		t.Errorf("Close: %v", err)
	}
	if strings.Contains(out.String(), v[:10]) {
		t.Errorf("unsearched text was passed on: %q", out.String())
	}
}

func TestRedactorFlushAndClose(t *testing.T) {
	v := rand.Text()
	var out bytes.Buffer
	w := NewRedactor(New(known("A", v)), &out)
	for _, c := range v[:20] {
		if _, err := io.WriteString(w, string(c)); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() != 0 {
		t.Errorf("%q was passed on before its end", out.String())
	}
	if err := w.Flush(); err != nil || out.String() != "[nbhush:A]" {
		t.Errorf("Flush: %q, %v", out.String(), err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := io.WriteString(w, "late"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write after Close: %v", err)
	}
}

// TestRedactorLong writes a value of many lines again and again, in pieces
// that meet every delay, and text longer than a block.
func TestRedactorLong(t *testing.T) {
	v := rand.Text()
	for range 2000 {
		v += "\n" + rand.Text()
	}
	s := New(known("A", v))
	text := []byte(strings.Repeat("x", 3*redactBlock/2) + v + v[:50000] + "and so on\n")
	want := Replace(nil, text, find(t, s, text).Spans)
	for _, n := range []int{1000, redactDelay + 1, len(text)} {
		var out bytes.Buffer
		w := NewRedactor(s, &out)
		for at := 0; at < len(text); at += n {
			if _, err := w.Write(text[at:min(at+n, len(text))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("writes of %d bytes: %d bytes came out, want %d", n, out.Len(), len(want))
		}
	}
}

// What a set was made in holds nothing when the set is there.
func TestBuilderLeavesNoCopy(t *testing.T) {
	b := builder{set: &Set{}, seen: map[uint64]int32{}, seed: maphash.MakeSeed()}
	value := []byte(rand.Text() + rand.Text())
	shared := b.countShared([][]byte{value})
	b.set.names = []string{"NAME"}
	b.addValue(0, value, shared)
	grown := b.set.arena[:cap(b.set.arena)]
	if !bytes.Contains(grown, value) {
		t.Fatal("the value is not in what the set is made in")
	}
	if s := b.finish(); !bytes.Contains(s.arena, value) || bytes.Contains(grown, value[:12]) {
		t.Error("the value is not in the set, or still in what it was made in")
	}
}
