package gitfilter

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzBlock: what withBlock adds, withoutBlock takes out to the byte, and to
// add it twice is to add it once.
func FuzzBlock(f *testing.F) {
	for _, s := range []string{
		"", "\n", "[user]\n\tname = x\n", "[user]\n\tname = x", "a\r\nb\r\n", "\xef\xbb\xbf[a]\n", "# nbhush: end\n",
		" " + blockBegin, blockBegin,
	} {
		f.Add([]byte(s), "x\n")
	}
	f.Fuzz(func(t *testing.T, file []byte, more string) {
		if start, _, _, err := findBlock(file); err != nil || start >= 0 {
			return // not a file of before
		}
		with, err := withBlock(file, attributes, note{newFile: len(file) == 0, newFolders: 2})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := withBlock(with, attributes, note{}); err != nil || !bytes.Equal(again, with) {
			t.Fatalf("a second time: %q, %v", again, err)
		}
		upgraded, err := withBlock(with, "*.ipynb filter=other\n", note{})
		if err != nil {
			t.Fatal(err)
		}
		old, n, found, err := withoutBlock(upgraded)
		if err != nil || !found || !bytes.Equal(old, file) {
			t.Fatalf("%q came back as %q, %v", file, old, err)
		}
		if n.newFile != (len(file) == 0) || n.newFolders != 2 {
			t.Fatalf("note %+v", n)
		}
		// What the user writes after the block stays, on lines of its own.
		if strings.Contains(more, blockBegin) {
			return
		}
		old, _, _, err = withoutBlock(append(bytes.Clone(with), more...))
		if err != nil || !bytes.HasPrefix(old, file) || !bytes.HasSuffix(old, []byte(more)) {
			t.Fatalf("%q after the block: %q, %v", more, old, err)
		}
		if more != "" && len(file) > 0 && old[len(old)-len(more)-1] != '\n' {
			t.Fatalf("%q and %q became one line: %q", file, more, old)
		}
	})
}

func TestBlockWithoutEnd(t *testing.T) {
	for _, file := range []string{blockBegin + "\n*.ipynb filter=nbhush\n", "a\n" + blockBegin + "; new file\n" + configBlock(Options{Program: "/nbhush"})} {
		if _, err := withBlock([]byte(file), attributes, note{}); err == nil {
			t.Errorf("%q was edited", file)
		}
		if _, _, _, err := withoutBlock([]byte(file)); err == nil {
			t.Errorf("%q was edited", file)
		}
	}
}

// TestBlockAfterRemoveSection: git config --remove-section leaves the first line.
func TestBlockAfterRemoveSection(t *testing.T) {
	for file, want := range map[string]string{
		"a\n" + blockBegin:                               "a\n",
		"a\n" + blockBegin + "; new file\n[user]\n":      "a\n[user]\n",
		"a\n" + blockBegin + "; line end added\nb = c\n": "a\nb = c\n",
	} {
		got, _, found, err := withoutBlock([]byte(file))
		if err != nil || !found || string(got) != want {
			t.Errorf("%q: got %q, %v, want %q", file, got, err, want)
		}
	}
}
