package redact

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// unrelated returns 200 values of the shapes that secrets have.
func unrelated() (known []match.Known) {
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	words := strings.Fields("correct horse battery staple model train data learning rate epoch figure table value result loss plot")
	word := func() string { return words[mathrand.IntN(len(words))] }
	shapes := []func() string{
		func() string { return "sk-proj-" + base64.RawURLEncoding.EncodeToString(random(36)) },
		func() string { return hex.EncodeToString(random(20)) },
		func() string { return "AKIA" + rand.Text()[:16] },
		func() string { return base64.StdEncoding.EncodeToString(random(30)) },
		func() string {
			return fmt.Sprintf("%x-%x-%x-%x-%x", random(4), random(2), random(2), random(2), random(6))
		},
		func() string { return "hf_" + rand.Text() },
		func() string { return "postgres://app:" + rand.Text()[:12] + "@db.example.com:5432/app" },
		func() string { return word() + "-" + word() + "-" + word() + "-" + word() },
		func() string { return word() + " " + word() + " " + word() + " " + rand.Text()[:4] },
		func() string { return fmt.Sprint(10_000_000_000 + mathrand.Int64N(1e14)) },
		func() string { return rand.Text()[:8] },
		func() string {
			return "-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(random(48)) + "\n" + base64.StdEncoding.EncodeToString(random(40)) + "\n-----END PRIVATE KEY-----\n"
		},
		func() string {
			return `{"type":"service_account","project_id":"demo","private_key_id":"` + hex.EncodeToString(random(20)) + `"}`
		},
	}
	for i := range 200 {
		known = append(known, match.Known{Name: secret.Name(fmt.Sprintf("UNRELATED_%d", i)), Value: secret.New([]byte(shapes[i%len(shapes)]()))})
	}
	return known
}

// savedOutputs returns the outputs of a notebook as the messages that they were.
func savedOutputs(r *Redactor, src []byte) (out []wire.Message) {
	type output struct {
		Type      string          `json:"output_type"`
		Name      string          `json:"name,omitempty"`
		Text      json.RawMessage `json:"text,omitempty"`
		Data      json.RawMessage `json:"data,omitempty"`
		Metadata  json.RawMessage `json:"metadata,omitempty"`
		Ename     string          `json:"ename,omitempty"`
		Evalue    string          `json:"evalue,omitempty"`
		Traceback []string        `json:"traceback,omitempty"`
	}
	var nb struct {
		Cells []struct{ Outputs []output }
	}
	if json.Unmarshal(src, &nb) != nil {
		return nil
	}
	for i, c := range nb.Cells {
		for _, o := range c.Outputs {
			if o.Type == "stream" {
				o.Text = joinLines(o.Text)
			}
			var data map[string]json.RawMessage
			if json.Unmarshal(o.Data, &data) == nil {
				for key, v := range data {
					data[key] = joinLines(v)
				}
				o.Data, _ = json.Marshal(data)
			}
			content, _ := json.Marshal(o)
			out = append(out, r.message(o.Type, fmt.Sprint("p", i), string(content)))
		}
	}
	return out
}

// joinLines returns a list of strings as the string that the kernel sent.
func joinLines(v json.RawMessage) json.RawMessage {
	var lines []string
	if json.Unmarshal(v, &lines) != nil {
		return v
	}
	joined, _ := json.Marshal(strings.Join(lines, ""))
	return joined
}

