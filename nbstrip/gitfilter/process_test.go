package gitfilter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exchange is a file of testdata/git: what git sends, what it must get, and how
// the conversation ends. A line is one of
//
//	expect: ok | bad handshake | short packet | malformed packet | too many packets
//	> "text"      a packet from git        < "text"   a packet of the answer
//	> flush       a flush packet           < flush
//	> raw "0zzz"  bytes as they are
//	# words
type exchange struct {
	expect   string
	in, want []byte
}

func readExchange(t testing.TB, file string) exchange {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var x exchange
	s := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; s.Scan(); n++ {
		line := s.Text()
		kind, rest, _ := strings.Cut(line, " ")
		var to *[]byte
		switch kind {
		case "", "#":
			continue
		case "expect:":
			x.expect = rest
			continue
		case ">":
			to = &x.in
		case "<":
			to = &x.want
		default:
			t.Fatalf("%s:%d: %q", file, n, line)
		}
		raw := strings.HasPrefix(rest, "raw ")
		text, err := strconv.Unquote(strings.TrimPrefix(rest, "raw "))
		switch {
		case rest == "flush":
			*to = append(*to, "0000"...)
		case err != nil:
			t.Fatalf("%s:%d: %v", file, n, err)
		case raw:
			*to = append(*to, text...)
		default:
			*to = fmt.Appendf(*to, "%04x%s", len(text)+4, text)
		}
	}
	return x
}

func exchanges(t testing.TB) []string {
	files, err := filepath.Glob("../../testdata/git/*.pkt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges: %v", err)
	}
	return files
}

// testFilter knows one value, which is no secret, so that the files can hold it.
func testFilter() *Filter {
	return &Filter{
		Finder:  one{value: "not-a-real-value"},
		reading: func(context.Context) bool { return false },
		stored:  func(context.Context, string, []byte) bool { return false },
	}
}

func class(err error) string {
	for _, c := range []struct {
		err  error
		name string
	}{
		{nil, "ok"},
		{errHandshake, "bad handshake"},
		{errShort, "short packet"},
		{errPacket, "malformed packet"},
		{errList, "too many packets"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return err.Error()
}

func TestExchanges(t *testing.T) {
	for _, file := range exchanges(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			x := readExchange(t, file)
			var out bytes.Buffer
			err := testFilter().Process(t.Context(), bytes.NewReader(x.in), &out)
			if got := class(err); got != x.expect {
				t.Errorf("expect: %s, got %s (%v)", x.expect, got, err)
			}
			if d := cmp.Diff(string(x.want), out.String()); d != "" {
				t.Errorf("answer (-want +got):\n%s", d)
			}
		})
	}
}

func TestContentOfManyPackets(t *testing.T) {
	for _, size := range []int{0, 1, maxPayload - 1, maxPayload, maxPayload + 1, 3*maxPayload + 7, 5 << 20} {
		want := bytes.Repeat([]byte("0123456789abcdef\n"), size/17+1)[:size]
		var in, out bytes.Buffer
		p := newPackets(nil, &in)
		for _, list := range [][]string{
			{"git-filter-client", "version=2"},
			{"capability=clean", "capability=smudge", "capability=delay"},
			{"command=smudge", "pathname=a.ipynb", "blob=0"},
		} {
			if err := p.writeList(list...); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(p.writeContent(want), p.w.Flush()); err != nil {
			t.Fatal(err)
		}
		if err := testFilter().Process(t.Context(), &in, &out); err != nil {
			t.Fatal(err)
		}
		got := newPackets(&out, nil)
		for range 3 {
			if _, err := got.list(); err != nil {
				t.Fatal(err)
			}
		}
		content, err := got.content(nil)
		if err != nil || !bytes.Equal(content, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(content), err)
		}
	}
}

// TestLongClaims feeds heads without the bytes that they promise: nothing is
// allocated for a promise, since no packet is longer than maxPacket.
func TestLongClaims(t *testing.T) {
	const hello = "0016git-filter-client\n000eversion=2\n00000015capability=clean\n0000"
	for in, want := range map[string]string{
		hello + "ffff": "malformed packet",
		hello + "fff4": "malformed packet",
		hello + "fff0": "short packet",
		hello + "0012command=clean\n0011pathname=a":  "short packet",
		hello + strings.Repeat("0006a\n", maxList+1): "too many packets",
	} {
		err := testFilter().Process(t.Context(), strings.NewReader(in), io.Discard)
		if got := class(err); got != want {
			t.Errorf("%.60q…: %v, want %s", in, err, want)
		}
	}
}

// FuzzProcess: whatever arrives, Process ends without a panic, and what it
// wrote is well-formed packets.
func FuzzProcess(f *testing.F) {
	for _, file := range exchanges(f) {
		f.Add(readExchange(f, file).in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		_ = testFilter().Process(t.Context(), bytes.NewReader(in), &out)
		for p := newPackets(&out, nil); ; {
			_, _, err := p.text()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("the answer is no packets: %v", err)
			}
		}
	})
}

// FuzzContent: content comes back as it was written.
func FuzzContent(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, want []byte) {
		var b bytes.Buffer
		p := newPackets(&b, &b)
		if err := errors.Join(p.writeContent(want), p.w.Flush()); err != nil {
			t.Fatal(err)
		}
		got, err := p.content(nil)
		if err != nil || !bytes.Equal(got, want) || b.Len() != 0 {
			t.Fatalf("%q came back as %q, %v", want, got, err)
		}
	})
}
