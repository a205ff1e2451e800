package nbstrip

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/savefile"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// note returns a small notebook with one source.
func note(source string) []byte {
	b, _ := json.Marshal(source)
	return []byte(`{"cells": [{"cell_type": "code", "source": ` + string(b) + `}], "metadata": {}, "nbformat": 4}` + "\n")
}

// TestBatchesFindWhatTextsHold compares the search in batches and in pieces,
// both tiny, with a search of each text on its own, for values that also hold what is between texts.
func TestBatchesFindWhatTextsHold(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	word := func(max int) string {
		b := make([]byte, random.IntN(max+1))
		for i := range b {
			b[i] = "aabb\xff\""[random.IntN(6)]
		}
		return string(b)
	}
	text := func() string {
		return `"` + strings.NewReplacer(`"`, `\"`, "ab", `a\u0062`).Replace(word(20)) + `"`
	}
	for range 2000 {
		f := finder{"A": "a" + word(3), "B": "\xff" + word(2), "C": "bb" + word(6), "D": `": "` + word(2)}
		var list []string
		for range random.IntN(12) {
			if random.IntN(2) == 0 {
				list = append(list, text())
				continue
			}
			list = append(list, "{"+text()+": "+text()+", "+text()+": [null, "+text()+"], "+text()+": {"+text()+": 12345678}}")
		}
		src := []byte(`{"cells": [` + strings.Join(list, ", ") + `]}`)
		nb, err := notebook.Scan(src)
		if err != nil {
			t.Fatal(err)
		}
		var want []hit
		for i, text := range nb.Texts() {
			if r, _ := f.Find(t.Context(), text.AppendTo(nil)); len(r.Spans) > 0 {
				want = append(want, hit{text: i, spans: r.Spans})
			}
		}
		s := newSearcher(t.Context(), f, len(src))
		s.limits = limits{batch: 1 + random.IntN(60), alone: 1 + random.IntN(30)}
		nb, err = notebook.ScanTexts(src, s.add)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.finish(nb)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(hit{})); diff != "" {
			t.Fatalf("values %q, texts %q, limits %v (-alone +batches):\n%s", f, list, s.limits, diff)
		}
	}
}