// notebooks returns the notebooks of NBHUSH_TEST_NOTEBOOKS and some made up ones.
func notebooks(t testing.TB) (all [][]byte) {
	t.Helper()
	cell := func(outputs ...any) any { return map[string]any{"outputs": outputs} }
	stream := func(lines ...string) any {
		return map[string]any{"output_type": "stream", "name": "stdout", "text": lines}
	}
	data := func(mime, text string) any {
		return map[string]any{"output_type": "display_data", "metadata": map[string]any{}, "data": map[string]any{mime: text}}
	}
	table := "<table border=\"1\" class=\"dataframe\">" + strings.Repeat("<tr><th>0</th><td>4f2a9c</td><td>1e-05</td></tr>\n", 300) + "</table>"
	image := make([]byte, 40_000)
	_, _ = rand.Read(image)
	madeUp, _ := json.Marshal(map[string]any{"cells": []any{
		cell(stream("Epoch 1/10\n", strings.Repeat("\x1b[32m━━━━\x1b[0m 1.2/1.2 MB 3.4 MB/s eta 0:00:00\r", 50))),
		cell(stream("a b c d e f g h i j k l m n o p q r s t u v w x y z\n", "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']\n", "1, 2, 3, 4, 5, 6, 7, 8, 9, 0\n", "| - | - | - | - | - | - |\n")),
		cell(data("text/html", table), data("image/png", base64.StdEncoding.EncodeToString(image)), data("text/plain", "   a  b  c\n0  1  2  3\n"+strings.Repeat("1  0.1  0.2  0.3\n", 500))),
		cell(map[string]any{"output_type": "error", "ename": "E", "evalue": "x", "traceback": []string{"\x1b[31m---\x1b[39m", "\x1b[36mCell\x1b[39m\x1b[32m \x1b[39m\x1b[32mIn[1]\x1b[39m\x1b[32m, line 1\x1b[39m\n\x1b[32m----> \x1b[39m\x1b[32m1\x1b[39m f(\x1b[33m'\x1b[39m\x1b[33ma\x1b[39m\x1b[33m'\x1b[39m)"}}),
		cell(stream("data learning rate, model train; correct figure-table-value\n", "password: secret token\n", "sk-... AKIA... -----BEGIN PRIVATE KEY-----\n", "postgres://app:***@db.example.com:5432/app\n", `{"type":"service_account","project_id":"demo"}`)),
	}})
	all = append(all, madeUp)
	dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS")
	if dir == "" {
		return all
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no notebooks in NBHUSH_TEST_NOTEBOOKS: %v", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, src)
	}
	return all
}

// What is no secret stays: the outputs of real notebooks, and of made up ones,
// pass byte for byte while 200 values are known that have nothing to do with them,
// also where single characters are looked at.
func TestNothingUnrelatedGoes(t *testing.T) {
	r, _, _ := newTest(t)
	r.Finder = match.New(unrelated())
	outputs, bytesSeen := 0, 0
	for i, src := range notebooks(t) {
		for _, m := range savedOutputs(r, src) {
			for _, r.Spelled = range []bool{false, true} {
				got := r.Message(t.Context(), m)
				if !bytes.Equal(got.Content(), m.Content()) {
					t.Errorf("notebook %d: spelled %v: %d bytes became %d, %d placeholders", i, r.Spelled,
						len(m.Content()), len(got.Content()), bytes.Count(got.Content(), []byte("[nbhush:UNRELATED_")))
				}
			}
			outputs++
			bytesSeen += len(m.Content())
		}
	}
	t.Logf("%d outputs, %d bytes", outputs, bytesSeen)
	if outputs < 7 {
		t.Errorf("only %d outputs", outputs)
	}
}

// BenchmarkNotebooks redacts the outputs of NBHUSH_TEST_NOTEBOOKS, or of made up ones.
func BenchmarkNotebooks(b *testing.B) {
	r, _, _ := newTest(b)
	r.Finder = match.New(unrelated())
	var all []wire.Message
	total := 0
	for _, src := range notebooks(b) {
		for _, m := range savedOutputs(r, src) {
			all = append(all, m)
			total += len(m.Content())
		}
	}
	for _, spelled := range []bool{false, true} {
		b.Run(fmt.Sprintf("spelled=%v", spelled), func(b *testing.B) {
			r.Spelled = spelled
			b.SetBytes(int64(total))
			for b.Loop() {
				for _, m := range all {
					r.Message(b.Context(), m)
				}
			}
		})
	}
}
