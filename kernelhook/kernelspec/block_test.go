package kernelspec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const testBody = "one = 1\nif one:\n    pass\n"

func TestBlockIsTakenOutToTheByte(t *testing.T) {
	for name, src := range map[string]string{
		"empty":            "",
		"one line":         "c.A.b = 1\n",
		"no final newline": "c.A.b = 1",
		"CRLF":             "# -*- coding: latin-1 -*-\r\nc.A.b = 1\r\n",
		"CRLF, no final":   "c.A.b = 1\r\nc.A.c = 2",
		"CR only":          "c.A.b = 1\rc.A.c = 2\r",
		"CR, no final":     "c.A.b = 1\rc.A.c = 2",
		"mixed":            "a = 1\nb = 2\r\nc = 3\r",
		"blank lines":      "\n\n\n",
		"BOM":              "\ufeffc.A.b = 1\n",
		"not UTF-8":        "# \xe9\xff\x00\n",
		"form feed":        "a = 1\f",
		"other block":      "# >>> conda initialize >>>\nx\n# <<< conda initialize <<<\n",
	} {
		t.Run(name, func(t *testing.T) {
			with, err := setBlock([]byte(src), testBody, "")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(with, []byte("one = 1")) || !bytes.HasPrefix(with, []byte(src)) {
				t.Fatalf("block not appended: %q", with)
			}
			again, err := setBlock(with, testBody, "")
			if err != nil || !bytes.Equal(again, with) {
				t.Errorf("set twice: %v\n%q\nwant\n%q", err, again, with)
			}
			got, b, err := cutBlock(with)
			if err != nil || b == nil {
				t.Fatalf("block %v, %v", b, err)
			}
			if string(got) != src {
				t.Errorf("after the block went: %q, want %q", got, src)
			}
		})
	}
}

func TestBlockKeepsWhatWasWrittenAroundIt(t *testing.T) {
	for name, tt := range map[string]struct{ src, before, after, want string }{
		"before":                     {"a = 1\n", "# new\n", "", "# new\na = 1\n"},
		"after":                      {"a = 1\n", "", "z = 1\n", "a = 1\nz = 1\n"},
		"after, newline was added":   {"a = 1", "", "z = 1", "a = 1\nz = 1"},
		"both, newline was added":    {"a = 1", "# new\n", "z = 1\n", "# new\na = 1\nz = 1\n"},
		"after, CRLF":                {"a = 1\r\nb = 2", "", "z = 1\r\n", "a = 1\r\nb = 2\r\nz = 1\r\n"},
		"into an empty file, after":  {"", "", "z = 1\n", "z = 1\n"},
		"into an empty file, before": {"", "y = 1\n", "", "y = 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			with, err := setBlock([]byte(tt.src), testBody, "")
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := cutBlock([]byte(tt.before + string(with) + tt.after))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestBlockOfAnOlderVersionIsReplacedInItsPlace(t *testing.T) {
	old, err := setBlock([]byte("a = 1"), "old\n", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"", "z = 1\n"} {
		with, err := setBlock([]byte(string(old)+after), testBody, "")
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(with, []byte("old\n")) || !bytes.HasSuffix(with, []byte(after)) {
			t.Errorf("got %q", with)
		}
		want := "a = 1"
		if after != "" {
			want = "a = 1\n" + after
		}
		if got, _, err := cutBlock(with); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestBlockSurvivesAnEditorThatChangesLineEnds(t *testing.T) {
	with, err := setBlock([]byte("a = 1\n"), testBody, "")
	if err != nil {
		t.Fatal(err)
	}
	crlf := strings.ReplaceAll(string(with), "\n", "\r\n")
	for _, src := range []string{crlf, strings.TrimSuffix(crlf, "\r\n")} {
		got, b, err := cutBlock([]byte(src))
		if err != nil || b == nil || string(got) != "a = 1\r\n" {
			t.Errorf("got %q, %v, %v", got, b, err)
		}
	}
}

func TestDamagedBlockIsReported(t *testing.T) {
	with, err := setBlock([]byte("a = 1\n"), testBody, "")
	if err != nil {
		t.Fatal(err)
	}
	src := string(with)
	for name, damaged := range map[string]string{
		"no end":          strings.Replace(src, blockEnd, "", 1),
		"no begin":        strings.Replace(src, blockBegin, "#", 1),
		"twice":           src + src,
		"edited inside":   strings.Replace(src, "one = 1", "one = 2", 1),
		"line deleted":    strings.Replace(src, "    pass\n", "", 1),
		"header edited":   strings.Replace(src, "added=nothing", "added=all", 1),
		"sum edited":      strings.Replace(src, "sum=", "sum=0", 1),
		"header cut":      strings.Replace(src, " added=nothing", "", 1),
		"text behind end": strings.Replace(src, blockEnd, blockEnd+" x", 1),
	} {
		t.Run(name, func(t *testing.T) {
			var want *errBlock
			if out, err := setBlock([]byte(damaged), testBody, ""); !errors.As(err, &want) {
				t.Errorf("set: %q, %v", out, err)
			}
			out, _, err := cutBlock([]byte(damaged))
			if !errors.As(err, &want) {
				t.Fatalf("cut: %q, %v", out, err)
			}
			if !strings.Contains(want.Hint(), blockBegin) {
				t.Errorf("hint %q", want.Hint())
			}
		})
	}
}

// FuzzBlock holds that enable and disable together change nothing, whatever
// the user's file holds, and that a damaged block stops both.
func FuzzBlock(f *testing.F) {
	with, err := setBlock([]byte("a = 1"), testBody, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("c.A.b = 1\r\n"))
	f.Add([]byte("x"))
	f.Add(with)
	f.Add(append(with, "z = 1"...))
	f.Add(append([]byte("\r"), with...))
	f.Add([]byte(blockBegin + "\n" + blockEnd))
	f.Fuzz(func(t *testing.T, src []byte) {
		plain, had, cutErr := cutBlock(src)
		with, err := setBlock(src, testBody, "")
		if (err == nil) != (cutErr == nil) {
			t.Fatalf("set: %v, cut: %v", err, cutErr)
		}
		if err != nil {
			return
		}
		got, b, err := cutBlock(with)
		if err != nil || b == nil {
			t.Fatalf("block %v, %v in %q", b, err, with)
		}
		if !bytes.Equal(got, plain) {
			t.Fatalf("got %q, want %q", got, plain)
		}
		if had == nil && !bytes.Equal(got, src) {
			t.Fatalf("got %q, want %q", got, src)
		}
	})
}
