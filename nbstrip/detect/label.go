package detect

import (
	"bytes"
	"strings"
)

// labelSort is what a label says of its value.
type labelSort uint8

const (
	noLabel   labelSort = iota
	keyLabel            // an API key, a token: made by a machine
	passLabel           // a password: chosen by a person, or not
)

// secretWords are the words that make a label one of a secret, when they are its last.
var secretWords = map[string]labelSort{
	"password": passLabel, "passwd": passLabel, "passphrase": passLabel, "pwd": passLabel, "pass": passLabel, "passcode": passLabel, "pw": passLabel,
	"secret": keyLabel, "secrets": keyLabel, "token": keyLabel, "apikey": keyLabel, "accesskey": keyLabel, "secretkey": keyLabel, "authtoken": keyLabel, "accesstoken": keyLabel,
	"credential": keyLabel, "credentials": keyLabel, "creds": keyLabel, "auth": keyLabel, "authorization": keyLabel, "pat": keyLabel, "appid": keyLabel, "bearer": keyLabel,
	"pgpassword": passLabel, "userpassword": passLabel, "dbpassword": passLabel, "sas": keyLabel, "jwt": keyLabel, "webhook": keyLabel, "sig": keyLabel, "signature": noLabel,
}

// keyWords make "key" a secret's label when one of them stands before it.
var keyWords = wordSet(`
	api access secret account private auth encryption signing subscription master service storage shared app application client consumer customer admin function host live
	openai anthropic claude azure aws google gemini gcp cohere mistral groq nvidia ngc tavily hf huggingface wandb kaggle openweather owm weather maps map stripe sendgrid
	mailgun twilio datadog dd deepseek together pinecone langsmith langchain replicate perplexity pplx xai openrouter elevenlabs eleven airtable notion slack github gitlab
	newrelic relic license ssh rsa pem deploy bot server fred quandl alpha vantage tiingo polygon finnhub newsapi census serpapi serper assemblyai deepgram stability comet neptune clearml
	fernet aes crypto cipher session jwt django flask bing cognitive search translator speech vision cosmos cosmosdb redis iex alphavantage mapbox nasa eia bls`)

// suffixWords may stand after the word that counts.
var suffixWords = wordSet("value val str string prod dev test staging live default raw plain env 1 2 3 0 v1 v2 v3 old new primary secondary base64 b64")

// nonSecret words make a label one of something else.
var nonSecret = wordSet(`
	pad eos bos unk sep cls mask special next page pagination csrf xsrf sync continuation continue max min num count total input output prompt completion start end
	public partition sort primary foreign hot cache object dict json map row column col join group index idx hash file image data s3 blob lookup
	stop first last new_line mon tur word sub subword prev previous current decoder encoder forced lang language image id ids type vocab test_id client_id keyboard`)

// label looks at what stands behind a word such as password or key.
func (s *scan) label(r *rule, start, end int) {
	if end <= s.labelled {
		return
	}
	lo, hi := start, end
	for lo > 0 && start-lo < 60 && isLabel[s.text[lo-1]] {
		lo--
	}
	for hi < len(s.text) && hi-end < 60 && isLabel[s.text[hi]] {
		hi++
	}
	for hi > end && (s.text[hi-1] == '.' || s.text[hi-1] == '-') {
		hi--
	}
	if hi < len(s.text) && isLabel[s.text[hi]] && hi-end >= 60 || start-lo >= 60 {
		return // in the middle of something long
	}
	s.labelled = hi
	sort := s.sortOf(lo, hi)
	if sort == noLabel {
		return
	}
	v := values{scan: s, rule: r, sort: sort, lo: lo, hi: hi}
	v.behind()
	v.below()
}

// sortOf says what the label text[lo:hi] is.
func (s *scan) sortOf(lo, hi int) labelSort {
	words := splitWords(string(s.text[lo:hi]))
	for len(words) > 1 && suffixWords()[words[len(words)-1]] {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return noLabel
	}
	last, before := words[len(words)-1], ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	if before == "" {
		before = wordBefore(s.text, lo)
	}
	if nonSecret()[before] && secretWords[last] != passLabel {
		return noLabel
	}
	switch {
	case len(before) == 1 && len(last) < 5:
		return noLabel // of a program that was made small
	case last == "key" || last == "keys":
		if keyWords()[before] || len(words) > 2 && keyWords()[words[len(words)-3]] {
			return keyLabel
		}
		return noLabel
	case last == "string" || last == "str":
		return noLabel
	}
	return secretWords[last]
}

