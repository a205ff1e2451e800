package outputs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// formCase is a small notebook and what nbstripout writes in its place, "" if
// it could not: then it keeps its form.
type formCase struct{ name, src, want string }

// forms are compared with nbstripout, too.
func forms() []formCase {
	all := slices.Clone(formCases)
	for _, v := range formValues { // as one of the metadata, and as one of a Zeppelin note
		metadata := formCase{name: "metadata " + v.src, src: `{"metadata":{"x":` + v.src + `},"cells":[],"nbformat":4}`}
		if v.utf8 != "" {
			metadata.want = "{\n \"cells\": [],\n \"metadata\": {\n  \"x\": " + v.utf8 + "\n },\n \"nbformat\": 4\n}\n"
		}
		note := formCase{"note " + v.src, `{"x":` + v.src + `,"paragraphs":[]}`, "{\n  \"x\": " + v.ascii + ",\n  \"paragraphs\": []\n}\n"}
		all = append(all, metadata, note)
	}
	return all
}

// formValues are values, how they are written, and how they are if all that is
// not ASCII is an escape. Whatever has "" for the first cannot be UTF-8.
var formValues = []struct{ src, utf8, ascii string }{
	{"0", "0", "0"},
	{"-0", "0", "0"},
	{"-0.0", "-0.0", "-0.0"},
	{"0e5", "0.0", "0.0"},
	{"1e5", "100000.0", "100000.0"},
	{"1E-5", "1e-05", "1e-05"},
	{"0.0001", "0.0001", "0.0001"},
	{"1.10", "1.1", "1.1"},
	{"1e15", "1000000000000000.0", "1000000000000000.0"},
	{"1e16", "1e+16", "1e+16"},
	{"9007199254740993.0", "9007199254740992.0", "9007199254740992.0"},
	{"123456789012345678901234567890", "123456789012345678901234567890", "123456789012345678901234567890"},
	{"0.1000000000000000055511151231257827", "0.1", "0.1"},
	{"5e-324", "5e-324", "5e-324"},
	{"1e400", "Infinity", "Infinity"},
	{"-1e400", "-Infinity", "-Infinity"},
	{"NaN", "NaN", "NaN"},
	{"-Infinity", "-Infinity", "-Infinity"},
	{"[ ]", "[]", "[]"},
	{"{ }", "{}", "{}"},
	{`"\u0041\/\u00E9é"`, `"A/éé"`, `"A/\u00e9\u00e9"`},
	{`"\"\\\b\f\n\r\t\u0000\u001B"`, `"\"\\\b\f\n\r\t\u0000\u001b"`, `"\"\\\b\f\n\r\t\u0000\u001b"`},
	{"\"\x7f\u0085\u2028\"", "\"\x7f\u0085\u2028\"", `"\u007f\u0085\u2028"`},
	{`"\ud83D\uDE00😀"`, `"😀😀"`, `"\ud83d\ude00\ud83d\ude00"`},
	{`"\uD83D \ude00"`, ``, `"\ud83d \ude00"`},
	{`"\ufffd` + "\ufffd" + `"`, "\"\ufffd\ufffd\"", `"\ufffd\ufffd"`},
}

