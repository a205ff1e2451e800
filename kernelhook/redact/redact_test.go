package redact

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// naive finds values by their plain bytes.
type naive struct {
	values map[string]string // by name
	err    error
	calls  int
}

func (f *naive) Find(_ context.Context, text []byte) (match.Result, error) {
	f.calls++
	var r match.Result
	for name, v := range f.values {
		for at := 0; ; {
			i := bytes.Index(text[at:], []byte(v))
			if i < 0 {
				break
			}
			r.Spans = append(r.Spans, match.Span{Start: at + i, End: at + i + len(v), Name: name})
			at += i + len(v)
		}
		for n := min(len(v)-1, len(text)); n > r.Tail; n-- {
			if bytes.HasSuffix(text, []byte(v[:n])) {
				r.Tail = n
			}
		}
	}
	slices.SortFunc(r.Spans, func(a, b match.Span) int { return a.Start - b.Start })
	return r, f.err
}

func newTest(t testing.TB) (*Redactor, *naive, string) {
	t.Helper()
	signer, err := wire.NewSigner("hmac-sha256", []byte(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	value := "s3-" + rand.Text()
	f := &naive{values: map[string]string{"TOKEN": value}}
	return &Redactor{Finder: f, Signer: signer}, f, value
}

func (r *Redactor) message(msgType, parent, content string, buffers ...[]byte) wire.Message {
	return wire.New(r.Signer, [][]byte{[]byte("topic")}, []byte(`{"msg_type":"`+msgType+`","msg_id":"m"}`),
		[]byte(`{"msg_id":"`+parent+`"}`), []byte(`{}`), []byte(content), buffers)
}

func streamContent(name, text string) string {
	b, _ := json.Marshal(map[string]string{"name": name, "text": text})
	return string(b)
}

func TestMessage(t *testing.T) {
	r, _, v := newTest(t)
	b64 := base64.StdEncoding.EncodeToString([]byte("\x89PNG....." + v + "..."))
	const p, dropped = "[nbhush:TOKEN]", "[nbhush:TOKEN] was in this image/png, which nbhush left out"
	for _, c := range []struct{ name, msgType, content, want string }{
		{"nothing", "stream", `{"name":"stdout" , "text":"harmless\u002e text"}`, ""},
		{"stream", "stream", `{"text" : "a\n` + v + `\u00e9", "name":"stdout"}`, `{"text" : "a\n` + p + `\u00e9", "name":"stdout"}`},
		{"escaped in part", "stream", `{"name":"x","text":"\"\u0073` + v[1:] + `\""}`, `{"name":"x","text":"\"` + p + `\""}`},
		{"beside a rune", "stream", `{"name":"x","text":"é` + v + `é\ud83d\ude00"}`, `{"name":"x","text":"é` + p + `é\ud83d\ude00"}`},
		{"error", "error", `{"ename":"E","evalue":"` + v + `","traceback":["a","b ` + v + ` c"]}`, `{"ename":"E","evalue":"` + p + `","traceback":["a","b ` + p + ` c"]}`},
		{"numbers stay", "execute_result", `{"data":{"text/plain":"` + v + `"},"x":1.10e-5,"x":100000000000000000000000000001}`, `{"data":{"text/plain":"` + p + `"},"x":1.10e-5,"x":100000000000000000000000000001}`},
		{"a name", "comm_msg", `{"comm_id":"c","data":{"` + v + `":1}}`, `{"comm_id":"c","data":{"` + p + `":1}}`},
		{"image alone", "display_data", `{"data":{"image/png":"` + b64 + `"},"metadata":{}}`, `{"data":{"text/plain":"` + dropped + `"},"metadata":{}}`},
		{"image first", "display_data", `{"data":{"image/png":"` + b64 + `", "text/plain":"<Figure>"}}`, `{"data":{"text/plain":"<Figure>\n` + dropped + `"}}`},
		{"image last", "display_data", `{"data":{"text/plain":"<Figure>" , "image/png":"` + b64 + `" }}`, `{"data":{"text/plain":"<Figure>\n` + dropped + `" }}`},
		{"two images", "display_data", `{"data":{"image/png":"` + b64 + `","image/jpeg":"` + b64 + `"}}`, `{"data":{"text/plain":"` + dropped + `"}}`},
		{"three images around text", "display_data", `{"data":{"image/png":"` + b64 + `","text/plain":"x","image/jpeg":"` + b64 + `","image/gif":"` + b64 + `"}}`, `{"data":{"text/plain":"x\n` + dropped + `"}}`},
		{"NaN", "display_data", `{"data":{"text/plain":"` + v + `"},"x":NaN}`, `{"data":{"text/plain":"` + p + `"},"x":NaN}`},
		{"not json", "display_data", `{"data":{"text/plain":"` + v + `"}`, `{"data":{"text/plain":"` + p + `"}`},
		{"unknown type", "from_the_future", `{"a":["` + v + `"]}`, `{"a":["` + p + `"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := r.message(c.msgType, "p", c.content)
			got := r.Message(context.Background(), m)
			if c.want == "" {
				if &got.Frames[0] != &m.Frames[0] {
					t.Error("an unchanged message is another one")
				}
				return
			}
			if string(got.Content()) != c.want {
				t.Errorf("got  %s\nwant %s", got.Content(), c.want)
			}
			if !r.Signer.Verify(got) {
				t.Error("the changed message is not signed")
			}
			if string(m.Content()) != c.content {
				t.Error("the original was changed")
			}
		})
	}
}

func TestBuffers(t *testing.T) {
	r, _, v := newTest(t)
	m := r.message("comm_msg", "p", `{"comm_id":"c","data":{}}`, []byte("short"), []byte("\x00\xff"+v+"\x01"))
	got := r.Message(context.Background(), m)
	if want := "\x00\xff" + strings.Repeat("*", len(v)) + "\x01"; string(got.Buffers()[1]) != want {
		t.Errorf("got %q, want %q", got.Buffers()[1], want)
	}
	if !strings.Contains(string(m.Buffers()[1]), v) {
		t.Error("the original was changed")
	}
}

// Nobody is asked about messages that hold no text.
func TestNothingToAsk(t *testing.T) {
	r, f, _ := newTest(t)
	for _, m := range []wire.Message{
		r.message("status", "p", `{"execution_state":"idle"}`),
		r.message("execute_reply", "p", `{"status":"ok","execution_count":12,"user_expressions":{},"payload":[]}`),
		r.message("kernel_info_reply", "p", `{"banner":"a long text of the kernel's own"}`),
	} {
		r.Message(context.Background(), m)
	}
	if f.calls != 0 {
		t.Errorf("%d questions asked", f.calls)
	}
}

type hintErr struct{}

func (hintErr) Error() string { return "agent is away" }
func (hintErr) Hint() string  { return "start it" }

// What cannot be searched is withheld, wherever the text is.
func TestWithheld(t *testing.T) {
	r, f, v := newTest(t)
	f.err = hintErr{}
	b64 := base64.StdEncoding.EncodeToString([]byte(v + v))
	for _, m := range []wire.Message{
		r.message("stream", "p", streamContent("stdout", v)),
		r.message("error", "p", `{"ename":"E","evalue":"`+v+`","traceback":["`+v+`"]}`),
		r.message("display_data", "p", `{"data":{"image/png":"`+b64+`","text/plain":"`+v+`"}}`),
		r.message("comm_msg", "p", `{"comm_id":"c","data":{"`+v+`":"`+v+`"}}`, []byte(v)),
		r.message("display_data", "p", `{"data":{"text/plain":"`+v+`"},"x":NaN}`),
		r.message("display_data", "p", `{"data":{"text/plain":"`+v+`"}`),
	} {
		got := r.Message(context.Background(), m)
		all := string(bytes.Join(got.Frames, nil))
		if strings.Contains(all, v) || strings.Contains(all, b64) {
			t.Errorf("delivered: %s", all)
		}
		if !r.Signer.Verify(got) {
			t.Error("not signed")
		}
	}
	got := r.Message(context.Background(), r.message("stream", "p", streamContent("stdout", "long enough")))
	if want := streamContent("stdout", "[nbhush: output withheld: agent is away; start it]\n"); string(got.Content()) != want {
		t.Errorf("got %s, want %s", got.Content(), want)
	}
}

// sent are the messages that a Stage has sent.
type sent struct {
	mu  sync.Mutex
	all []wire.Message
}

func (s *sent) add(m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, m)
}

func (s *sent) get() []wire.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// collect returns a Stage and what it sent.
func collect(r *Redactor) (*Stage, *sent) {
	s := new(sent)
	return NewStage(r, s.add), s
}

func texts(msgs []wire.Message) (out []string) {
	for _, m := range msgs {
		var c struct{ Text, Execution_state string }
		_ = json.Unmarshal(m.Content(), &c)
		out = append(out, c.Text+c.Execution_state)
	}
	return out
}

func TestStage(t *testing.T) {
	r, _, v := newTest(t)
	const p = "[nbhush:TOKEN]"
	out := func(s string) wire.Message { return r.message("stream", "p", streamContent("stdout", s)) }
	errs := func(s string) wire.Message { return r.message("stream", "p", streamContent("stderr", s)) }
	idle := r.message("status", "p", `{"execution_state":"idle"}`)
	busy := r.message("status", "p", `{"execution_state":"busy"}`)
	for _, c := range []struct {
		name string
		in   []wire.Message
		want []string
	}{
		{"whole", []wire.Message{busy, out("a " + v + " b"), idle}, []string{"busy", "a " + p + " b", "idle"}},
		{"in two", []wire.Message{out("a " + v[:9]), out(v[9:] + " b"), idle}, []string{"a " + p, " b", "idle"}},
		{"in four", []wire.Message{out("a " + v[:3]), out(v[3:9]), out(v[9:10]), out(v[10:] + " b"), idle}, []string{"a " + p, "", "", " b", "idle"}},
		{"with stderr between", []wire.Message{out("a " + v[:9]), errs("oops"), out(v[9:]), idle}, []string{"a " + p, "oops", "", "idle"}},
		{"both streams broken", []wire.Message{out(v[:9]), errs(v[:4]), out(v[9:]), errs(v[4:]), idle}, []string{p, p, "", "", "idle"}},
		{"idle ends it", []wire.Message{out("a " + v[:9]), idle}, []string{"a " + v[:9], "idle"}},
		{"twice", []wire.Message{out(v + v[:5]), out(v[5:] + v), idle}, []string{p + p, p, "idle"}},
		{"start is no value", []wire.Message{out("a " + v[:9]), out("- b"), idle}, []string{"a " + v[:9], "- b", "idle"}},
	} {
		for _, way := range []string{"one batch", "one by one"} {
			t.Run(c.name+", "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, sent := collect(r)
					defer s.Close()
					if way == "one batch" {
						s.Push(t.Context(), c.in)
					} else {
						for _, m := range c.in {
							s.Push(t.Context(), []wire.Message{m})
						}
					}
					if got := texts(sent.get()); !slices.Equal(got, c.want) {
						t.Errorf("got %q, want %q", got, c.want)
					}
				})
			})
		}
	}
}

// What waits, waits no longer than Hold, and the rest of a value is cut even then.
func TestStageHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, v := newTest(t)
		s, sent := collect(r)
		defer s.Close()
		push := func(text string) {
			s.Push(t.Context(), []wire.Message{r.message("stream", "p", streamContent("stdout", text))})
			synctest.Wait()
		}
		push("a " + v[:9])
		if len(sent.get()) != 0 {
			t.Fatalf("sent at once: %q", texts(sent.get()))
		}
		wait(Hold)
		if got := texts(sent.get()); !slices.Equal(got, []string{"a " + v[:9]}) {
			t.Fatalf("after Hold: %q", got)
		}
		push(v[9:15])
		wait(Hold)
		push(v[15:] + " b")
		if got := texts(sent.get())[2]; got != "[nbhush:TOKEN] b" {
			t.Errorf("the rest: %q", got)
		}
	})
}

func TestStageFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, v := newTest(t)
		s, sent := collect(r)
		defer s.Close()
		s.Push(t.Context(), []wire.Message{
			r.message("stream", "p", streamContent("stdout", v[:9])),
			r.message("stream", "q", streamContent("stdout", v[:8])),
		})
		s.Flush(r.message("execute_reply", "nobody's", `{}`))
		if len(sent.get()) != 0 {
			t.Errorf("another request's reply sent %q", texts(sent.get()))
		}
		s.Flush(r.message("input_request", "p", `{}`))
		if got := texts(sent.get()); !slices.Equal(got, []string{v[:9]}) {
			t.Errorf("sent %q", got)
		}
	})
}

func TestStageWithheld(t *testing.T) {
	r, f, v := newTest(t)
	f.err = errors.New("gone")
	s, sent := collect(r)
	defer s.Close()
	for range 3 {
		s.Push(t.Context(), []wire.Message{r.message("stream", "p", streamContent("stdout", v))})
	}
	if got, want := texts(sent.get()), []string{"[nbhush: output withheld: gone]\n", "", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzChunks holds that any cut of a text into messages gives the redacted
// text, that no message is lost, and that untouched messages are the same ones.
func FuzzChunks(f *testing.F) {
	r, find, v := newTest(f)
	f.Add("one {} two\n{}{} \u00e9{}", []byte{3, 9, 1, 30})
	f.Add("{}", []byte{1, 1, 1, 1, 1, 1})
	f.Add("\\u0041 {} \x00\xff {}", []byte{200})
	f.Fuzz(func(t *testing.T, format string, cuts []byte) {
		text := strings.ToValidUTF8(strings.ReplaceAll(format, "{}", v), "?")
		res, _ := find.Find(t.Context(), []byte(text))
		want := string(match.Replace(nil, []byte(text), res.Spans))
		s, sent := collect(r)
		defer s.Close()
		var in []wire.Message
		for _, n := range cuts {
			n := min(int(n), len(text))
			for n < len(text) && n > 0 && text[n]&0xc0 == 0x80 {
				n-- // messages hold whole characters
			}
			in = append(in, r.message("stream", "p", streamContent("stdout", text[:n])))
			text = text[n:]
		}
		in = append(in, r.message("stream", "p", streamContent("stdout", text)))
		for i, m := range in {
			if i%3 != 0 {
				s.Push(t.Context(), in[i:i+1])
			} else if i+1 < len(in) && (i+1)%3 != 0 {
				s.Push(t.Context(), in[i:i+1])
			} else {
				s.Push(t.Context(), []wire.Message{m})
			}
		}
		s.Push(t.Context(), []wire.Message{r.message("status", "p", `{"execution_state":"idle"}`)})
		got := sent.get()
		if len(got) != len(in)+1 {
			t.Fatalf("%d messages, want %d", len(got), len(in)+1)
		}
		if joined := strings.Join(texts(got[:len(in)]), ""); joined != want {
			t.Errorf("got %q, want %q", joined, want)
		}
	})
}

// FuzzUnescape holds that decoding equals encoding/json for valid literals, that
// stops on the way change nothing, and that offsets map back.
func FuzzUnescape(f *testing.F) {
	f.Add([]byte(`a\n\u0041\ud83d\ude00\ud800x\\\"é`), 3)
	f.Add([]byte(`\`), 1)
	f.Add([]byte(`\u12`), 1)
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		whole, n := unescape(nil, raw, len(raw)+1)
		if n != len(raw) {
			t.Fatalf("read %d of %d", n, len(raw))
		}
		var byStep []byte
		step = max(1, step%1000)
		for at := 0; at < len(raw); {
			byStep, n = unescape(byStep, raw[at:], len(byStep)+step)
			at += n
		}
		if !bytes.Equal(byStep, whole) {
			t.Errorf("in steps %q, at once %q", byStep, whole)
		}
		for want := 0; want <= len(whole); want++ {
			start, end, text := sourceOffset(raw, 0, 0, want)
			before, _ := unescape(nil, raw[:start], len(raw)+1)
			if len(before) != text || text > want || start > end || start == end && text != want {
				t.Fatalf("offset %d maps to %d..%d, which is text offset %d", want, start, end, text)
			}
		}
		var want string
		if json.Unmarshal([]byte(`"`+string(raw)+`"`), &want) == nil && bytes.Equal(raw, bytes.ToValidUTF8(raw, nil)) && want != string(whole) {
			t.Errorf("got %q, want %q", whole, want)
		}
	})
}

// leavesByLibrary does with a JSON library what leaves does.
func leavesByLibrary(b []byte, visit func(leaf)) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	type level struct {
		open, member int
		key          []byte
	}
	stack := []level{{open: -1}}
	for {
		switch dec.PeekKind() {
		case '"':
			v, err := dec.ReadValue()
			if err != nil {
				return err
			}
			end := int(dec.InputOffset())
			start := end - len(v)
			depth := dec.StackDepth()
			kind, n := dec.StackIndex(depth)
			l := leaf{start: start + 1, end: end - 1, depth: depth, object: -1}
			top := &stack[depth]
			switch {
			case kind == '{' && n%2 == 1:
				l.name = true
				top.key, top.member = v[1:len(v)-1], start
			case kind == '{':
				l.key, l.object, l.member = string(top.key), top.open, top.member
			}
			visit(l)
		case 0:
			if _, err := dec.ReadToken(); len(bytes.TrimLeft(b[dec.InputOffset():], " \t\r\n")) > 0 {
				return err
			}
			return nil
		default:
			if _, err := dec.ReadToken(); err != nil {
				return err
			}
			if depth := dec.StackDepth(); depth >= len(stack) {
				stack = append(stack, level{open: int(dec.InputOffset()) - 1})
			} else if depth < len(stack)-1 {
				stack = stack[:depth+1]
			}
		}
	}
}

// FuzzLeaves holds that the strings of valid JSON are found where a library finds them.
func FuzzLeaves(f *testing.F) {
	f.Add([]byte(`{"a":["b",{"c\\\"":"d","e":{}},[[]],"f"],"g":-1.5e3,"h":null,"i":"\\"}`))
	f.Add([]byte(`"alone"`))
	f.Add([]byte(` [ "x" , true ] `))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) {
			_ = leaves(b, func(leaf) {}) // ends, without a panic
			return
		}
		var got, want []leaf
		err1 := leaves(b, func(l leaf) { got = append(got, l) })
		err2 := leavesByLibrary(b, func(l leaf) { want = append(want, l) })
		if err1 != nil || err2 != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %+v, %v, want %+v, %v", b, got, err1, want, err2)
		}
	})
}

// FuzzMessage holds that content of any shape loses the value and nothing else.
func FuzzMessage(f *testing.F) {
	r, _, v := newTest(f)
	f.Add(`{"data":{"text/plain":"{}","image/png":"aGVsbG8="},"metadata":{"{}":["{}"]}}`, "display_data")
	f.Add(`{"name":"stdout","text":"{}"}`, "stream")
	f.Add(`[{"a":`, "error")
	f.Fuzz(func(t *testing.T, content, msgType string) {
		if strings.ContainsAny(msgType, "\"\\") || noText[msgType] {
			return
		}
		m := r.message(msgType, "p", strings.ReplaceAll(content, "{}", v))
		got := r.Message(t.Context(), m)
		valid := json.Valid(m.Content())
		if valid && !json.Valid(got.Content()) {
			t.Errorf("valid became invalid: %s", got.Content())
		}
		if !strings.Contains(content, "{}") && !bytes.Contains(m.Content(), []byte(`\`)) && !bytes.Equal(got.Content(), m.Content()) {
			t.Errorf("changed without a value: %s", got.Content())
		}
		if !r.Signer.Verify(got) {
			t.Error("signature is wrong")
		}
	})
}

func TestCopy(t *testing.T) {
	r, _, v := newTest(t)
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"whole", []string{"a " + v + " b"}, "a [nbhush:TOKEN] b"},
		{"in three", []string{"a " + v[:5], v[5:9], v[9:] + " b"}, "a [nbhush:TOKEN] b"},
		{"ends early", []string{"a " + v[:5]}, "a " + v[:5]},
		{"twice over a cut", []string{v + v[:5], v[5:] + v}, "[nbhush:TOKEN][nbhush:TOKEN][nbhush:TOKEN]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				if err := r.Copy(t.Context(), &out, &chunks{c.in}); err != nil {
					t.Fatal(err)
				}
				if out.String() != c.want {
					t.Errorf("got %q, want %q", out.String(), c.want)
				}
			})
		})
	}
}

// slowWriter takes longer than a message waits.
type slowWriter struct{ strings.Builder }

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(2 * Hold)
	return w.Builder.Write(p)
}

// What waits to be read is no text that does not come, however long its reader takes: a value
// over the end of a read is whole.
func TestCopyOfSlowReader(t *testing.T) {
	r, _, v := newTest(t)
	var text, want strings.Builder
	for text.Len() < 60_000 { // what a pipe holds
		line := strings.Repeat("x", 37) + "<"
		text.WriteString(line + v + ">\n")
		want.WriteString(line + "[nbhush:TOKEN]>\n")
	}
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = w.WriteString(text.String())
		_ = w.Close()
	}()
	for _, src := range []*os.File{file, in} {
		var out slowWriter
		if err := r.Copy(t.Context(), &out, src); err != nil {
			t.Fatal(err)
		}
		_ = src.Close()
		if out.String() != want.String() {
			t.Errorf("%s: %d bytes came out, want %d; the value is there: %v", src.Name(), out.Len(), want.Len(), strings.Contains(out.String(), v))
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	signer, err := wire.NewSigner("hmac-sha256", []byte(rand.Text()))
	if err != nil {
		b.Fatal(err)
	}
	r := &Redactor{Signer: signer, Finder: match.New([]match.Known{{Name: "TOKEN", Value: secret.New([]byte(rand.Text()))}})}
	for _, size := range []int{100, 100_000} {
		m := r.message("stream", "p", streamContent("stdout", strings.Repeat("a line of the output of a cell\n", size/31)))
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				r.Message(b.Context(), m)
			}
		})
	}
}
