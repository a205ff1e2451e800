package detect

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// standIns are what people write where a secret belongs. They stand for
// themselves anywhere in a value.
var standIns = []string{
	"your", "example", "xxxx", "****", "....", "----", "____", "####", "insert", "replace", "changeme", "change_me", "change-me", "placeholder", "dummy", "redacted",
	"nbhush:", "secret-here", "key-here", "key_here", "keyhere", "token-here", "token_here", "password_here", "not-a-real", "notareal", "fake_", "fake-", "fakekey", "sample_", "sample-",
	"api_key", "api-key", "apikey", "my_secret", "my-secret", "mysecret", "my_token", "my-token", "mytoken", "my_key", "my-key", "mykey", "my_pass", "mypass", "my-pass", "access_token", "secret_key", "secretkey",
	"put_", "enter_", "enter-", "paste", "<token", "abc123", "abcdef", "123456789", "0123456", "foobar", "deadbeef", "1a2b3c", "a1b2c3", "lorem", "${", "$(", "{{", "}}", "%(", "%s", "os.environ", "getenv", "getpass", "…", "•••",
}

// commonWords are values that say nothing alone, after their signs and digits at both ends are cut off.
var commonWords = wordSet(`
	password passwd pass pwd secret token key admin root user username postgres postgresql mysql mssql redis mongo mongodb guest test testing tester demo
	hello world string str bytes text none null nil true false undefined default required optional hidden private public value values name login
	changeit letmein welcome qwerty abc abcd test1 foo bar baz qux spam eggs sa neo4j minio minioadmin airflow superset jupyter docker oracle
	passw0rd p@ssw0rd p@ssword pa55word pa$$word topsecret supersecret mypassword dbpassword db_password dbpass db_pass pgpassword
	varchar integer boolean object array char nvarchar float int bool number date datetime basic bearer oauth oauth2 jwt apikey hunter correct incorrect invalid valid wrong
	sha1 sha256 sha512 md5 hmac bcrypt scrypt argon2 utf8 utf-8 ascii base64 sqlite localhost anonymous elastic kibana rabbitmq sysadmin system manager`)

// wordSet returns the set of words; it is made when it is first asked for, so
// that a program that searches nothing starts without it.
func wordSet(words string) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		set := map[string]bool{}
		for w := range strings.FieldsSeq(words) {
			set[w] = true
		}
		return set
	})
}

// lazy is wordSet for an expression.
func lazy(source string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(source) })
}

// placeholder reports whether v, which stands where a secret would, is none:
// a stand-in, an example, a template, a lookup or a name.
func placeholder(v []byte) bool {
	if len(v) > 512 {
		return false
	}
	low := strings.ToLower(string(v))
	if standsIn(low) {
		return true
	}
	core := strings.TrimFunc(low, func(r rune) bool { return r < 'a' || r > 'z' })
	if commonWords()[core] || commonWords()[low] || core == "" && len(v) < 8 {
		return true
	}
	return template(v) || dull(v) || isConstant(v)
}

// standsIn reports whether a stand-in makes low, a value in lower case, no
// secret. A short one inside of what is random is there by chance: of keys with
// 64 characters one in ten thousand has "your" or "xxxx" in it.
func standsIn(low string) bool {
	rest := low
	for _, w := range standIns {
		for at := strings.Index(low, w); at >= 0; {
			if !byChance(low, at, w) {
				return true
			}
			rest = strings.ReplaceAll(rest, w, "")
			next := strings.Index(low[at+1:], w)
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	return len(rest) < len(low) && (!random([]byte(rest)) || inOrder(rest))
}

// byChance reports whether the word w at low[at:] may be part of a random value:
// longer ones are not met there, and what somebody wrote has ends.
func byChance(low string, at int, w string) bool {
	end := at + len(w)
	return len(w) <= 6 && isAlnum(w[0]) && at > 0 && end < len(low) && isAlnum(low[at-1]) && isAlnum(low[end]) &&
		(w[0] != w[1] || low[at-1] != w[0] && low[end] != w[0]) // no more of xxxx
}

// inOrder reports whether half of the characters of s follow from the one before or the
// one before that, as in abc123def456 and 1a2b3c4d.
func inOrder(s string) bool {
	n := 0
	for i := 2; i < len(s); i++ {
		if d := int(s[i]) - int(s[i-1]); -1 <= d && d <= 1 || s[i]-s[i-2] <= 1 {
			n++
		}
	}
	return 2*n > len(s)-2
}

// template reports whether v is one of <name>, [name], {name}, $name, %name%.
func template(v []byte) bool {
	if len(v) < 2 {
		return true
	}
	first, last := v[0], v[len(v)-1]
	switch {
	case first == '<' && last == '>', first == '[' && last == ']', first == '{' && last == '}', first == '%' && last == '%', first == '(' && last == ')':
		return true
	case first == '_' && last == '_':
		return !random(v)
	case first == '$' || first == '{':
		return bytes.IndexFunc(v[1:], func(r rune) bool { return r > 127 || !isWord[r] }) < 0
	}
	return bytes.HasSuffix(v, []byte("...")) || bytes.HasSuffix(v, []byte("***"))
}

// dull reports whether v has few different characters, or a long row of
// neighbours such as abcdefgh.
func dull(v []byte) bool {
	var seen [256]bool
	different, row, longest := 0, 1, 1
	for i, c := range v {
		if !seen[c] {
			seen[c] = true
			different++
		}
		if i > 0 && (c == v[i-1]+1 || c == v[i-1]) {
			row++
		} else {
			row = 1
		}
		longest = max(longest, row)
	}
	return different <= 3 || different <= 4 && len(v) >= 12 || longest >= 6 && longest*3 >= len(v)
}

// isConstant reports whether v is a name in capitals, such as OPENAI_API_KEY.
func isConstant(v []byte) bool {
	s := shapeOf(v)
	return s.lower == 0 && s.upper >= 4 && s.digit <= 2 && bytes.IndexByte(v, '_') > 0 && s.sign == bytes.Count(v, []byte("_")) && s.space == 0
}

// examples are secrets of documentations. They are public, and no stand-ins
// by their look.
var examples = []string{
	"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIi",                          // jwt.io
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",                           // Azurite
	"4eC39HqLyjWDarjtT1zdp7dc",                                                                 // Stripe
	"C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==", // Cosmos DB emulator
}

func isExample(v []byte) bool {
	for _, e := range examples {
		if bytes.Contains(v, []byte(e)) {
			return true
		}
	}
	return false
}
