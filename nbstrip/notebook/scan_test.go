package notebook

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

const sample = `{
 "cells": [
  {"cell_type": "markdown", "id": "m", "metadata": {"tags": ["a", "\u0062"]}, "source": ["x\n", "y"],
   "attachments": {"p.png": {"image/png": "AAAA"}}},
  {"cell_type": "code", "s\u006furce": "1+1", "metadata": {}, "outputs": [
   {"output_type": "stream", "name": "stdout", "text": ["o", "p"]},
   {"output_type": "display_data", "data": {"text/plain": "q", "application/json": ["r", "s"]}, "metadata": {"k": [12345678, 1234567, -12345678, 12345678.5]}}
  ]}
 ],
 "metadata": {"title": "t"}, "nbformat": 4, "nbformat_minor": 5
}`

func TestScanFindsCells(t *testing.T) {
	nb := scan(t, sample)
	type view struct {
		Type, ID, Metadata, Source string
		Tags, Outputs, Mimes       []string
		Attachments                int
	}
	at := func(r Range) string { return sample[r.Start:r.End] }
	var got []view
	for _, c := range nb.Cells {
		v := view{Type: c.Type, ID: c.ID, Metadata: at(c.Metadata), Source: at(c.Source), Tags: c.Tags, Attachments: len(c.Attachments)}
		if cell := at(c.Range); cell[0] != '{' || cell[len(cell)-1] != '}' {
			t.Errorf("cell %q", cell)
		}
		for _, o := range c.Outputs {
			v.Outputs = append(v.Outputs, o.Type)
			for _, e := range o.Data {
				v.Mimes = append(v.Mimes, e.Mime+" "+at(e.Name)+at(e.Value))
			}
		}
		got = append(got, v)
	}
	want := []view{
		{Type: "markdown", ID: "m", Metadata: `{"tags": ["a", "\u0062"]}`, Source: `["x\n", "y"]`, Tags: []string{"a", "b"}, Attachments: 1},
		{
			Type: "code", Metadata: `{}`, Source: `"1+1"`, Outputs: []string{"stream", "display_data"},
			Mimes: []string{
				`output_type "output_type""stream"`, `name "name""stdout"`, `text "text"["o", "p"]`,
				`text/plain "text/plain""q"`, `application/json "application/json"["r", "s"]`,
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTexts(t *testing.T) {
	type view struct {
		Text         string
		Part         Part
		Cell         int
		Name, Binary bool
		Number       bool
	}
	var got []view
	for _, x := range scan(t, sample).Texts() {
		got = append(got, view{string(x.AppendTo(nil)), x.Part, x.Cell, x.Name, x.Binary, x.Number})
	}
	want := []view{
		{"m", InOther, 0, false, false, false},
		{"tags", InMetadata, 0, true, false, false},
		{"a", InMetadata, 0, false, false, false},
		{"b", InMetadata, 0, false, false, false},
		{"x\ny", InSource, 0, false, false, false},
		{"p.png", InAttachment, 0, true, false, false},
		{"image/png", InAttachment, 0, true, false, false},
		{"AAAA", InAttachment, 0, false, true, false},
		{"1+1", InSource, 1, false, false, false},
		{"op", InOutput, 1, false, false, false},
		{"text/plain", InOutput, 1, true, false, false},
		{"q", InOutput, 1, false, false, false},
		{"application/json", InOutput, 1, true, false, false},
		{"r", InOutput, 1, false, false, false},
		{"s", InOutput, 1, false, false, false},
		{"k", InOutput, 1, true, false, false},
		{"12345678", InOutput, 1, false, false, true},
		{"title", InMetadata, -1, true, false, false},
		{"t", InMetadata, -1, false, false, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestScanRefuses(t *testing.T) {
	cases := []struct {
		name, src string
		line      int
		reason    string
	}{
		{"nothing", "", 1, "the file ends"},
		{"text", "hello\n", 1, "object"},
		{"a list", "[]", 1, "object"},
		{"other JSON", "{}", 1, "no cells"},
		{"other JSON, with a name", `{"a": {"cells": []}}`, 1, "no cells"},
		{"cut off in a string", "{\n\"cells\": [\n\"abc", 3, "inside a string"},
		{"cut off between", "{\n\"cells\": [\n", 3, "ends"},
		{"two values", `{"cells": []} {}`, 1, "end of the file"},
		{"NUL behind", "{\"cells\": []}\n\x00", 2, "end of the file"},
		{"trailing comma in a list", `{"cells": [1,]}`, 1, "a value"},
		{"trailing comma in an object", `{"cells": [],}`, 1, "a name"},
		{"line feed in a string", "{\"cells\": [\"\n\"]}", 1, "control character"},
		{"unknown escape", `{"cells": ["\x"]}`, 1, "escape"},
		{"short escape", `{"cells": ["\u12"]}`, 1, "escape"},
		{"leading zero", `{"cells": [01]}`, 1, "value"},
		{"no digits", `{"cells": [-]}`, 1, "value"},
		{"no digits after the point", `{"cells": [1.]}`, 1, "value"},
		{"no digits in the exponent", `{"cells": [1e+]}`, 1, "value"},
		{"single quotes", `{'cells': []}`, 1, "name"},
		{"deep", `{"cells": ` + strings.Repeat("[", 20_000), 1, "deeper"},
		{"conflict", "{\"cells\": [\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> b\n]}", 2, "conflict"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Scan([]byte(c.src))
			var e *NotNotebookError
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Line != c.line || !strings.Contains(e.Reason, c.reason) || e.Conflict != (c.name == "conflict") {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestScanAccepts(t *testing.T) {
	for _, value := range []string{
		"NaN", "Infinity", "-Infinity", "-0", "0", "1e400", "1E-5", "-1.10e+3", strings.Repeat("9", 30), "null", "true", "false",
		`"\ud83d"`, `"\ud83d\ud83d"`, `"\/\b\f\n\r\t\"\\"`, "\"\xff\"", `{"a":1,"a":2}`, "[]", "{}", " [ ] ", "[\r\n\t1 ,2 ]",
		strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
	} {
		for _, src := range []string{`{"cells":[` + value + `]}`, "\ufeff{\"x\":" + value + ",\"nbformat\":4}\r\n"} {
			if _, err := Scan([]byte(src)); err != nil {
				t.Errorf("%.60q: %v", src, err)
			}
		}
	}
}

func scan(t *testing.T, src string) *Notebook {
	t.Helper()
	nb, err := Scan([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return nb
}

// seed adds the golden notebooks to a fuzz corpus.
func seed(f *testing.F) {
	f.Add([]byte(sample))
	paths, err := filepath.Glob("../../testdata/notebooks/*/in.ipynb")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no golden notebooks (%v)", err)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
}

// FuzzScan holds the scanner against jsontext: both accept the same sources and
// see the same strings, but for what Python accepts and RFC 8259 does not. What
// encoding/json decodes, Texts decode too. Splice without edits is the identity.
func FuzzScan(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		nb, err := Scan(src)
		if out := Splice(src, nil); len(src) > 0 && &out[0] != &src[0] {
			t.Fatal("Splice made a copy")
		}
		strict := bytes.TrimPrefix(src, []byte("\ufeff"))
		if bytes.Contains(src, []byte("NaN")) || bytes.Contains(src, []byte("Infinity")) {
			return
		}
		want, jsonErr := jsonStrings(strict)
		if err != nil {
			var e *NotNotebookError
			if !errors.As(err, &e) {
				t.Fatalf("error %T", err)
			}
			if jsonErr == nil && len(strict) > 0 && !strings.Contains(e.Reason, "no cells") && !strings.Contains(e.Reason, "object") {
				t.Fatalf("refused although it is JSON: %v", err)
			}
			return
		}
		if jsonErr != nil {
			t.Fatalf("accepted although it is no JSON: %v", jsonErr)
		}
		checkTexts(t, nb, want)
	})
}

// jsonStrings returns the raw strings in src, names too, without quotes.
func jsonStrings(src []byte) (all []string, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(src), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		before := int(d.InputOffset())
		token, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		if token.Kind() == '"' {
			start := before + bytes.IndexByte(src[before:], '"') + 1
			all = append(all, string(src[start:d.InputOffset()-1]))
		}
		if d.StackDepth() == 0 {
			break
		}
	}
	if rest := bytes.TrimLeft(src[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, errors.New("more than one value")
	}
	return all, nil
}

// checkTexts checks that the texts of nb are, in order, want without the words
// that nbformat prescribes, and that they decode as encoding/json decodes them.
func checkTexts(t *testing.T, nb *Notebook, want []string) {
	for _, x := range nb.Texts() {
		if x.Number {
			continue
		}
		var decoded []byte
		for _, s := range x.strings {
			raw := string(s.bytes(nb.src))
			for len(want) > 0 && want[0] != raw {
				if _, ok := common(naive(t, want[0])); !ok {
					t.Fatalf("%q is in no text", want[0])
				}
				want = want[1:]
			}
			if len(want) == 0 {
				t.Fatalf("%q is no string of the source", raw)
			}
			want = want[1:]
			decoded = append(decoded, naive(t, raw)...)
		}
		checkText(t, x, decoded)
	}
}
