package secret

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxRefLen is the longest reference, in bytes.
const MaxRefLen = 1024

// Ref says where a value comes from, and holds none:
//
//	scheme://path[?key=value&…][#field]
//
// such as openbao://kv/team/db#password. In path and field, %3F stands for ?
// and %23 for #. References of other tools are read too: op://vault/item/field,
// and ref+… as vals and helmfile write them.
//
// A Ref is comparable; the zero Ref is none.
type Ref struct {
	Scheme string // lower-case letters, digits and hyphens: the name of a provider
	Path   string
	Field  string // or ""
	query  string
	text   string
}

// ParseRef reads a reference. The errors repeat nothing of s, since people paste
// values, and URLs with passwords in them are values.
func ParseRef(s string) (Ref, error) {
	text := s
	if rest, ok := strings.CutPrefix(s, "ref+"); ok {
		s = fromVals(rest)
	}
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok || !isScheme(scheme) || rest == "":
		return Ref{}, errRef
	case len(s) > MaxRefLen:
		return Ref{}, errors.New("a reference is not that long")
	}
	r := Ref{Scheme: scheme, text: text}
	rest, r.Field, _ = strings.Cut(rest, "#")
	r.Path, r.query, _ = strings.Cut(rest, "?")
	if field, query, ok := strings.Cut(r.Field, "?"); ok && r.query == "" && strings.Contains(query, "=") {
		r.Field, r.query = field, query // #FIELD?version=1, in either order
	}
	if first, _, _ := strings.Cut(r.Path, "/"); strings.Contains(first, "@") && strings.Contains(first, ":") {
		return Ref{}, errors.New("a URL with a password in it is a value and no reference")
	}
	var err, err2, err3 error
	r.Path, err = url.PathUnescape(r.Path)
	r.Field, err2 = url.PathUnescape(r.Field)
	_, err3 = url.ParseQuery(r.query)
	if err != nil || err2 != nil || err3 != nil {
		return Ref{}, errors.New("a reference has a % that is no escape")
	}
	if strings.ContainsFunc(s+r.Path+r.Field, func(c rune) bool { return c < ' ' || c == 0x7f || c == utf8.RuneError }) {
		return Ref{}, errors.New("a reference has no control characters")
	}
	return r, nil
}

var errRef = errors.New("a reference looks like provider://path#field")

// Option returns what the part after ? says of key, or "".
func (r Ref) Option(key string) string {
	q, err := url.ParseQuery(r.query)
	if err != nil {
		return ""
	}
	return q.Get(key)
}

// Options returns all that the part after ? says, the first of each key.
func (r Ref) Options() map[string]string {
	q, _ := url.ParseQuery(r.query)
	all := make(map[string]string, len(q))
	for key := range q {
		all[key] = q.Get(key)
	}
	return all
}

// Place returns what the reference says but for the field, in one form for all ways
// to write it.
func (r Ref) Place() string {
	return r.Scheme + "://" + url.PathEscape(r.Path) + "?" + r.query
}

// String returns the reference as it was written.
func (r Ref) String() string { return r.text }

// IsZero reports whether r is no reference.
func (r Ref) IsZero() bool { return r == Ref{} }

func isScheme(s string) bool {
	if s == "" || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// valsSchemes are the names that vals has for what is called otherwise here.
var valsSchemes = map[string]string{
	"awssecrets": "aws-sm", "awsssm": "aws-ssm", "gcpsecrets": "gcp", "azurekeyvault": "azure",
	"bw": "bitwarden", "vault": "openbao", "envsubst": "env",
}

var awsOptions = strings.NewReplacer("version_id=", "version=", "version_stage=", "stage=")

// fromVals turns what follows ref+ into a reference of ours: the fragment is a
// path with slashes there, and a + may end it.
func fromVals(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	place, field, _ := strings.Cut(strings.TrimSuffix(rest, "+"), "#")
	place, query, _ := strings.Cut(place, "?")
	place, field = strings.TrimSuffix(place, "/"), strings.Trim(field, "/")
	switch scheme {
	case "envsubst":
		place = strings.Trim(place, "${}")
	case "file":
		switch {
		case field == "":
		case strings.HasSuffix(place, ".json"):
			scheme = "json"
		default:
			scheme = "yaml"
		}
	case "awssecrets":
		query = awsOptions.Replace(query)
	case "awsssm":
		place = "/" + strings.TrimPrefix(place, "/")
		if field != "" && !strings.Contains(query, "mode=singleparam") {
			place, field = place+"/"+field, ""
		}
	case "bw":
		if item, part, ok := strings.Cut(place, "/"); ok && field == "" {
			place, field = item, part
		}
	}
	if ours, ok := valsSchemes[scheme]; ok {
		scheme = ours
	}
	s = scheme + "://" + place
	if query != "" {
		s += "?" + query
	}
	if field != "" {
		s += "#" + strings.ReplaceAll(field, "/", ".")
	}
	return s
}
