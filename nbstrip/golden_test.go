package nbstrip

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/nbstrip/detect"
)

var update = flag.Bool("update", false, "rewrite want.ipynb and report.json")

const goldens = "../testdata/notebooks"

// TestGoldens strips testdata/notebooks/*/in.ipynb. The values are made anew
// for each run and stand in the files as @@NAME:FORM@@.
func TestGoldens(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(goldens, "*", "in.ipynb"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases in %s (%v)", goldens, err)
	}
	for _, in := range cases {
		dir := filepath.Dir(in)
		t.Run(filepath.Base(dir), func(t *testing.T) { golden(t, dir) })
	}
}

func golden(t *testing.T, dir string) {
	values := newValues()
	var f match.Finder = values
	if strings.HasPrefix(filepath.Base(dir), "looks") {
		stored := maps.Clone(values)
		delete(stored, "LOOK")
		f = match.Join(stored, detect.New(nil))
	}
	src := fill(t, filepath.Join(dir, "in.ipynb"), values)
	res, err := Strip(t.Context(), src, f, Options{Fingerprint: true})
	var report []byte
	if err != nil {
		hint := err.(interface{ Hint() string }).Hint()
		report = indented(t, map[string]any{"error": err.Error(), "hint": hint})
		res.Out = src
	} else {
		report = indented(t, map[string]any{"findings": res.Findings, "dropped": res.Dropped})
	}
	compare(t, filepath.Join(dir, "report.json"), report, values)
	for name, value := range values {
		if bytes.Contains(report, []byte(value)) {
			t.Errorf("the report holds the value of %s", name)
		}
	}
	if err != nil {
		return
	}
	compare(t, filepath.Join(dir, "want.ipynb"), res.Out, values)
	again, err := Strip(t.Context(), res.Out, f, Options{})
	if err != nil || again.Changed() || !bytes.Equal(again.Out, res.Out) {
		t.Errorf("stripping the result changed it (%v)", err)
	}
}

var digits = regexp.MustCompile(`([A-Z]-|[a-z]:)[0-9a-f]{4,12}\b`)

// anyDigits returns text with a # for the digits of findings, which are others in each run.
func anyDigits(text []byte) []byte { return digits.ReplaceAll(text, []byte("$1#")) }

// newValues returns made-up values for the goldens.
func newValues() finder {
	digits := strings.Map(func(r rune) rune { return '1' + r%9 }, rand.Text()[:12])
	look := make([]byte, 20)
	_, _ = rand.Read(look)
	return finder{
		"PLAIN":  rand.Text() + "x", // of a length that base64 does not pad
		"ODD":    rand.Text()[:9] + "\"\\/\t\n<é\U0001f511" + rand.Text()[:9],
		"DIGITS": digits,
		"LOOK":   hex.EncodeToString(look), // nobody stored it
	}
}

// headLen is how much of a value :head stands for; :tail is the rest.
const headLen = 7

// fill returns the file at path with the values put in.
func fill(t *testing.T, path string, values finder) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fillText(text, values)
}

func fillText(text []byte, values finder) []byte {
	var pairs []string
	for name, value := range values {
		headLen := min(headLen, len(value)/2)
		head, tail := value[:headLen], value[headLen:]
		pairs = append(pairs,
			"@@"+name+"@@", value,
			"@@"+name+":json@@", quote(value),
			"@@"+name+":ascii@@", ascii(value, false),
			"@@"+name+":u@@", ascii(value, true),
			"@@"+name+":head@@", quote(head),
			"@@"+name+":tail@@", quote(tail),
			"@@"+name+":base64@@", base64.StdEncoding.EncodeToString([]byte(value)),
			"@@"+name+":base64lf@@", wrapped(value))
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(text)))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return strings.ReplaceAll(string(b[1:len(b)-1]), `\u003c`, "<")
}

// wrapped is base64 with an escaped line feed in its middle.
func wrapped(s string) string {
	b := base64.StdEncoding.EncodeToString([]byte(s))
	return b[:len(b)/2] + `\n` + b[len(b)/2:]
}

// ascii escapes what is not ASCII, or everything.
func ascii(s string, all bool) string {
	var b strings.Builder
	for _, r := range s {
		if !all && r < 0x7f {
			b.WriteString(quote(string(r)))
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compare compares got with the file at path, in which halves of values, that
// are not to be found, stand as in in.ipynb.
func compare(t *testing.T, path string, got []byte, values finder) {
	t.Helper()
	if *update {
		var pairs []string
		for name, value := range values {
			pairs = append(pairs, quote(value[:headLen]), "@@"+name+":head@@", quote(value[headLen:]), "@@"+name+":tail@@")
		}
		got = anyDigits([]byte(strings.NewReplacer(pairs...).Replace(string(got))))
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(fill(t, path, values)), string(anyDigits(got))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