// formCases are about the form of whole notebooks.
var formCases = []formCase{
	{
		"everything in order", `{"metadata":{"signature":"s","orig_nbformat":4,"orig_nbformat_minor":2,"b":{"B":[{},[true,null]]},"a":[]},
"nbformat":4,"cells":[{"source":"x","metadata":{"trusted":true,"k":1},"cell_type":"markdown"}],"nbformat_minor":4}`,
		`{
 "cells": [
  {
   "cell_type": "markdown",
   "metadata": {
    "k": 1
   },
   "source": [
    "x"
   ]
  }
 ],
 "metadata": {
  "a": [],
  "b": {
   "B": [
    {},
    [
     true,
     null
    ]
   ]
  }
 },
 "nbformat": 4,
 "nbformat_minor": 4
}
`,
	},
	{
		"names", `{"cells":[],"metadata":{"é":1,"z":2,"\u0062":3,"a":4,"A":5,"":6,"😀":7,"` + "\uffff" + `":8,"\n":9},"nbformat":4}`, `{
 "cells": [],
 "metadata": {
  "": 6,
  "\n": 9,
  "A": 5,
  "a": 4,
  "b": 3,
  "z": 2,
  "é": 1,
  "` + "\uffff" + `": 8,
  "😀": 7
 },
 "nbformat": 4
}
`,
	},
	{
		"duplicates", `{"nbformat":4,"cells":[{}],"metadata":{"a":1,"b":2,"\u0061":3},"cells":[{"id":"x","cell_type":"raw","metadata":{"y":1},"metadata":{}}]}`, `{
 "cells": [
  {
   "cell_type": "raw",
   "id": "0",
   "metadata": {}
  }
 ],
 "metadata": {
  "a": 3,
  "b": 2
 },
 "nbformat": 4
}
`,
	},
	{
		"duplicates in their order", `{"cells":[],"b":1,"a":2,"b":3,"metadata":{}}`, `{
    "cells": [],
    "b": 3,
    "a": 2,
    "metadata": {}
}
`,
	},
	{
		"lines", `{"cells":[{"cell_type":"raw","metadata":{},"source":["a\n","","b\r","\nc\rd\f\u000b\u001c\u001d\u001e","e\u0085f` + "\u2028" + `\u2029",""]}],"metadata":{},"nbformat":4}`, `{
 "cells": [
  {
   "cell_type": "raw",
   "metadata": {},
   "source": [
    "a\n",
    "b\r\n",
    "c\r",
    "d\f",
    "\u000b",
    "\u001c",
    "\u001d",
    "\u001e",
    "e` + "\u0085" + `",
    "f` + "\u2028" + `",
    "` + "\u2029" + `"
   ]
  }
 ],
 "metadata": {},
 "nbformat": 4
}
`,
	},
	{
		"CRLF, a tab and no last line feed", "{\"cells\": [\r\n\t{\"source\": \"\\r\",\r\"cell_type\": \"raw\", \"metadata\": {}}],\r\n\"metadata\": {},\"nbformat\": 4}", `{
 "cells": [
  {
   "cell_type": "raw",
   "metadata": {},
   "source": [
    "\r"
   ]
  }
 ],
 "metadata": {},
 "nbformat": 4
}
`,
	},
	{
		"outputs and attachments", `{"cells":[{"metadata":{"keep_output":true},"cell_type":"code","source":[],"attachments":{"f":{"text/plain":"a","image/png":["b","c"]}},"outputs":[
{"output_type":"stream","text":"a\nb","name":"stdout"},
{"output_type":"display_data","text":["not","joined"],"data":{"text/html":["a","b\n","c"],"text/x":[1],"image/png":["aa","bb"],"image/svg+xml":"s","application/json":["j","k"],"application/javascript":["j","k"],"application/x+json":"l\nl","a/b":[]}},
{"output_type":"error","traceback":["t","u"],"text":["v","w"]},{"output_type":"","text":["v","w"]}]}],"metadata":{},"nbformat":4}`, `{
 "cells": [
  {
   "attachments": {
    "f": {
     "image/png": "bc",
     "text/plain": [
      "a"
     ]
    }
   },
   "cell_type": "code",
   "metadata": {
    "keep_output": true
   },
   "outputs": [
    {
     "name": "stdout",
     "output_type": "stream",
     "text": [
      "a\n",
      "b"
     ]
    },
    {
     "data": {
      "a/b": "",
      "application/javascript": [
       "jk"
      ],
      "application/json": [
       "j",
       "k"
      ],
      "application/x+json": "l\nl",
      "image/png": "aabb",
      "image/svg+xml": [
       "s"
      ],
      "text/html": [
       "ab\n",
       "c"
      ],
      "text/x": [
       1
      ]
     },
     "output_type": "display_data",
     "text": [
      "not",
      "joined"
     ]
    },
    {
     "output_type": "error",
     "text": "vw",
     "traceback": [
      "t",
      "u"
     ]
    },
    {
     "output_type": "",
     "text": [
      "v",
      "w"
     ]
    }
   ],
   "source": []
  }
 ],
 "metadata": {},
 "nbformat": 4
}
`,
	},
	{
		"ids", `{"cells":[{"cell_type":"raw","metadata":{},"id":"0"},{"cell_type":"raw","metadata":{}}],"metadata":{},"nbformat":4,"nbformat_minor":5}`, `{
 "cells": [
  {
   "cell_type": "raw",
   "id": "0",
   "metadata": {}
  },
  {
   "cell_type": "raw",
   "id": "1",
   "metadata": {}
  }
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}
`,
	},
	{
		"nbformat 3", `{"orig_nbformat":2,"metadata":{"signature":"s","orig_nbformat":2},"nbformat_minor":0,"nbformat":3,"worksheets":[{"metadata":{},"cells":[
{"cell_type":"code","input":"a\né","trusted":true,"outputs":[],"language":"python"},{"cell_type":"heading","level":1,"source":["a","b"],"rendered":"c","metadata":{"trusted":true}}]}]}`, `{
 "metadata": {
  "orig_nbformat": 2
 },
 "nbformat": 3,
 "nbformat_minor": 0,
 "worksheets": [
  {
   "cells": [
    {
     "cell_type": "code",
     "input": [
      "a\n",
      "\u00e9"
     ],
     "language": "python",
     "outputs": []
    },
    {
     "cell_type": "heading",
     "level": 1,
     "metadata": {},
     "rendered": [
      "c"
     ],
     "source": [
      "a\n",
      "b"
     ]
    }
   ],
   "metadata": {}
  }
 ]
}
`,
	},
	{
		"nbformat 2", `{"metadata":{},"nbformat":2,"worksheets":[{"cells":[{"cell_type":"code","trusted":1,"input":["a\r","","b"],"outputs":[],"metadata":{"keep_output":true},
"outputs":[{"output_type":"pyout","text":"a\nb","png":"c\nd"}]},{"cell_type":"markdown","source":"e\u001ef\n","input":"g\nh"}]}]}`, `{
 "metadata": {},
 "nbformat": 2,
 "worksheets": [
  {
   "cells": [
    {
     "cell_type": "code",
     "input": [
      "a",
      "",
      "b"
     ],
     "metadata": {
      "keep_output": true
     },
     "outputs": [
      {
       "output_type": "pyout",
       "png": "c\nd",
       "text": [
        "a",
        "b"
       ]
      }
     ],
     "trusted": 1
    },
    {
     "cell_type": "markdown",
     "input": "g\nh",
     "source": [
      "e",
      "f"
     ]
    }
   ]
  }
 ]
}
`,
	},
	{
		"no nbformat", `{"metadata":{"signature":"s"},"cells":[{"source":"a\nbé","cell_type":"code","outputs":[{"text":["a"]}],"id":"x"}],"a":{}}`, `{
    "metadata": {},
    "cells": [
        {
            "source": "a\nb\u00e9",
            "cell_type": "code",
            "outputs": [],
            "id": "0"
        }
    ],
    "a": {}
}
`,
	},
	{
		"a Zeppelin note", `{"paragraphs":[{"text":"\u0027","results":{"code":1}},{}],"id":"é"}`, `{
  "paragraphs": [
    {
      "text": "'",
      "results": {}
    },
    {}
  ],
  "id": "\u00e9"
}
`,
	},
	// What nbstripout does not read, or not write.
	{"a byte order mark", "\ufeff" + `{"cells":[],"metadata":{},"nbformat":4}`, ""},
	{"invalid UTF-8", `{"cells":[],"metadata":{"a":"` + "\xff" + `"},"nbformat":4}`, ""},
	{"too long a number", `{"cells":[],"metadata":{"a":` + strings.Repeat("1", 4301) + `},"nbformat":4}`, ""},
	{"too deep", `{"cells":[],"metadata":{"a":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `},"nbformat":4}`, ""},
	{"an unknown version", `{"cells":[],"metadata":{},"nbformat":5}`, ""},
	{"a version that is no whole number", `{"cells":[],"metadata":{},"nbformat":4.0}`, ""},
	{"nor a minor one", `{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":"5"}`, ""},
	{"an unknown nbformat 3", `{"worksheets":[],"metadata":{},"nbformat":3,"nbformat_minor":1}`, ""},
	{"no metadata", `{"cells":[],"nbformat":4}`, ""},
	{"no cells", `{"worksheets":[],"metadata":{},"nbformat":4}`, ""},
	{"cells in place of worksheets", `{"cells":[],"metadata":{},"nbformat":1}`, ""},
	{"a cell that is none", `{"cells":[1],"metadata":{},"nbformat":4}`, ""},
	{"a cell without its type", `{"cells":[{"metadata":{}}],"metadata":{},"nbformat":4}`, ""},
	{"a cell without metadata", `{"cells":[{"cell_type":"raw"}],"metadata":{},"nbformat":4}`, ""},
	{"a cell without outputs", `{"cells":[{"cell_type":"code","metadata":{}}],"metadata":{},"nbformat":4}`, ""},
	{"tags that are none", `{"cells":[{"cell_type":"raw","metadata":{"tags":null}}],"metadata":{},"nbformat":4}`, ""},
	{"a source of numbers", `{"cells":[{"cell_type":"raw","metadata":{},"source":[1]}],"metadata":{},"nbformat":4}`, ""},
	{"halves of a character", `{"cells":[{"cell_type":"raw","metadata":{},"source":["\ud83d","\ude00"]}],"metadata":{},"nbformat":4}`, ""},
	{"an image that is no ASCII", `{"worksheets":[{"cells":[{"cell_type":"code","metadata":{"keep_output":true},"outputs":[{"png":"é"}]}]}],"metadata":{},"nbformat":2}`, ""},
	// What it would change anew each time.
	{"empty last lines of nbformat 2", `{"worksheets":[{"cells":[{"cell_type":"raw","source":["a","",""]}]}],"metadata":{},"nbformat":2}`, ""},
	{"a separator of lines in nbformat 3", `{"worksheets":[{"cells":[{"cell_type":"raw","source":"a\fb"}]}],"metadata":{},"nbformat":3}`, ""},
}