// splitWords cuts a name at its signs and capitals.
func splitWords(name string) (words []string) {
	start := 0
	cut := func(end int) {
		if start < end {
			words = append(words, strings.ToLower(name[start:end]))
		}
		start = end
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case !isAlnum(c):
			cut(i)
			start = i + 1
		case i > start && isUpper(c) && (isLower(name[i-1]) || i+1 < len(name) && isLower(name[i+1]) && isUpper(name[i-1])):
			cut(i)
		}
	}
	cut(len(name))
	return words
}

// wordBefore returns the word before at, if only a blank is between.
func wordBefore(text []byte, at int) string {
	if at == 0 || text[at-1] != ' ' {
		return ""
	}
	end := at - 1
	from := end
	for from > 0 && end-from < 30 && isAlnum(text[from-1]) {
		from--
	}
	return strings.ToLower(string(text[from:end]))
}

// values looks for the value of one label, text[lo:hi].
type values struct {
	*scan
	rule   *rule
	sort   labelSort
	lo, hi int
}

// how is how a value stands.
type how uint8

const (
	loose    how = iota // after blanks
	assigned            // after = or :
	quoted              // and in quotes
)

// behind looks at what follows the label in its line.
func (v *values) behind() {
	text := v.text
	p, closed := v.hi, false
	for p < len(text) && p-v.hi < 8 && bytes.IndexByte([]byte("'\"])`*"), text[p]) >= 0 {
		p, closed = p+1, true
	}
	gap := p
	p = skipBlanks(text, p)
	gap = p - gap
	if p >= len(text) {
		return
	}
	switch op := v.operator(p, closed); {
	case op > 0:
		v.value(p+op, assigned)
	case gap > 0 && text[p] != '\n':
		if isQuote(text[p]) && v.sort == passLabel && !closed && v.hi-v.lo > len("pass") { // a verb
			v.value(p, assigned) // WITH PASSWORD '...'
		} else if bytes.HasPrefix(text[p:], []byte("is ")) {
			v.value(p+3, loose)
		} else if v.flag() || gap >= 2 || text[p-1] == '\t' {
			v.value(p, loose)
		}
	}
	v.unpacked(p)
}

// unpacked looks at the string that the label gets when several are assigned
// at once.
func (v *values) unpacked(p int) {
	if v.text[p] != '=' {
		return
	}
	from, _ := lineOf(v.text, v.lo, v.lo)
	before := v.text[from:v.lo]
	n := bytes.Count(before, []byte(","))
	if n == 0 || bytes.ContainsAny(before, "=('\"[{") {
		return
	}
	if args := v.arguments(p); n < len(args) {
		v.try(args[n][0], args[n][1], quoted)
	}
}

// flag reports whether the label is one of a command that takes its value after a blank.
func (v *values) flag() bool {
	if v.text[v.lo] == '-' && v.text[v.lo+1] == '-' {
		return true
	}
	from, _ := lineOf(v.text, v.lo, v.lo)
	before := bytes.TrimSpace(v.text[from:v.lo])
	for _, w := range []string{"%env", "%set_env", "setx", "ENV", "is", "--"} {
		if string(before) == w {
			return true
		}
	}
	return bytes.HasSuffix(before, []byte("--")) || bytes.HasSuffix(before, []byte(" set")) || len(before) == 0 && v.inNetrc()
}

// inNetrc reports whether the label follows a machine's login.
func (v *values) inNetrc() bool {
	return bytes.Contains(v.text[max(0, v.lo-200):v.lo], []byte("login ")) && bytes.Contains(v.text[max(0, v.lo-300):v.lo], []byte("machine "))
}

// operator returns the length of what joins a label to its value at p, with a type between.
func (v *values) operator(p int, closed bool) int {
	rest := v.text[p:]
	for _, op := range []string{":=", "=>", "==", "<-", "!=", "->", "|", "│"} {
		if bytes.HasPrefix(rest, []byte(op)) {
			return len(op)
		}
	}
	switch rest[0] {
	case '>': // <password>
		if p == v.hi && v.lo > 0 && v.text[v.lo-1] == '<' {
			return 1
		}
	case '=':
		return 1
	case ',':
		if closed && v.first() {
			return 1
		}
	case ':':
		n := 1
		for n < len(rest) && n < 40 && (isWord[rest[n]] || bytes.IndexByte([]byte(" [].|"), rest[n]) >= 0) {
			n++
		}
		if n > 2 && n+1 < len(rest) && rest[n] == '=' && rest[n+1] != '=' {
			return n + 1 // name: type = value
		}
		return 1
	}
	return 0
}

