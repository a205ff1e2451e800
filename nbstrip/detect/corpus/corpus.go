package corpus

import (
	"bytes"
	"encoding/json"
	"iter"
	"math/rand/v2"
	"strings"
)

// Sample is a notebook with one secret.
type Sample struct {
	Kind, Place string
	Notebook    []byte // nbformat 4
	// Want is the text that is secret, as it stands in the decoded text of the
	// place: without the escapes of JSON but for metadata and JSON outputs.
	Want string
	Also string // another piece of it that stands elsewhere in the same text
	// Secret is the value as its owner would store it. Want is all of it or a
	// part, such as the password of a URL, or an encoded form.
	Secret string
	Apart  bool // a program puts Secret together from pieces
}

// Samples yields one notebook for each kind in each place. The values depend on seed.
func Samples(seed uint64) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for i, k := range Kinds() {
			for j, p := range Places() {
				r := rand.New(rand.NewPCG(seed, uint64(i)<<32|uint64(j))) //nolint:gosec // the same seed makes the same notebooks
				if !yield(sample(r, k, p)) {
					return
				}
			}
		}
	}
}

func sample(r *rand.Rand, k Kind, p Place) Sample {
	s := &secret{
		env: pick(r, k.env...), label: pick(r, k.label...), lib: k.lib,
		user: pick(r, "jane", "analyst", "svc_etl", "admin"), host: pick(r, "db.internal", "example.net", "warehouse.corp"),
	}
	s.value, s.core = k.value(r)
	s.start = strings.Index(s.value, s.core)
	s.end = s.start + len(s.core)
	s.name = strings.ToLower(s.env)
	s.short = short(s.name)
	c := p.write(r, s)
	if c.want == "" {
		c.want = s.core
		if !strings.Contains(c.text(), c.want) {
			c.want = py(s.core)
		}
	}
	return Sample{Kind: k.Name, Place: p.Name, Notebook: c.notebookJSON(r), Want: c.want, Also: c.also, Secret: s.value, Apart: c.apart}
}

// short is the name that a client's parameter would have.
func short(name string) string {
	for _, s := range []string{"api_key", "access_token", "auth_token", "client_secret", "password", "secret_key", "private_key", "secret_access_key", "access_key_id", "session_token", "connection_string", "account_key", "webhook_url", "token", "key", "url", "uri"} {
		if strings.HasSuffix(name, s) {
			if s == "key" || s == "token" {
				return "api_" + s
			}
			return s
		}
	}
	return name
}

// text is all text of the cell that is not JSON.
func (c cell) text() string {
	b, _ := json.Marshal(c.outputs)
	var v any
	_ = json.Unmarshal(b, &v)
	out := []string{c.source}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			all := make([]string, 0, len(v))
			for _, e := range v {
				if s, ok := e.(string); ok {
					all = append(all, s)
				} else {
					walk(e)
				}
			}
			out = append(out, strings.Join(all, ""))
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(v)
	return strings.Join(out, "\n")
}

func (c cell) notebookJSON(r *rand.Rand) []byte {
	kind := "code"
	if c.markdown {
		kind = "markdown"
	}
	body := map[string]any{"cell_type": kind, "id": chars(r, 8, hexNum), "metadata": orEmpty(c.metadata), "source": lines(c.source)}
	if c.split {
		body["source"] = shreds(r, c.source)
	}
	if !c.markdown {
		body["execution_count"] = 3
		body["outputs"] = append([]any{}, c.outputs...)
	}
	meta := map[string]any{"kernelspec": map[string]any{"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": map[string]any{"name": "python", "version": "3.12.1"}}
	for k, v := range c.notebook {
		meta[k] = v
	}
	first := map[string]any{"cell_type": "markdown", "id": chars(r, 8, hexNum), "metadata": map[string]any{}, "source": lines("# Notes\nQuarterly numbers.")}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	_ = e.Encode(map[string]any{"cells": []any{first, body}, "metadata": meta, "nbformat": 4, "nbformat_minor": 5})
	return b.Bytes()
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// lines cuts a text as nbformat does.
func lines(s string) []string { return strings.SplitAfter(s, "\n") }

// shreds cuts a text anywhere, as editors that join list items do.
func shreds(r *rand.Rand, s string) (out []string) {
	for len(s) > 6 {
		n := 3 + r.IntN(12)
		n = min(n, len(s))
		out, s = append(out, s[:n]), s[n:]
	}
	return append(out, s)
}