func TestForm(t *testing.T) {
	for _, c := range forms() {
		t.Run(c.name, func(t *testing.T) {
			s := New(Options{})
			out, err := s.Strip([]byte(c.src))
			if err != nil {
				t.Fatal(err)
			}
			out = bytes.Clone(out)
			want := c.want
			if want == "" {
				want = string(out)
			}
			got, added := s.Form(out)
			if d := cmp.Diff(want, string(got)); d != "" || added != (c.name == "ids") {
				t.Fatalf("ids added: %v; -want +got:\n%s", added, d)
			}
			got = bytes.Clone(got)
			if again, added := s.Form(got); added || &again[0] != &got[0] {
				t.Errorf("a second time: %s", again)
			}
		})
	}
}

func TestFormIDs(t *testing.T) {
	const src = `{"cells":[{"cell_type":"raw","metadata":{}}],"metadata":{},"nbformat":4,"nbformat_minor":5}`
	for _, o := range []Options{{KeepID: true}, {ExtraKeys: []string{"cell.id"}}} {
		if got, added := New(o).Form([]byte(src)); added || bytes.Contains(got, []byte(`"id"`)) || string(got) == src {
			t.Errorf("%+v: %v, %s", o, added, got)
		}
	}
}

// TestFormLimit: an indent that is far longer than what it is for is not written.
func TestFormLimit(t *testing.T) {
	src := `{"cells":[],"metadata":{"a":` + strings.Repeat("[", 400) + "1" + strings.Repeat(",1", 100_000) + strings.Repeat("]", 400) + `},"nbformat":4}`
	if got, _ := New(Options{}).Form([]byte(src)); string(got) != src {
		t.Errorf("%d bytes were written for %d", len(got), len(src))
	}
}

