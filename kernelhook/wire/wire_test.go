package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func frames(parts ...string) [][]byte {
	var out [][]byte
	for _, p := range parts {
		out = append(out, []byte(p))
	}
	return out
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name    string
		frames  [][]byte
		want    error
		idents  int
		buffers int
	}{
		{"no frames", nil, ErrNoDelimiter, 0, 0},
		{"no delimiter", frames("a", "b", "c", "d", "e", "f"), ErrNoDelimiter, 0, 0},
		{"content missing", frames(Delimiter, "sig", "{}", "{}", "{}"), ErrShort, 0, 0},
		{"no identity", frames(Delimiter, "sig", "{}", "{}", "{}", "{}"), nil, 0, 0},
		{"two identities, two buffers", frames("a", "b", Delimiter, "sig", "{}", "{}", "{}", "{}", "x", "y"), nil, 2, 2},
		{"delimiter as a buffer", frames("a", Delimiter, "sig", "{}", "{}", "{}", "{}", Delimiter), nil, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(c.frames)
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			if len(m.Identities()) != c.idents || len(m.Buffers()) != c.buffers {
				t.Errorf("got %d identities and %d buffers, want %d and %d", len(m.Identities()), len(m.Buffers()), c.idents, c.buffers)
			}
			if string(m.Signature()) != "sig" {
				t.Errorf("signature is %q", m.Signature())
			}
		})
	}
}

func TestSigner(t *testing.T) {
	key := []byte("not-a-real-key")
	s, err := NewSigner("hmac-sha256", key)
	if err != nil {
		t.Fatal(err)
	}
	m := New(s, frames("id"), []byte(`{"h":1}`), []byte(`{}`), []byte(`{"m":1}`), []byte(`{"c":1}`), frames("buffer"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(`{"h":1}{}{"m":1}{"c":1}`))
	if want := hex.EncodeToString(mac.Sum(nil)); string(m.Signature()) != want {
		t.Errorf("signature is %s, want %s", m.Signature(), want)
	}
	if !s.Verify(m) {
		t.Error("own signature does not verify")
	}
	for i := range 4 {
		bad := Message{append([][]byte(nil), m.Frames...), m.delim}
		bad.Frames[m.delim+header+i] = []byte("{ }")
		if s.Verify(bad) {
			t.Errorf("a change of signed frame %d went unseen", i)
		}
	}
	unsigned, err := NewSigner("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.With(unsigned, m.Metadata(), m.Content(), nil); len(got.Signature()) != 0 || !unsigned.Verify(m) {
		t.Error("without a key there is no signature and every message passes")
	}
	if _, err := NewSigner("hmac-md5", key); err == nil {
		t.Error("a scheme nobody checked was taken")
	}
}

// recorded are the messages of a real client and a real kernel, frame by frame as
// libzmq delivers them, by file name; see testdata/capture.py.
func recorded(t testing.TB) map[string][][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/jupyter/*.hex")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d recorded messages: %v", len(files), err)
	}
	all := map[string][][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			frame, err := hex.DecodeString(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(f)] = append(all[filepath.Base(f)], frame)
		}
	}
	return all
}

// What jupyter_client sends is parsed, is signed as this package signs, says its
// type, and is the same when it is put together again.
func TestRecorded(t *testing.T) {
	s, err := NewSigner("hmac-sha256", []byte("not-a-real-key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range recorded(t) {
		m, err := Parse(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !s.Verify(m) {
			t.Errorf("%s: the signature does not verify", name)
		}
		_, want, _ := strings.Cut(strings.TrimSuffix(name, ".hex"), "-")
		if h, ok := ScanHeader(m.Header()); !ok || h.MsgType != want || h.MsgID == "" || h.Session == "" {
			t.Errorf("%s: header %+v", name, h)
		}
		again := m.With(s, m.Metadata(), m.Content(), m.Buffers())
		if !slices.EqualFunc(again.Frames, in, bytes.Equal) {
			t.Errorf("%s: put together again it is another one", name)
		}
	}
}

// FuzzParse holds that what Parse returns, put together again, is what it got.
func FuzzParse(f *testing.F) {
	f.Add([]byte("id\n<IDS|MSG>\nsig\n{}\n{}\n{}\n{}\nbuffer"))
	f.Add([]byte("<IDS|MSG>\n\n{}\n{}\n{}\n{}"))
	f.Add([]byte("<IDS|MSG>"))
	for _, frames := range recorded(f) {
		f.Add(bytes.Join(frames, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Split(b, []byte("\n"))
		m, err := Parse(in)
		if err != nil {
			return
		}
		out := append([][]byte(nil), m.Identities()...)
		out = append(out, []byte(Delimiter), m.Signature(), m.Header(), m.Parent(), m.Metadata(), m.Content())
		out = append(out, m.Buffers()...)
		if got := bytes.Join(out, []byte("\n")); !bytes.Equal(got, b) {
			t.Errorf("got %q, want %q", got, b)
		}
	})
}

// FuzzScanHeader holds that the scan of a valid object equals encoding/json.
func FuzzScanHeader(f *testing.F) {
	f.Add([]byte(`{"msg_id":"a_1","msg_type":"status","username":"u","session":"s","date":"2026-01-01T00:00:00Z","version":"5.4"}`))
	f.Add([]byte(`{"msg_type":"a","x":{"msg_type":"b","y":["]",{}]},"msg_type":"\u0063\ud800"}`))
	f.Add([]byte(` { } `))
	f.Add([]byte(`{"msg_id":null,"session":1e5,"msg_type":[1,true]}`))
	f.Add([]byte(`{"a":1 2,"b":`))
	for _, frames := range recorded(f) {
		if m, err := Parse(frames); err == nil {
			f.Add(m.Header())
			f.Add(m.Content())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := ScanHeader(b)
		var all map[string]json.RawMessage
		if json.Unmarshal(b, &all) != nil || all == nil {
			return
		}
		if !ok {
			t.Fatalf("%q is an object but was not scanned", b)
		}
		str := func(name string) (s string) {
			_ = json.Unmarshal(all[name], &s)
			return s
		}
		want := Header{MsgType: str("msg_type"), MsgID: str("msg_id"), Session: str("session")}
		if got != want {
			t.Errorf("%q: got %+v, want %+v", b, got, want)
		}
	})
}

func BenchmarkScanHeader(b *testing.B) {
	h := []byte(`{"msg_id":"0f1e2d3c-4b5a69788796a5b4c3d2e1f0_1234_5","msg_type":"stream","username":"username","session":"0f1e2d3c-4b5a69788796a5b4c3d2e1f0","date":"2026-11-21T10:00:00.000000Z","version":"5.4"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ScanHeader(h); !ok {
			b.Fatal("not scanned")
		}
	}
}
