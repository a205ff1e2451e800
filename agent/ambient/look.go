package ambient

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
)

// words that say that the value of a name is a secret.
var words = []string{
	"password", "passwd", "passphrase", "pass", "pwd", "pw", "secret", "secrets", "token", "key", "apikey",
	"credential", "credentials", "authtoken", "identitytoken", "pat", "auth",
}

// endings are those words that say it also at the end of another, as in PGPASSWORD.
var endings = []string{"password", "passwd", "secret", "apikey", "token"}

// about are last words that say that the value is something about a secret, and
// with words of harmless before them it is a key of another kind.
var (
	about = []string{
		"file", "path", "dir", "directory", "name", "id", "url", "uri", "endpoint", "host", "hostname", "port", "user", "username",
		"type", "algorithm", "alg", "expiry", "expires", "expiration", "expire", "ttl", "sock", "socket", "helper", "prompt", "length", "size",
		"version", "region", "backend", "enabled", "format", "env", "mode", "method", "command", "cmd", "provider", "store", "hash", "fingerprint",
	}
	harmless = []string{"public", "primary", "foreign", "sort", "partition", "gpg", "shift", "sshpublic"}
)

// Secret reports whether a variable or setting of this name and value is taken
// for a secret, one that package match can find.
func Secret(name, value string) bool {
	return (hasPassword(value) || says(name) && !harmlessValue(value)) && match.Weakness(secret.New([]byte(value))) == ""
}

// says reports whether a name says that its value is a secret.
func says(name string) bool {
	list := split(name)
	if len(list) == 0 || slices.Contains(about, list[len(list)-1]) {
		return false
	}
	if slices.ContainsFunc(list, func(w string) bool { return slices.Contains(harmless, w) }) {
		return false
	}
	return slices.ContainsFunc(list, func(w string) bool {
		return slices.Contains(words, w) && name != "PWD" ||
			slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(w, e) })
	})
}

// split returns the words of a name such as API_KEY, client-secret or _authToken, in lower case.
func split(name string) (list []string) {
	start, runes := 0, []rune(name)
	flush := func(end int) {
		if end > start {
			list = append(list, strings.ToLower(string(runes[start:end])))
		}
		start = end
	}
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush(i)
			start = i + 1
		case i > start && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]):
			flush(i)
		}
	}
	flush(len(runes))
	return list
}

// hasPassword reports whether value is a URL with a password in it.
func hasPassword(value string) bool {
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil || u.User == nil || u.Host == "" {
		return false
	}
	p, ok := u.User.Password()
	return ok && p != "" && !strings.HasPrefix(p, "$")
}

// harmlessValue reports whether a value is known not to be a secret, whatever
// its name: it refers to one that is elsewhere, or is a file.
func harmlessValue(value string) bool {
	for _, prefix := range []string{"$", "{{", "op://", "vault://", "ref+", "file:", "keyring:"} {
		if strings.HasPrefix(value, prefix) {
			return true
		}
	}
	if !filepath.IsAbs(value) && !strings.HasPrefix(value, "~/") || len(value) > 4096 {
		return false
	}
	_, err := os.Lstat(value)
	return err == nil || strings.HasPrefix(value, "~/")
}

// maxSecrets bounds what one environment or one folder's files hold.
const maxSecrets = 200

// Environment returns the secrets among variables, which are NAME=value. What
// it returns is the caller's to wipe. Its names are no names of stored secrets.
func Environment(variables []string) []match.Known {
	var all list
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "NBHUSH_") {
			continue
		}
		all.add("env-"+name, name, value)
	}
	return all.known
}

// list collects secrets, each value once.
type list struct{ known []match.Known }

// add adds the value of a setting called name, for which placeholders say as,
// if it is a secret.
func (l *list) add(as, name, value string) {
	if Secret(name, value) {
		l.keep(as, value)
	}
}

// keep adds a value that is a secret.
func (l *list) keep(as, value string) {
	v := secret.New([]byte(value))
	if len(l.known) >= maxSecrets || match.Weakness(v) != "" ||
		slices.ContainsFunc(l.known, func(k match.Known) bool { return k.Value.Equal(v) }) {
		v.Wipe()
		return
	}
	l.known = append(l.known, match.Known{Name: label(as), Value: v})
}

// label returns as in the characters and the length that a placeholder may have.
func label(as string) secret.Name {
	b := bytes.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.-", r)) {
			return r
		}
		return '_'
	}, []byte(as))
	return secret.Name(b[:min(len(b), secret.MaxNameLen)])
}
