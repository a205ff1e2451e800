package provider

import (
	"bytes"
	"fmt"

	"github.com/nbhush/nbhush/agent/secret"
)

// readDotenv reads a .env file as python-dotenv does, which is what notebooks read theirs
// with: one NAME=value a line, perhaps after export; 'as it is' but for \' and \\,
// "with escapes", both over several lines, or plain up to the end of the line or a # after
// a blank. A name without = has no value. In plain and double-quoted text ${NAME} is the
// value of a name before it, and ${NAME:-default} that or the default; every other $ is
// one, and so is \$ between double quotes and all between single ones, as shells have it.
func readDotenv(b []byte) (Document, error) {
	b = bytes.ReplaceAll(bytes.TrimPrefix(b, bom), []byte("\r\n"), []byte("\n"))
	defer clear(b)
	p := dotenv{text: b, fields: map[string]secret.Value{}, left: 2 * MaxAnswer}
	for p.skip(" \t\n\r\f\v"); p.at < len(b); p.skip(" \t\n\r\f\v") {
		if begin := p.at; !p.entry() {
			(&Document{Fields: p.fields}).Wipe()
			line := 1 + bytes.Count(b[:begin], []byte("\n"))
			return Document{}, notA(fmt.Sprintf("a .env file from line %d on", line))
		}
	}
	return Document{Fields: p.fields}, nil
}

type dotenv struct {
	text   []byte
	at     int
	fields map[string]secret.Value
	left   int // bytes that values may still have, which may hold those before them
}

const (
	maxVariable = 1 << 10 // bytes of a name in ${NAME}

	blanks      = " \t\f\v"
	plainEscape = `\'"abfnrtv$`
	meantEscape = "\\'\"\a\b\f\n\r\t\v$"
)

func (p *dotenv) skip(what string) (n int) {
	for p.at < len(p.text) && bytes.IndexByte([]byte(what), p.text[p.at]) >= 0 {
		p.at++
		n++
	}
	return n
}

// line returns what is left of the line, and goes on behind it.
func (p *dotenv) line() []byte {
	rest, _, _ := bytes.Cut(p.text[p.at:], []byte("\n"))
	p.at += len(rest)
	return rest
}

// entry reads a comment or one name; false if the line is neither.
func (p *dotenv) entry() bool {
	if p.text[p.at] == '#' {
		p.line()
		return true
	}
	if rest, ok := bytes.CutPrefix(p.text[p.at:], []byte("export")); ok && len(rest) > 0 && bytes.IndexByte([]byte(blanks), rest[0]) >= 0 {
		p.at += len("export")
		p.skip(blanks)
		if p.at < len(p.text) && p.text[p.at] == '#' {
			return p.end()
		}
	}
	key, ok := p.key()
	if !ok {
		return false
	}
	p.skip(blanks)
	if p.at == len(p.text) || p.text[p.at] != '=' {
		if _, err := secret.ParseName(key); err != nil {
			return false // the file is something else, or its line is broken
		}
		p.set(key, secret.Value{})
		delete(p.fields, key)
		return p.end()
	}
	p.at++
	var value []byte
	switch gap := p.skip(blanks); {
	case p.at == len(p.text):
	case p.text[p.at] == '\'' || p.text[p.at] == '"':
		if value, ok = p.quoted(p.text[p.at]); !ok {
			return false
		}
	case gap == 0 || p.text[p.at] != '#':
		value = p.plain()
	}
	if p.left < 0 {
		return false
	}
	p.set(key, secret.New(value))
	return p.end()
}

func (p *dotenv) set(key string, value secret.Value) {
	p.fields[key].Wipe()
	p.fields[key] = value
}

func (p *dotenv) key() (string, bool) {
	if p.at < len(p.text) && p.text[p.at] == '\'' {
		key, _, ok := bytes.Cut(p.text[p.at+1:], []byte("'"))
		p.at += len(key) + 2
		return string(key), ok && len(key) > 0
	}
	n := bytes.IndexAny(p.text[p.at:], "=# \t\n\r\f\v")
	if n < 0 {
		n = len(p.text) - p.at
	}
	p.at += n
	return string(p.text[p.at-n : p.at]), n > 0
}

// end reports whether no more than a comment is left of the line.
func (p *dotenv) end() bool {
	p.skip(blanks + "\r")
	rest := p.line()
	return len(rest) == 0 || rest[0] == '#'
}

// plain reads a value without quotes.
func (p *dotenv) plain() []byte {
	text := p.line()
	for i := 1; i < len(text); i++ {
		if text[i] == '#' && bytes.IndexByte([]byte(blanks), text[i-1]) >= 0 {
			text = text[:i]
			break
		}
	}
	return p.value(bytes.TrimRight(text, blanks+"\r"), 0)
}

// quoted reads a value between q and q; false if the second one is missing.
func (p *dotenv) quoted(q byte) ([]byte, bool) {
	text := p.text[p.at+1:]
	n := 0
	for n < len(text) && text[n] != q {
		if text[n] == '\\' {
			n++
		}
		n++
	}
	if n >= len(text) {
		return nil, false
	}
	p.at += 1 + n + 1
	return p.value(text[:n], q), true
}

// value returns what text means between quotes q, or 0 for none.
func (p *dotenv) value(text []byte, q byte) []byte {
	out := make([]byte, 0, len(text))
	behind := len(text) - 1 - bytes.LastIndexByte(text, '}') // what is left closes nothing
	for len(text) > 0 && p.left >= 0 {
		v, n := text[:1], 1
		switch {
		case q != 0 && text[0] == '\\' && len(text) > 1:
			v, n = text[:2], 2
			if i := bytes.IndexByte([]byte(plainEscape), text[1]); i >= 0 && (q == '"' || i < 2) {
				v = []byte{meantEscape[i]}
			}
		case q != '\'' && text[0] == '$' && len(text) > behind:
			v, n = p.variable(text)
		}
		out, text = append(out, v...), text[n:]
		p.left -= len(v)
	}
	return out
}

// variable returns what ${NAME} that text begins with stands for, or its first byte, and
// how long that is. A } is in text.
func (p *dotenv) variable(text []byte) (v []byte, n int) {
	inner, ok := bytes.CutPrefix(text, []byte("${"))
	end := bytes.IndexAny(inner[:min(len(inner), maxVariable)], "}:")
	if !ok || end < 0 {
		return text[:1], 1
	}
	name, rest := inner[:end], inner[end:]
	fallback, has := bytes.CutPrefix(rest, []byte(":-"))
	if !has && rest[0] == ':' {
		return text[:1], 1
	}
	if !has {
		fallback = rest
	}
	fallback, after, _ := bytes.Cut(fallback, []byte("}"))
	n = len(text) - len(after)
	if value, ok := p.fields[string(name)]; ok {
		return value.Reveal(), n
	}
	return fallback, n
}