// first reports whether the label is a string, and the first of a call or a
// list, or a command's flag.
func (v *values) first() bool {
	p := v.lo - 1
	if p < 0 || !isQuote(v.text[p]) {
		return false
	}
	if v.text[v.lo] == '-' {
		return true
	}
	for p > 0 && (isSpace(v.text[p-1]) || bytes.IndexByte([]byte("rbfu"), v.text[p-1]) >= 0) {
		p--
	}
	return p > 0 && (v.text[p-1] == '(' || v.text[p-1] == '[')
}

func skipBlanks(text []byte, p int) int {
	for p < len(text) && isBlank(text[p]) {
		p++
	}
	return p
}

// value looks at what stands at p.
func (v *values) value(p int, how how) {
	text := v.text
	p = skipBlanks(text, p)
	if how == assigned {
		p = v.unwrapped(p)
	}
	if p >= len(text) {
		return
	}
	if start, end, ok := quotedAt(text, p); ok {
		if how == assigned {
			how = quoted
		}
		v.try(start, end, how)
		return
	}
	if start, end, ok := v.call(p); ok {
		v.inCall(start, end)
		return
	}
	end := p
	for end < len(text) && !isSpace(text[end]) && bytes.IndexByte([]byte("'\"`<>"), text[end]) < 0 && end-p < 4096 {
		end++
	}
	v.try(p, v.trim(p, end), how)
}

// unwrapped returns where the string at p begins that is in brackets, in the
// next line or in bold type; without one, p.
func (v *values) unwrapped(p int) int {
	q := p
	for q < len(v.text) && q-p < 40 && (isSpace(v.text[q]) || bytes.IndexByte([]byte("([*"), v.text[q]) >= 0) {
		q++
	}
	if q < len(v.text) && q > p && (isQuote(v.text[q]) || v.text[p] == '*') {
		return q
	}
	return p
}

// trim cuts off what ends a value that has no quotes.
func (v *values) trim(start, end int) int {
	if v.inQuery() {
		if i := bytes.IndexAny(v.text[start:end], "&;#"); i >= 0 {
			end = start + i
		}
	}
	if i := bytes.IndexByte(v.text[start:end], '\\'); i >= 0 {
		end = start + i
	}
	for end > start && bytes.IndexByte([]byte(",;:)]}|.\\"), v.text[end-1]) >= 0 {
		end--
	}
	if i := bytes.IndexAny(v.text[start:end], ",;)]}"); i >= 0 && (v.sort == keyLabel || bytes.ContainsAny(v.text[start+i:end], "=:")) {
		end = start + i
	}
	return end
}