// TestCanonical: what has its form is known without writing, and one thing that is wrong is found.
func TestCanonical(t *testing.T) {
	const src = `{
 "cells": [
  {
   "attachments": {
    "f": {
     "image/png": "aa",
     "text/plain": [
      "b"
     ]
    }
   },
   "cell_type": "code",
   "id": "0",
   "metadata": {
    "keep_output": true,
    "täg": {}
   },
   "outputs": [
    {
     "data": {
      "application/json": {
       "k": [
        0.5,
        -1
       ]
      },
      "image/svg+xml": [],
      "text/html": [
       "b\n"
      ]
     },
     "output_type": "display_data"
    },
    {
     "output_type": "stream",
     "text": [
      "\"\t\\n€\n",
      "d"
     ]
    }
   ],
   "source": [
    "ä = 1\n",
    "c"
   ]
  }
 ],
 "metadata": {
  "a": "\r\f\b/",
  "b": NaN
 },
 "nbformat": 4,
 "nbformat_minor": 5
}
`
	is := func(src string) bool { return new(checker).canonical([]byte(src), true) }
	if !is(src) {
		t.Fatal("it is not known")
	}
	for _, flaw := range [][2]string{
		{"{\n \"cells\"", "{\n\t\"cells\""},
		{"{\n \"cells\"", "{ \"cells\""},
		{"{\n \"cells\"", "\n{\n \"cells\""},
		{"5\n}\n", "5\n}"},
		{"5\n}\n", "5\n}\n\n"},
		{"5\n}", "5}"},
		{`"a":`, `"a" :`},
		{`"a": `, `"a":`},
		{`"a"`, `"c"`},
		{`"a"`, `"b"`},
		{`"a"`, `"\u0061"`},
		{`/"`, `\/"`},
		{`/"`, `\u0000"`},
		{"NaN\n", "NaN \n"},
		{"NaN\n", "-0\n"},
		{"0.5", "0.50"},
		{"0.5", "5e-1"},
		{"{}", "{ }"},
		{"[],", "[ ],"},
		{"[],", `"",`},
		{`"aa"`, "[\n      \"aa\"\n     ]"},
		{"[\n      \"b\"\n     ]", `"b"`},
		{`"image/png"`, `"text/a"`},
		{`"k": [`, `"k":  [`},
		{`"stream"`, `"error"`},
		{`"keep_output"`, `"trusted"`},
		{`"a"`, `"orig_nbformat"`},
		{`"a"`, `"orig_nbformat_minor"`},
		{"b\": NaN", "signature\": NaN"},
		{"4,\n \"nbformat_minor\": 5", "3,\n \"nbformat_minor\": 0"},
		{",\n \"nbformat\": 4", ""},
		{"4,\n", "4.0,\n"},
		{"   \"id\": \"0\",\n", ""},
		{` = 1\n"`, ` = 1"`},
		{` = 1\n"`, ` = \n1\n"`},
		{` = 1\n"`, ` = \r1\n"`},
		{` = 1\n"`, ` = \f1\n"`},
		{` = 1\n"`, ` = \u20281\n"`},
		{` = 1\n"`, " = \u20281\\n\""},
		{` = 1\n"`, " = \u20291\\n\""},
		{` = 1\n"`, " = \u00851\\n\""},
		{`"c"`, `""`},
		{`"c"`, `1`},
	} {
		if strings.Count(src, flaw[0]) == 0 || is(strings.Replace(src, flaw[0], flaw[1], 1)) {
			t.Errorf("%q for %q is not found", flaw[1], flaw[0])
		}
	}
	for _, fine := range [][2]string{
		{"\"nbformat_minor\": 5\n", "\"nbformat_minor\": 4\n"},
		{`"k"`, `"trusted"`},
		{`"f"`, `"signature"`},
	} {
		if !is(strings.Replace(src, fine[0], fine[1], 1)) {
			t.Errorf("%q for %q is not known", fine[1], fine[0])
		}
	}
}

