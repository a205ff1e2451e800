package provider

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nbhush/nbhush/agent/secret"
)

// Formats are the names of what ParseFile reads.
var Formats = []string{"dotenv", "json", "yaml", "ini", "netrc"}

// FormatOf returns the format that the name of a file suggests, dotenv where it
// suggests none.
func FormatOf(path string) string {
	base := strings.ToLower(filepath.Base(path))
	switch filepath.Ext(base) {
	case ".json":
		return "json"
	case ".yaml", ".yml":
		return "yaml"
	case ".ini", ".cfg", ".conf":
		return "ini"
	}
	if base == ".netrc" || base == "_netrc" || base == "netrc" {
		return "netrc"
	}
	return "dotenv"
}

// ParseFile returns the values of a file by their path in it, such as a.b for what
// lies deeper. b stays the caller's to clear. Errors repeat nothing of b.
func ParseFile(format string, b []byte) (map[string]secret.Value, error) {
	if format == "netrc" {
		all := map[string]secret.Value{}
		for _, m := range parseNetrc(b) {
			host := firstOf(m.host, "default")
			m.account.Wipe()
			for key, v := range map[string]secret.Value{"login": m.login, "password": m.password} {
				if v.Len() > 0 {
					all[host+"."+key] = v
				}
			}
		}
		return all, nil
	}
	read, ok := map[string]func([]byte) (Document, error){"dotenv": readDotenv, "json": readJSON, "yaml": readYAML, "ini": readINI}[format]
	if !ok {
		return nil, fail(Setup, strings.Join(Formats, ", "), "no such format")
	}
	doc, err := read(b)
	if err != nil {
		return nil, err
	}
	if doc.Value.Len() > 0 {
		doc.Wipe()
		return nil, fail(Malformed, "", "the file holds one value without a name")
	}
	return doc.Fields, nil
}

func itoa(i int) string { return strconv.Itoa(i) }

// TextDocument returns the document of a value that is text: where it is a JSON
// object its members are fields. It owns b.
func TextDocument(b []byte) Document {
	doc := Document{}
	if len(b) > 0 && b[0] == '{' {
		if inner, err := readJSON(b); err == nil {
			doc.Fields = inner.Fields
		}
	}
	doc.Value = secret.New(b)
	return doc
}