// inQuery reports whether the label is a parameter of a URL, or a part of a
// connection string.
func (v *values) inQuery() bool {
	if v.lo == 0 {
		return false
	}
	c := v.text[v.lo-1]
	return c == '?' || c == '&' || c == ';' || bytes.IndexByte(v.text[v.hi:min(len(v.text), v.hi+300)], '&') >= 0
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// quotedAt returns the inside of the string at p, with its prefix, on one line.
func quotedAt(text []byte, p int) (start, end int, ok bool) {
	for n := 0; n < 2 && p < len(text) && bytes.IndexByte([]byte("rbfuRBFU"), text[p]) >= 0; n++ {
		p++
	}
	if p >= len(text) || !isQuote(text[p]) {
		return 0, 0, false
	}
	q := text[p]
	start = p + 1
	if start+1 < len(text) && text[start] == q && text[start+1] == q { // """
		start += 2
	}
	for end = start; end < len(text) && end-start < 8192; end++ {
		switch text[end] {
		case q:
			return start, end, true
		case '\n':
			return 0, 0, false
		case '\\':
			end++
		}
	}
	return 0, 0, false
}

// prompts are calls that ask for a secret or fetch it: their strings are words for the user, or names.
var prompts = wordSet("encode decode getpass input raw_input prompt ask get_secret getsecret secret_value read open load_dotenv fetch retrieve sha256 md5 sha1 hash check print format join userdata password_input text_input")

// wrappers are words of calls that are given a password and return it.
var wrappers = wordSet("secret str bytes field getenv get setdefault default password quote unquote quote_plus text var config environ option b64decode")

// call returns the arguments of a call at p.
func (v *values) call(p int) (start, end int, ok bool) {
	n := p
	for n < len(v.text) && n-p < 60 && isLabel[v.text[n]] {
		n++
	}
	if n == p || n >= len(v.text) || v.text[n] != '(' && v.text[n] != '[' || !isLetter(v.text[p]) {
		return 0, 0, false
	}
	wraps := false
	for _, w := range splitWords(string(v.text[p:n])) {
		if prompts()[w] {
			return n, n, true
		}
		wraps = wraps || wrappers()[w]
	}
	if v.sort == passLabel && !wraps {
		return n, n, true
	}
	if words := strings.ToLower(string(v.text[p:n])); strings.Contains(words, "getpass") || strings.Contains(words, "userdata") || strings.Contains(words, "secrets.") || strings.Contains(words, "input") {
		return n, n, true
	}
	_, eol := lineOf(v.text, n, n)
	return n + 1, min(eol, n+400), true
}

// inCall looks at the strings among the arguments of a call.
func (v *values) inCall(start, end int) {
	for p := start; p < end; p++ {
		if !isQuote(v.text[p]) {
			continue
		}
		a, b, ok := quotedAt(v.text, p)
		if !ok {
			return
		}
		v.try(a, b, quoted)
		p = b
	}
}

// try takes text[start:end] if it may be the value of the label.
func (v *values) try(start, end int, how how) {
	for _, scheme := range []string{"Bearer ", "bearer ", "Token ", "token ", "Basic ", "Bot ", "Key ", "ApiKey "} {
		if bytes.HasPrefix(v.text[start:end], []byte(scheme)) {
			start += len(scheme)
		}
	}
	for end-start > 2 && v.text[end-2] == '\\' && bytes.IndexByte([]byte("nrt"), v.text[end-1]) >= 0 {
		end -= 2
	}
	b := v.text[start:end]
	if len(b) < 6 || placeholder(b) || v.isOwnName(b) || v.isFolder(b) {
		return
	}
	if v.sort == passLabel && v.passwordLike(b, how) || v.keyLike(b, how) {
		v.add(v.rule.named(v.sort), start, end)
	}
}

// isOwnName reports whether b is the label, as in password=password.
func (v *values) isOwnName(b []byte) bool {
	return bytes.EqualFold(b, v.text[v.lo:v.hi])
}

// isFolder reports whether b is the working folder that a shell has in PWD.
func (v *values) isFolder(b []byte) bool {
	label := v.text[v.lo:v.hi]
	return (string(label) == "PWD" || string(label) == "OLDPWD") && (b[0] == '/' || b[0] == '~' || b[1] == ':' && (b[2] == '\\' || b[2] == '/'))
}

func (v *values) keyLike(b []byte, how how) bool {
	if bytes.Contains(b, []byte("://")) || bytes.ContainsAny(b, " \t\n") || bytes.HasPrefix(b, []byte("/")) && how != quoted {
		return false
	}
	if how != quoted && bytes.ContainsAny(b, "(){}[]<>$*,") {
		return false
	}
	if random(b) {
		return true
	}
	s := shapeOf(b)
	switch {
	case how == loose || len(b) < 8 || len(b) > 512 || s.other > 0:
		return false
	case oddSigns(b) > 0 && s.digit > 0 && s.lower > 0 && len(b) >= 20 && entropy(b) >= 3.7 && s.turns >= 3:
		return true // with signs of its own
	}
	return how == quoted && s.digit >= 2 && s.classes() >= 3 && s.turns >= 3
}

func (v *values) passwordLike(b []byte, how how) bool {
	s := shapeOf(b)
	if len(b) > 128 || s.other > 0 || s.space > 0 || bytes.Contains(b, []byte("://")) {
		return false
	}
	letters := s.letters() > 0
	switch how {
	case quoted:
		return letters && s.classes() >= 2 && !wordsOnly(b) || !letters && s.digit >= 6 && s.sign == 0
	case assigned:
		if bytes.ContainsAny(b, "(){}[]<>|\"'`") || bytes.HasPrefix(b, []byte("$")) {
			return false
		}
		return letters && len(b) >= 6 && s.digit > 0 && !isCode(b)
	}
	return letters && len(b) >= 8 && s.digit > 0 && s.classes() >= 3 && !isCode(b)
}

// wordsOnly reports whether b is words, with capitals or signs between them: a
// name, a message, a path.
func wordsOnly(b []byte) bool {
	s := shapeOf(b)
	words := splitWords(string(b))
	return s.digit == 0 && oddSigns(b) == 0 && len(words)*3 <= len(b)
}

// oddSigns counts the signs in b that stand in no name and no path.
func oddSigns(b []byte) (n int) {
	for _, c := range b {
		if bytes.IndexByte([]byte("!#$%^&*+=@?~"), c) >= 0 {
			n++
		}
	}
	return n
}

// isCode reports whether b is an expression: a name, a call, an item, a number.
func isCode(b []byte) bool {
	if isDigit(b[0]) {
		for _, c := range b {
			if !isDigit(c) && bytes.IndexByte([]byte(".,:-/eE%+"), c) < 0 {
				return false
			}
		}
		return true
	}
	return bytes.Contains(b, []byte("self.")) || bytes.Contains(b, []byte("args.")) || bytes.Contains(b, []byte("os.")) || bytes.IndexByte(b, '(') > 0 && bytes.IndexByte(b, ')') > 0 ||
		bytes.Contains(b, []byte("=="))
}

// below looks at the column that the label is the head of.
func (v *values) below() {
	text := v.text
	bol, eol := lineOf(text, v.lo, v.hi)
	if eol >= len(text)-1 || eol-bol > 2000 {
		return
	}
	if commas := v.csv(bol, eol); commas >= 0 {
		v.rows(eol, func(from, to int) (int, int) { return cellAt(text, from, to, commas, ',') })
		return
	}
	if v.lo > bol && !isBlank(text[v.lo-1]) || v.hi < eol && !isBlank(text[v.hi]) && text[v.hi] != '\r' {
		return
	}
	alone := len(bytes.Fields(text[bol:eol])) == 1
	if alone && (v.lo == bol || v.hi-v.lo < 5) { // pass, pwd
		return
	}
	tabs := bytes.Count(text[bol:v.lo], []byte("\t"))
	if tabs == 0 && v.lo > bol && (v.lo < 2 || !isBlank(text[v.lo-2])) {
		return // a word of a sentence
	}
	v.rows(eol, func(from, to int) (int, int) {
		if tabs > 0 {
			return cellAt(text, from, to, tabs, '\t')
		}
		return columnAt(text, from, to, v.lo-bol, v.hi-bol, alone)
	})
}

// csv returns how many fields there are before the label in the line, if that
// is the head of a table of comma-separated values; else -1.
func (v *values) csv(bol, eol int) int {
	line := v.text[bol:eol]
	if v.lo > bol && v.text[v.lo-1] != ',' || v.hi < eol && v.text[v.hi] != ',' && v.text[v.hi] != '\r' || bytes.IndexByte(line, ',') < 0 {
		return -1
	}
	for _, c := range line {
		if !isLabel[c] && c != ',' && c != '\r' && c != ' ' {
			return -1
		}
	}
	return bytes.Count(v.text[bol:v.lo], []byte(","))
}

// rows tries a cell of each line behind eol, up to an empty one.
func (v *values) rows(eol int, cell func(from, to int) (a, b int)) {
	for row := 0; row < maxRows && eol < len(v.text)-1; row++ {
		from := eol + 1
		_, eol = lineOf(v.text, from, from)
		if eol == from {
			return
		}
		if a, b := cell(from, eol); b > a {
			v.tryCell(a, b)
		}
	}
}

// maxRows is how many lines of a table are looked at.
const maxRows = 100

// tryCell takes a cell of a table.
func (v *values) tryCell(a, b int) {
	cell := v.text[a:b]
	s := shapeOf(cell)
	if bytes.ContainsAny(cell, " ()[]{}<>\"'`|,") || placeholder(cell) || isCode(cell) {
		return
	}
	password := v.sort == passLabel && len(cell) >= 6 && s.letters() > 0 && s.digit > 0 && s.classes() >= 2 && s.other == 0 && !bytes.HasPrefix(cell, []byte("/"))
	if password || random(cell) {
		v.add(v.rule.named(v.sort), a, b)
	}
}

// cellAt returns the cell behind n separators.
func cellAt(text []byte, from, to, n int, sep byte) (a, b int) {
	for ; n > 0; n-- {
		i := bytes.IndexByte(text[from:to], sep)
		if i < 0 {
			return 0, 0
		}
		from += i + 1
	}
	if i := bytes.IndexByte(text[from:to], sep); i >= 0 {
		to = from + i
	}
	for from < to && isSpace(text[from]) {
		from++
	}
	for from < to && isSpace(text[to-1]) {
		to--
	}
	return from, to
}

// columnAt returns the word of the line text[from:to] that ends where the head
// of its column ends, or begins where it begins, with another word before it.
func columnAt(text []byte, from, to, left, right int, alone bool) (a, b int) {
	blank := func(i int) bool { return i < from || i >= to || isBlank(text[i]) }
	if end := from + right; end <= to && !blank(end-1) && blank(end) {
		a, b = end, end
		for !blank(a - 1) {
			a--
		}
	} else if start := from + left; !alone && start < to && !blank(start) && blank(start-1) {
		a, b = start, start
		for !blank(b) {
			b++
		}
	}
	if len(bytes.TrimSpace(text[from:max(from, a)])) == 0 || bytes.IndexByte(text[from:a], '=') >= 0 {
		return 0, 0
	}
	return a, b
}