// TestFormOfItself: what has its form costs no memory.
func TestFormOfItself(t *testing.T) {
	src := canonicalNotebook(t, 20_000)
	s := New(Options{})
	if n := testing.AllocsPerRun(10, func() {
		if got, _ := s.Form(src); &got[0] != &src[0] {
			t.Fatal("it was written anew")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// canonicalNotebook returns a stripped notebook of about size bytes as Jupyter saves it.
func canonicalNotebook(tb testing.TB, size int) []byte {
	tb.Helper()
	var cells []any
	for i := range size / 400 {
		cells = append(cells, map[string]any{
			"cell_type": "code", "execution_count": nil, "id": strconv.Itoa(i), "metadata": map[string]any{}, "outputs": []any{},
			"source": []string{"for row in table:\n", "    print(f\"{row.name}: {row.total:>10}\")\n", "# größer als zuvor\n", "\n", "plot(table)"},
		})
	}
	src, err := json.Marshal(map[string]any{"cells": cells, "metadata": map[string]any{"version": 3.5}, "nbformat": 4, "nbformat_minor": 5})
	if err != nil {
		tb.Fatal(err)
	}
	formed, _ := New(Options{}).Form(src)
	return bytes.Clone(formed)
}

func BenchmarkForm(b *testing.B) {
	canonical := canonicalNotebook(b, 20_000)
	var minified bytes.Buffer
	if err := json.Compact(&minified, canonical); err != nil {
		b.Fatal(err)
	}
	for name, src := range map[string][]byte{"canonical": canonical, "minified": minified.Bytes()} {
		b.Run(name, func(b *testing.B) {
			s := New(Options{})
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				s.Form(src)
			}
		})
	}
	b.Run("strip", func(b *testing.B) {
		s := New(Options{})
		b.SetBytes(int64(len(canonical)))
		for b.Loop() {
			_, _ = s.Strip(canonical)
		}
	})
}

// FuzzForm: the form of a stripped notebook is its own form, has nothing more to
// strip and the same values; what the checker takes for it is what is written.
func FuzzForm(f *testing.F) {
	for _, path := range goldens(f) {
		src := readFile(f, path)
		f.Add(src, true)
	}
	for _, c := range forms() {
		f.Add([]byte(c.src), false)
		f.Add([]byte(c.want), true)
	}
	f.Fuzz(func(t *testing.T, src []byte, keep bool) {
		s := New(Options{KeepOutput: keep})
		out, err := s.Strip(src)
		if err != nil {
			return
		}
		out = bytes.Clone(out)
		form, _ := s.Form(out)
		form = bytes.Clone(form)
		if again, err := s.Strip(form); err != nil || !bytes.Equal(again, form) {
			t.Fatalf("stripped again (%v):\n%s\n%s", err, form, again)
		}
		if again, added := s.Form(form); added || !bytes.Equal(again, form) {
			t.Fatalf("not its own form:\n%s\n%s", form, again)
		}
		if new(checker).canonical(form, true) {
			if anew, _ := s.anew(form, true); anew != nil && !bytes.Equal(anew, form) {
				t.Fatalf("taken for its own form:\n%s\n%s", form, anew)
			}
		}
		var before, after any
		if json.Unmarshal(out, &before) != nil {
			return // NaN and the like
		}
		if err := json.Unmarshal(form, &after); err != nil {
			t.Fatalf("%v:\n%s", err, form)
		}
		if d := cmp.Diff(leveled(before), leveled(after)); d != "" {
			t.Fatalf("other values (-stripped +formed):\n%s", d)
		}
	})
}

// leveled returns v without what Form may change: how a text is a list of
// lines, which nbformat 2 reads without their ends, and what nbformat does not store.
func leveled(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Map(func(r rune) rune {
			if isLineEnd(r) {
				return -1
			}
			return r
		}, v)
	case []any:
		joined, ok := "", true
		for i := range v {
			v[i] = leveled(v[i])
			s, isString := v[i].(string)
			joined, ok = joined+s, ok && isString
		}
		if ok {
			return joined
		}
	case map[string]any:
		for key := range v {
			v[key] = leveled(v[key])
		}
		for _, key := range []string{"id", "orig_nbformat", "orig_nbformat_minor", "signature", "trusted"} {
			delete(v, key)
		}
	}
	return v
}
