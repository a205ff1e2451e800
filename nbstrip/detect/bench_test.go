package detect

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/nbstrip/detect/corpus"
)

// benchInputs is real notebooks where there are some, else the corpus.
func benchInputs(b *testing.B) (all []input, size int64) {
	if dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS"); dir != "" {
		all = realInputs(b, dir)
	} else {
		for s := range corpus.Samples(1) {
			all = append(all, inputs(b, s.Notebook)...)
		}
	}
	for _, in := range all {
		size += int64(len(in.text))
	}
	return all, size
}

func BenchmarkFind(b *testing.B) {
	all, size := benchInputs(b)
	d := New(nil)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, in := range all {
			if _, err := d.FindIn(context.Background(), in.kind, in.text); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBatch is the same in texts of 1 MiB of any kind, as the agent gets them.
func BenchmarkBatch(b *testing.B) {
	all, size := benchInputs(b)
	var joined []byte
	for _, in := range all {
		joined = append(append(joined, in.text...), 0xff)
	}
	d := New(nil)
	b.SetBytes(size)
	for b.Loop() {
		for rest := joined; len(rest) > 0; {
			n := min(1<<20, len(rest))
			if _, err := d.Find(context.Background(), rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}

// BenchmarkImages is a page of 49 MB of pictures, as data URLs in HTML.
func BenchmarkImages(b *testing.B) {
	picture := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(picture)
	one := base64.StdEncoding.EncodeToString(picture)
	var page bytes.Buffer
	for page.Len() < 49e6 {
		fmt.Fprintf(&page, "<p>a figure of nothing</p><img src=\"data:image/png;base64,%s\">\n", one)
	}
	d := New(nil)
	b.SetBytes(int64(page.Len()))
	for b.Loop() {
		if _, err := d.FindIn(context.Background(), HTML, page.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirst is a small text with a Detector that never had one.
func BenchmarkFirst(b *testing.B) {
	text := []byte(strings.Repeat("x = load()\n", 100))
	for b.Loop() {
		if _, err := New(nil).Find(context.Background(), text); err != nil {
			b.Fatal(err)
		}
	}
}
