package detect

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// mask is the shape of a secret: letters are a, digits 0.
func mask(b []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 128 && isLetter(byte(r)):
			return 'a'
		case r < 128 && isDigit(byte(r)):
			return '0'
		}
		return r
	}, string(b))
}

// TestRealNotebooks holds how many findings there are in notebooks that people
// published, and prints them, masked, with -report.
func TestRealNotebooks(t *testing.T) {
	dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS")
	if dir == "" {
		t.Skip("NBHUSH_TEST_NOTEBOOKS names no folder of notebooks")
	}
	d := New(nil)
	found, size := 0, 0
	for i, in := range realInputs(t, dir) {
		size += len(in.text)
		res, err := d.FindIn(context.Background(), in.kind, in.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range res.Spans {
			found++
			if *report {
				before, after := in.text[max(0, span.Start-50):span.Start], in.text[span.End:min(len(in.text), span.End+20)]
				fmt.Printf("%s kind %d text %d %s %d bytes: %q\n  %q _ %q\n", in.file, in.kind, i, span.Name[:len(span.Name)-5], span.End-span.Start, mask(in.text[span.Start:span.End]), before, after)
			}
		}
	}
	t.Logf("%d findings in %.1f MB", found, float64(size)/1e6)
}

// realInputs returns the texts of the notebooks of a folder.
func realInputs(t testing.TB, dir string) (all []input) {
	files, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no notebooks: %v", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := notebook.Scan(src); err != nil {
			all = append(all, input{Plain, src, filepath.Base(f)})
			continue
		}
		for _, in := range inputs(t, src) {
			in.file = filepath.Base(f)
			all = append(all, in)
		}
	}
	return all
}