func TestFinderFails(t *testing.T) {
	away := errors.New("the agent is away")
	bad := []struct {
		name string
		f    findFunc
		want error
	}{
		{"error", func([]byte) (match.Result, error) { return match.Result{}, away }, away},
		{"span outside", spans(match.Span{Start: 0, End: 1 << 20, Name: "A"}), errFinder},
		{"empty span", spans(match.Span{Start: 1, End: 1, Name: "A"}), errFinder},
		{"overlap", spans(match.Span{Start: 0, End: 3, Name: "A"}, match.Span{Start: 2, End: 4, Name: "A"}), errFinder},
		{"negative", spans(match.Span{Start: -1, End: 3, Name: "A"}), errFinder},
	}
	for _, c := range bad {
		for _, src := range [][]byte{note("text"), []byte("broken \\n text")} {
			if res, err := Strip(t.Context(), src, c.f, Options{}); !errors.Is(err, c.want) || res.Out != nil {
				t.Errorf("%s: error %v, want %v", c.name, err, c.want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Strip(ctx, note("text"), finder{}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Strip(t.Context(), note("text"), finder{}, Options{Mode: 99}); err == nil {
		t.Error("an unknown mode was accepted")
	}
}

type findFunc func(text []byte) (match.Result, error)

func (f findFunc) Find(_ context.Context, text []byte) (match.Result, error) { return f(text) }

func spans(s ...match.Span) findFunc {
	return func([]byte) (match.Result, error) { return match.Result{Spans: s}, nil }
}

func TestPlaceholderThatHoldsAValue(t *testing.T) {
	f := finder{"MY_" + rand.Text(): rand.Text()}
	for name := range f {
		f["OTHER"] = name[3:] // a value that is part of a name
	}
	for name, value := range f {
		src := note("x = " + value)
		res, err := Strip(t.Context(), src, f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r, _ := f.Find(t.Context(), res.Out); len(r.Spans) > 0 {
			t.Errorf("%.3s: the result holds a value", name)
		}
		again, err := Strip(t.Context(), res.Out, f, Options{})
		if err != nil || again.Changed() {
			t.Errorf("%.3s: not idempotent (%v)", name, err)
		}
	}
}

func TestUTF16IsSearched(t *testing.T) {
	f := finder{"A": rand.Text() + "\U0001f511"}
	for _, high := range []int{0, 1} {
		var b []byte
		for _, u := range utf16.Encode([]rune("\ufeff" + string(note("line\nx = "+f["A"])))) {
			b = append(b, byte(u>>(8*(1-high))), byte(u>>(8*high)))
		}
		var unsafe *UnsafeError
		if _, err := Strip(t.Context(), b, f, Options{}); !errors.As(err, &unsafe) || !slices.Equal(unsafe.Names, []string{"A"}) {
			t.Errorf("error %v", err)
		}
	}
}

func TestSpansThatShareACharacter(t *testing.T) {
	const src = `{"cells": ["a\ud83d\udd11b"]}`
	f := findFunc(func(text []byte) (match.Result, error) {
		at := bytes.Index(text, []byte("\U0001f511"))
		if at < 0 {
			return match.Result{}, nil
		}
		return match.Result{Spans: []match.Span{{Start: at, End: at + 2, Name: "A"}, {Start: at + 2, End: at + 4, Name: "B"}}}, nil
	})
	res, err := Strip(t.Context(), []byte(src), f, Options{})
	if want := `{"cells": ["a[nbhush:A][nbhush:B]b"]}`; err != nil || string(res.Out) != want {
		t.Errorf("%s (%v), want %s", res.Out, err, want)
	}
}

func TestStripFile(t *testing.T) {
	f := finder{"A": rand.Text()}
	write := func(t *testing.T, src []byte) string {
		path := filepath.Join(t.TempDir(), "n.ipynb")
		if err := os.WriteFile(path, src, 0o640); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("changes", func(t *testing.T) {
		path := write(t, note(f["A"]))
		res, err := StripFile(t.Context(), path, f, Options{})
		if err != nil || !res.Changed() {
			t.Fatal(res.Findings, err)
		}
		got, _ := os.ReadFile(path)
		if !bytes.Equal(got, note("[nbhush:A]")) {
			t.Errorf("content %s", got)
		}
		if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
			t.Errorf("mode %v", st.Mode())
		}
	})
	t.Run("writes nothing when clean", func(t *testing.T) {
		path := write(t, note("clean"))
		before, _ := os.Stat(path)
		if res, err := StripFile(t.Context(), path, f, Options{}); err != nil || res.Changed() {
			t.Fatal(res.Findings, err)
		}
		after, _ := os.Stat(path)
		if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Error("the file was written")
		}
	})
	t.Run("leaves a save in between", func(t *testing.T) {
		path := write(t, note(f["A"]))
		meanwhile := note("saved meanwhile " + f["A"])
		save := findFunc(func(text []byte) (match.Result, error) {
			if err := os.WriteFile(path, meanwhile, 0o640); err != nil {
				t.Fatal(err)
			}
			return f.Find(t.Context(), text)
		})
		if _, err := StripFile(t.Context(), path, save, Options{}); !errors.Is(err, savefile.ErrChanged) {
			t.Errorf("error %v", err)
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, meanwhile) {
			t.Error("the save was lost")
		}
	})
	t.Run("leaves what is broken", func(t *testing.T) {
		src := append(note(f["A"]), "x"...)
		path := write(t, src)
		var unsafe *UnsafeError
		if _, err := StripFile(t.Context(), path, f, Options{}); !errors.As(err, &unsafe) || strings.Contains(err.Error(), f["A"]) {
			t.Error("no UnsafeError, or one with the value")
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, src) {
			t.Error("the file was changed")
		}
	})
	t.Run("refuses a folder", func(t *testing.T) {
		if _, err := StripFile(t.Context(), t.TempDir(), f, Options{}); err == nil {
			t.Error("no error")
		}
	})
}

// FuzzStrip puts a value into a template and holds what Strip promises.
func FuzzStrip(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(goldens, "*", "in.ipynb"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden notebooks (%v)", err)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src, rand.Text())
		f.Add(src, "line\n\"é\U0001f511\\ end")
	}
	f.Fuzz(func(t *testing.T, template []byte, value string) {
		if len(value) < 8 || !utf8.ValidString(value) || strings.ContainsAny(value, "[]~*") || strings.Contains(match.Placeholder("PLAIN"), value) {
			return
		}
		values := finder{"PLAIN": value}
		src := fillText(template, values)
		before := bytes.Clone(src)
		res, err := Strip(t.Context(), src, values, Options{})
		if !bytes.Equal(src, before) {
			t.Fatal("Strip changed its source")
		}
		if err != nil {
			var unsafe *UnsafeError
			if !errors.As(err, &unsafe) {
				t.Fatal(err)
			}
			return
		}
		checkStripped(t, src, res, values)
	})
}

// checkStripped checks that res.Out is src but for the values, and clean.
func checkStripped(t *testing.T, src []byte, res Result, f match.Finder) {
	t.Helper()
	if !res.Changed() {
		if len(src) > 0 && &res.Out[0] != &src[0] {
			t.Fatal("nothing found, but a copy made")
		}
		return
	}
	again, err := Strip(t.Context(), res.Out, f, Options{})
	if err != nil || again.Changed() {
		t.Fatalf("not idempotent: %v, %v", again.Findings, err)
	}
	was, now := outline(t, src), outline(t, res.Out)
	if len(res.Dropped) > 0 || strings.Count(was.skeleton, `"`) != strings.Count(now.skeleton, `"`) {
		return // whole members went, or numbers became strings; goldens show which
	}
	if was.skeleton != now.skeleton {
		t.Fatalf("changed outside of strings:\n%q\n%q", was.skeleton, now.skeleton)
	}
	for i, text := range was.texts {
		if text == now.texts[i] {
			continue // and clean, as a second run found nothing in it
		}
		r, err := f.Find(t.Context(), []byte(text.decoded))
		if err != nil || len(r.Spans) == 0 {
			t.Fatalf("a text without values changed: %q, was %q (%v)", now.texts[i].raw, text.raw, err)
		}
		want := string(match.Replace(nil, []byte(text.decoded), r.Spans))
		got := now.texts[i].decoded
		if text.name {
			got = suffix.ReplaceAllString(got, "]")
		}
		if got != want {
			t.Fatalf("%q became %q, want %q", text.decoded, got, want)
		}
	}
}

// suffix takes away what keeps two names apart.
var suffix = regexp.MustCompile(`\]~\d+`)

// view is a notebook without the insides of its texts, and those.
type view struct {
	skeleton string
	texts    []textView
}

type textView struct {
	raw, decoded string
	name         bool
}

func outline(t *testing.T, src []byte) view {
	t.Helper()
	nb, err := notebook.Scan(src)
	if err != nil {
		t.Fatalf("not a notebook: %v", err)
	}
	var v view
	var skeleton bytes.Buffer
	at := 0
	for _, text := range nb.Texts() {
		raw := ""
		m := text.Map()
		for _, r := range m.Ranges(0, len(src)) {
			raw += string(src[r.Start:r.End]) + "\x00"
			skeleton.Write(src[at:r.Start])
			at = r.End
		}
		v.texts = append(v.texts, textView{raw, string(text.AppendTo(nil)), text.Name})
	}
	skeleton.Write(src[at:])
	v.skeleton = skeleton.String()
	return v
}
