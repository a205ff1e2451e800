package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/ini.v1"
	"gopkg.in/yaml.v3"

	"github.com/nbhush/nbhush/agent/secret"
)

// fileProvider reads a file of this machine. The path of the reference is below
// the folder of the nbhush.toml, or absolute, or begins with ~/.
type fileProvider struct {
	read  func([]byte) (Document, error)
	below string   // that the path is below instead
	fixed []string // the paths that are tried, where the path of the reference is the field
}

// kaggleFiles are where Kaggle's own client looks.
var kaggleFiles = []string{"~/.kaggle/kaggle.json", "~/.config/kaggle/kaggle.json"}

func (p fileProvider) Read(_ context.Context, q Query) (Document, error) {
	path := q.Ref.Path
	if p.below != "" {
		if !filepath.IsLocal(path) {
			return Document{}, fail(Setup, "write the name of the secret alone", "its path leads out of %s", p.below)
		}
		path = filepath.Join(firstOf(q.Settings["dir"], p.below), path)
	}
	if p.fixed != nil {
		return p.readFixed(q)
	}
	return p.readOne(q.file(path))
}

func (p fileProvider) readOne(path string) (Document, error) {
	b, err := readFile(path)
	if err != nil {
		return Document{}, err
	}
	defer clear(b)
	return p.read(b)
}

func (p fileProvider) readFixed(q Query) (Document, error) {
	paths := p.fixed
	if f := q.Settings["file"]; f != "" {
		paths = []string{f}
	}
	var err error
	for _, path := range paths {
		var doc Document
		if doc, err = p.readOne(q.file(path)); err == nil {
			defer doc.Wipe()
			v, e := doc.pick(q.Ref.Path, "")
			if e != nil {
				return Document{}, e
			}
			return Document{Value: v.Clone()}, nil
		}
		if !is(err, Missing) {
			break
		}
	}
	return Document{}, err
}

// readFile returns the whole of a file, which the caller clears.
func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() { // a pipe would keep us waiting
		return nil, fail(Setup, "", "it is not a file")
	}
	var b []byte
	if err == nil {
		b, err = readCapped(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(Missing, "relative paths begin in the folder of nbhush.toml", "there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return nil, fail(Denied, "see who may read it: ls -l", "the file may not be read")
	case err != nil:
		return nil, fail(Failed, "", "the file cannot be read")
	case len(b) > MaxAnswer:
		clear(b)
		return nil, fail(TooLong, "", "the file is longer than %d bytes", MaxAnswer)
	}
	return b, nil
}

func readCapped(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, MaxAnswer+1))
}

// readWhole takes the file as the value, less the newline that editors add.
func readWhole(b []byte) (Document, error) {
	return Document{Value: secret.New(bytes.Clone(oneLine(b)))}, nil
}

// oneLine returns b without one newline at its end.
func oneLine(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}

// The parsers' own words repeat what they read.
func notA(what string) *Error {
	return fail(Malformed, "mend the file; its lines are not repeated here, since they hold values", "the file is not %s", what)
}

var bom = []byte("\xef\xbb\xbf")

func readJSON(b []byte) (Document, error) {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, bom)))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.Decode(new(any)) != io.EOF {
		return Document{}, notA("JSON")
	}
	doc := Document{Fields: map[string]secret.Value{}}
	if !flatten(doc.Fields, "", v, 0) {
		doc.Wipe()
		return Document{}, fail(TooLong, "", "the file has more than %d fields, or is deeper than %d", maxFields, maxDepth)
	}
	return alone(doc), nil
}

func readYAML(b []byte) (Document, error) {
	var n yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&n); err != nil && !errors.Is(err, io.EOF) || !errors.Is(dec.Decode(new(yaml.Node)), io.EOF) {
		return Document{}, notA("YAML of one document")
	}
	doc := Document{Fields: map[string]secret.Value{}}
	budget := maxFields
	if len(n.Content) > 0 {
		flattenYAML(doc.Fields, "", n.Content[0], &budget, 0)
	}
	if budget < 0 {
		doc.Wipe()
		return Document{}, fail(TooLong, "", "the file has more than %d fields", maxFields)
	}
	return alone(doc), nil
}

const (
	maxFields = 10_000
	maxDepth  = 64
)

// flattenYAML keeps a scalar as it was written: 007 and 1e3 are passwords here.
func flattenYAML(to map[string]secret.Value, at string, n *yaml.Node, budget *int, depth int) {
	if *budget--; *budget < 0 || depth > maxDepth {
		*budget = -1
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Tag == "!!merge" { // before the keys of its own, which count
				flattenYAML(to, at, n.Content[i+1], budget, depth+1)
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Tag != "!!merge" {
				flattenYAML(to, join(at, n.Content[i].Value), n.Content[i+1], budget, depth+1)
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			flattenYAML(to, join(at, itoa(i)), c, budget, depth+1)
		}
	case yaml.AliasNode:
		flattenYAML(to, at, n.Alias, budget, depth+1)
	case yaml.ScalarNode:
		if n.Tag != "!!null" {
			to[at] = secret.New([]byte(n.Value))
		}
	}
}

func readINI(b []byte) (Document, error) {
	f, err := ini.LoadSources(ini.LoadOptions{
		IgnoreInlineComment: true, PreserveSurroundedQuote: false, AllowShadows: false, SkipUnrecognizableLines: false,
		IgnoreContinuation: true, AllowPythonMultilineValues: true, KeyValueDelimiters: "=:",
	}, b)
	if err != nil {
		return Document{}, notA("an INI file")
	}
	doc := Document{Fields: map[string]secret.Value{}}
	for _, s := range f.Sections() {
		at := s.Name()
		if at == ini.DefaultSection {
			at = ""
		}
		for _, k := range s.Keys() {
			first, rest, more := strings.Cut(k.Value(), "\n")
			for line := range strings.SplitSeq(rest, "\n") { // as Python's configparser, without what indents it
				if more {
					first += "\n" + strings.TrimSpace(line)
				}
			}
			doc.Fields[join(at, k.Name())] = secret.New([]byte(first))
		}
	}
	return doc, nil
}

// alone makes a document of one scalar its value.
func alone(doc Document) Document {
	if v, ok := doc.Fields[""]; ok {
		return Document{Value: v}
	}
	return doc
}

// flatten makes fields of a JSON value: a.b.0 for what lies deeper. Where a key with a point
// and what lies deeper have one name, the field is that of the outer key. It is false
// where there is too much.
func flatten(to map[string]secret.Value, at string, v any, depth int) bool {
	keep := func(text string) bool {
		if old, ok := to[at]; ok {
			old.Wipe()
		}
		to[at] = secret.New([]byte(text))
		return len(to) <= maxFields
	}
	if depth > maxDepth {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) { // a before a.b
			if !flatten(to, join(at, key), v[key], depth+1) {
				return false
			}
		}
	case []any:
		for i, inner := range v {
			if !flatten(to, join(at, itoa(i)), inner, depth+1) {
				return false
			}
		}
	case string:
		return keep(v)
	case json.Number:
		return keep(v.String())
	case bool:
		return keep(map[bool]string{true: "true", false: "false"}[v])
	}
	return true
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// netrcProvider reads .netrc: netrc://HOST#password, where login and account are
// the other fields. Without a field it is the password.
type netrcProvider struct{ host string }

func (p netrcProvider) Read(_ context.Context, q Query) (Document, error) {
	host := firstOf(q.Settings["host"], p.host, q.Ref.Path)
	path := firstOf(q.Settings["file"], "~/.netrc")
	b, err := readFile(q.file(path))
	if err != nil {
		return Document{}, err
	}
	defer clear(b)
	for _, m := range parseNetrc(b) {
		if m.host != host && m.host != "" {
			m.wipe()
			continue
		}
		fields := map[string]secret.Value{}
		for key, v := range map[string]secret.Value{"login": m.login, "password": m.password, "account": m.account} {
			if v.Len() > 0 {
				fields[key] = v
			}
		}
		if q.Ref.Field == "" && m.password.Len() == 0 {
			m.wipe()
			return Document{}, fail(Missing, "", "the file %s has no password for this machine", path)
		}
		return Document{Value: m.password, Fields: fields}, nil
	}
	return Document{}, fail(Missing, "", "the file %s has no such machine", path)
}

// machine is one entry of a .netrc; host is "" for default.
type machine struct {
	host                     string
	login, password, account secret.Value
}

func (m machine) wipe() {
	m.login.Wipe()
	m.password.Wipe()
	m.account.Wipe()
}

// parseNetrc reads the format of ftp(1), with quotes as curl knows them. Macros
// are passed over; what is not understood is too, as by every other reader.
func parseNetrc(b []byte) []machine {
	var all []machine
	words := netrcWords(bytes.TrimPrefix(b, bom))
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "machine":
			all = append(all, machine{host: next})
			i++
		case "default":
			all = append(all, machine{})
		case "login", "password", "account":
			if len(all) == 0 {
				break
			}
			m := &all[len(all)-1]
			*map[string]*secret.Value{"login": &m.login, "password": &m.password, "account": &m.account}[words[i]] = secret.New([]byte(next))
			i++
		}
	}
	return all
}

func netrcWords(b []byte) (words []string) {
	inMacro := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case inMacro:
			inMacro = line != ""
			continue
		case strings.HasPrefix(line, "#"):
			continue
		}
		for line != "" {
			var word string
			if word, line = netrcWord(line); word == "macdef" {
				inMacro = true
				break
			}
			words = append(words, word)
		}
	}
	return words
}

// netrcWord takes one word off a line that begins with one.
func netrcWord(line string) (word, rest string) {
	if line[0] != '"' {
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			return line[:i], strings.TrimLeft(line[i:], " \t")
		}
		return line, ""
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return b.String(), strings.TrimLeft(line[i+1:], " \t")
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// storeProvider is the store of nbhush itself, for a secret under another name.
type storeProvider struct {
	get func(secret.Name) (secret.Value, error)
}

func (p storeProvider) Read(_ context.Context, q Query) (Document, error) {
	name, err := secret.ParseName(q.Ref.Path)
	if err != nil {
		return Document{}, fail(Setup, "store://NAME", "%v", err)
	}
	v, err := p.get(name)
	if err != nil {
		return Document{}, fail(Missing, "nbhush set "+string(name), "the store does not give it")
	}
	return Document{Value: v}, nil
}

// envProvider is the environment in which the asking program was started.
type envProvider struct{}

func (envProvider) Read(_ context.Context, q Query) (Document, error) {
	v := q.Env(q.Ref.Path)
	if v == "" {
		return Document{}, fail(Missing, "it is looked for where the command or the kernel was started", "the variable is not set")
	}
	return Document{Value: secret.New([]byte(v))}, nil
}
