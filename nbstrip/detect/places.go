package detect

import (
	"bytes"
	"encoding/base64"
	"regexp"
)

// placeRules are secrets that are a part of something with a syntax of its own.
func placeRules() []*rule {
	return []*rule{
		{
			id: "url-password", rank: rankPlace, keywords: []string{"://"}, find: (*scan).urlPassword,
			hits: []string{
				`postgresql+psycopg2://jane:«<A14>»@db.internal:5432/x`, `redis://:«<A12>»@cache/0`, `create_engine("mysql://u:«Falcon<d4>%21»@h/db")`,
				`!git clone https://«<A40>»@github.com/x/y`,
			},
			misses: []string{`postgresql://user:password@localhost/db`, `https://example.com:8080/@x`, `mongodb://{user}:{password}@host`, `http://user:<password>@host`, `git@github.com:x/y`, `mysql://u:${PASSWORD}@h`},
		},
		{
			id: "private-key", rank: rankFormat, keywords: []string{"-----begin "}, find: (*scan).privateKey, lenient: true,
			hits:   []string{"key = '''«-----BEGIN RSA PRIVATE KEY-----\n<b64>\n<b64>\n-----END RSA PRIVATE KEY-----»'''", `"«-----BEGIN PRIVATE KEY-----\n<b64>\n<b64>\n-----END PRIVATE KEY-----»\n"`},
			misses: []string{"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "-----BEGIN PUBLIC KEY-----\n<b64>\n-----END PUBLIC KEY-----"},
		},
		{
			id: "aws-access-key", rank: rankFormat, keywords: []string{"akia", "asia", "abia", "acca"}, find: (*scan).awsPair,
			hits:   []string{`Id: «AKIA<W16>», region`, `['eu', '«ASIA<W16>»']`},
			misses: []string{`AKIAIOSFODNN7EXAMPLE`, `ASIA<L20>`, `akia<a16>`},
		},
		{
			id: "bearer-token", rank: rankPlace, keywords: []string{"bearer ", "bearer%20"}, find: (*scan).bearer,
			hits:   []string{`-H "Authorization: Bearer «<A32>»"`, `'Authorization': f'Bearer «<A40>»',`},
			misses: []string{`Bearer {token}`, `Bearer $TOKEN`, `Bearer YOUR_TOKEN_HERE`, `the bearer of this letter`, `Bearer <token>`},
		},
		{
			id: "basic-auth", rank: rankPlace, keywords: []string{"basic "}, find: (*scan).basic,
			hits:   []string{`Authorization: Basic «<B>»`},
			misses: []string{`Basic authentication`, `basic example of usage`, `Basic dXNlcjpwYXNzd29yZA==`},
		},
		{
			id: "curl-user", rank: rankPlace, keywords: []string{"curl "}, find: (*scan).curlUser,
			hits:   []string{`!curl -u jane:«<A12>1» https://x.test`, `!curl -s --user 'jane:«<A12>1»' https://x.test`},
			misses: []string{`!curl -u $USER:$PASS https://x.test`, `curl -u user:password https://x.test`, `curl -U x`},
		},
		{
			id: "auth-pair", rank: rankPlace, keywords: []string{"auth=(", "auth = (", "httpbasicauth(", "basicauth(", "oauthhandler(", ".set_access_token(", "auth=httpbasicauth("}, find: (*scan).authPair,
			hits:   []string{`requests.get(u, auth=("jane", "«Maple<d4>!»"))`, `HTTPBasicAuth('jane', '«<A20>1»')`},
			misses: []string{`auth=(user, password)`, `auth=("user", "password")`, `auth = (1, 2)`},
		},
		{
			id: "connect-call", rank: rankPlace, keywords: []string{"connect("}, find: (*scan).connectCall,
			hits:   []string{`pymysql.connect("db.internal", "jane", "«Maple<d4>!»", "prod")`},
			misses: []string{`connect("a", "b", "prod2024")`, `connect("h", "u", "password")`, `connect(host, user, password)`},
		},
		{
			id: "sql-password", rank: rankPlace, keywords: []string{"identified by "}, anchored: true, source: `(?i:identified by )(?:password )?['"]([^'"\s]{6,128})['"]`,
			hits: []string{`CREATE USER jane IDENTIFIED BY '«Maple<d4>!»'`}, misses: []string{`IDENTIFIED BY 'password'`, `identified by a name`},
		},
		{
			id: "command-password", rank: rankPlace, keywords: []string{"mysql ", "mysqldump ", "sshpass ", "mysqladmin "}, anchored: true, source: `(?i:\w+) (?:[^\n]{0,200}? )?-p ?(?:'([^'\n]{6,128})'|"([^"\n]{6,128})"|([^\s'"]{6,128}))`,
			hits: []string{`!mysql -h db -u root -p'«Maple<d4>!»' prod`, `sshpass -p «Maple<d4>!» ssh x`}, misses: []string{`mysql -u root -p prod`, `mysql -p$PASS`}, check: strong,
		},
		{
			id: "piped-password", rank: rankPlace, keywords: []string{"echo "}, anchored: true, source: `(?i:echo )(?:-n )?['"]?([^'"\s|]{6,1000})['"]? *\| *[^\n|]{0,200}(?:--password-stdin|--with-token|--stdin|login|sudo -S)`,
			hits: []string{`!echo '«Maple<d4>!»' | docker login -u jane --password-stdin`}, misses: []string{`echo $TOKEN | docker login --password-stdin`, `echo hello | grep x`}, check: strong,
		},
		{
			id: "login-command", rank: rankPlace, keywords: []string{"login "}, anchored: true, source: `(?i:login )(?:--?[a-z-]+ )?['"]?([A-Za-z0-9_+/=.~-]{20,200})`,
			hits: []string{`!wandb login «<h40>»`, `!wandb login --relogin «<h40>»`}, misses: []string{`login successfully_to_the_server_of_2024`}, check: random,
		},
		{
			id: "login-call", rank: rankPlace, keywords: []string{"login(", "client(", "set_api_key(", "api(", "set_key("}, find: (*scan).loginCall,
			hits:   []string{`wandb.login("«<h40>»")`, `co = cohere.Client("«<A39>7»")`, `wandb.login(key="«<h40>»")`, `server.login("jane@x.test", "«Maple<d4>!»")`},
			misses: []string{`login("jane")`, `client.login()`, `Client("https://x.test")`, `Client("my-project-name-2024")`, `login(user, password)`},
		},
		{
			id: "azure-sas", rank: rankFormat, keywords: []string{"sig="}, find: (*scan).azureSAS,
			hits:   []string{`https://x.blob.core.windows.net/c?sv=2023-01-01&sr=c&sp=rl&sig=«<A40>abc%3D»`, `?sp=r&sig=«<A43>%3D»&sv=2022`},
			misses: []string{`sig=0.05`, `fit(sig=True)`, `?sv=2022&sig=...`},
		},
		{
			id: "azure-account-key", rank: rankFormat, keywords: []string{"accountkey=", "sharedaccesskey=", "accesskey="}, anchored: true, source: `(?i:\w+key)=([A-Za-z0-9+/]{42,88}={0,2})`,
			hits:   []string{`AccountName=x;AccountKey=«<A86>==»;EndpointSuffix=core.windows.net`, `;SharedAccessKey=«<A43>=»`},
			misses: []string{`AccountKey=<key>`, `AccountKey=;`},
		},
		{
			id: "azure-openai-key", rank: rankFormat, keywords: []string{"jqqj99"}, source: `\b([A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26})\b`,
			hits:   []string{`"«<A52>JQQJ99<U10>AAABACOG<A8>»"`, `"«<A52>JQQJ99<A26>»"`},
			misses: []string{`JQQJ99`},
		},
		{
			id: "azure-client-secret", rank: rankFormat, keywords: []string{"q~"}, source: `(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)`,
			hits:   []string{`secret: «<A3>8Q~<A34>»`},
			misses: []string{`Q~`},
		},
		{
			id: "webhook", rank: rankFormat, keywords: []string{"hooks.slack.com/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/"}, anchored: true,
			source: `(?i:hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{30,80}))|(?i:discord(?:app)?\.com/api/webhooks/\d{15,22}/([A-Za-z0-9_-]{60,70}))`,
			hits:   []string{`https://hooks.slack.com/services/«T<U10>/B<U10>/<A24>»`, `https://discord.com/api/webhooks/<d19>/«<A68>»`},
			misses: []string{`https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX`, `https://discord.com/api/webhooks/1/x`},
		},
		{
			id: "telegram-token", rank: rankFormat, keywords: []string{":aa"}, source: `(?:^|[^0-9A-Za-z])(?:bot)?([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^0-9A-Za-z_-]|$)`,
			hits:   []string{`Bot("«<D10>:AA<A33>»")`, `https://api.telegram.org/bot«<D10>:AA<A33>»/getMe`},
			misses: []string{`12:AA`, `00:AA:<h2>:01`},
		},
		{
			id: "discord-token", rank: rankFormat, keywords: []string{".run(", "discord", "bot "}, source: `([MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})` + notWord,
			hits:   []string{`client.run("«M<A25>.<A6>.<A38>»")`, `DISCORD_TOKEN=«N<A23>.<A6>.<A27>»`},
			misses: []string{`client.run("token")`},
		},
		{
			id: "kaggle-key", rank: rankPlace, keywords: []string{`"username"`, `'username'`}, source: `['"]username['"]\s*:\s*['"][^'"]{1,60}['"]\s*,\s*['"]key['"]\s*:\s*['"]([0-9a-f]{32})['"]`,
			hits:   []string{`{"username":"jane","key":"«<h32>»"}`},
			misses: []string{`{"username": "jane", "key": "value"}`},
		},
		{
			id: "airtable-token", rank: rankFormat, keywords: []string{"pat"}, anchored: true, source: `(pat[A-Za-z0-9]{14}\.[0-9a-f]{64})` + notWord,
			hits: []string{`Api("«pat<A14>.<h64>»")`}, misses: []string{`path.join`},
		},
		{
			id: "password-widget", rank: rankPlace, keywords: []string{`"passwordmodel"`, `"textmodel"`, `"textareamodel"`, `type="password"`, `type='password'`, `password(value=`}, find: (*scan).widget,
			hits: []string{
				`{"model_name": "PasswordModel", "state": {"description": "", "value": "«Maple<d4>!»"}}`, `<input type="password" name="p" value="«Maple<d4>!»">`,
				`{"model_name": "TextModel", "state": {"description": "API key:", "value": "«<A40>1a2b»"}}`,
			},
			misses: []string{`{"model_name": "PasswordModel", "state": {"value": ""}}`, `{"model_name": "TextModel", "state": {"description": "Name", "value": "<A40>"}}`, `<input type="password" placeholder="Password">`},
		},
	}
}

// labelRules look at values by the names before them.
func labelRules() []*rule {
	password := &rule{id: "password", rank: rankLabel}
	key := &rule{
		id: "api-key", rank: rankLabel, alias: password, find: (*scan).label,
		keywords: []string{"password", "passwd", "passphrase", "passcode", "pwd", "pass", "pw", "secret", "token", "key", "cred", "auth", "sas", "jwt", "appid", "pat"},
		hits: []string{
			`os.environ["WANDB_API_KEY"] = "«<h40>»"`, `%env COHERE_API_KEY=«<A39>7»`, `%env COHERE_API_KEY «<A39>7»`, `x_api_key: str = '«<h32>»'`, `{'api_key': '«<h32>»'}`,
			`os.environ.setdefault("MISTRAL_API_KEY", "«<A30>4x»")`, `os.getenv("DB_PASSWORD", "«Falcon<d4>»")`, `password = "«Falcon<d4>!»"`, `DB_PASSWORD=«Falcon<d4>!»`,
			"  setting  value\n0  region  eu\n1  API_KEY  «<h32>»", "   user    password  active\n0  jane  «Maple<d4>!»  True", `--password «Falcon<d4>!» --yes`,
			`?limit=5&api_key=«<h32>»&q=1`, "| API key | «<h32>» |", "the password: `«Falcon<d4>!»`", `aws_secret_access_key = "«<A38>7x»"`,
		},
		misses: []string{
			`partition_key="customer_region_2024"`, `password = getpass("Password: ")`, `api_key = os.environ["API_KEY"]`, `token = tokenizer.pad_token`, `pad_token="<h32>"`, `password="password"`,
			`api_key="YOUR_API_KEY"`, `password = input("Your password1: ")`, `PASSWORD=${DB_PASSWORD}`, `{'PWD': '/home/me/my-Project9x', 'OLDPWD': '/srv/Data-7'}`, `PWD=C:\Users\me\Project9x`, `key = "<h32>"`, `primary_key="<h32>"`, `{'password': 'str'}`, `pass ` + "`param1=value2`" + ` as an argument`, `password: <password>`, `api_key="sk-..."`,
			`secret = userdata.get("OPENAI_KEY2")`, `x['token'] = df['token'].str.lower()`, `max_tokens=4096`, "tokens: 1024", "public_key = '<h64>'", `password = "xxxxxxxx"`, `next_page_token: "<A40>"`,
		},
	}
	return []*rule{key}
}

// urlPassword takes the password of scheme://user:password@host (RFC 3986, 3.2.1).
func (s *scan) urlPassword(r *rule, start, end int) {
	if start == 0 || !isAlnum(s.text[start-1]) {
		return
	}
	stop := end
	for stop < len(s.text) && stop-end < 600 && s.text[stop] > ' ' && bytes.IndexByte([]byte("/?#\"'`<>\\|,()"), s.text[stop]) < 0 {
		stop++
	}
	at := bytes.LastIndexByte(s.text[end:stop], '@')
	if at < 1 {
		return
	}
	user := s.text[end : end+at]
	from := bytes.IndexByte(user, ':') + 1
	secret := user[from:]
	if from == 0 { // a user alone may be a token, of a repository's address
		scheme := bytes.ToLower(s.text[max(0, start-5):start])
		if !random(secret) || !bytes.HasSuffix(scheme, []byte("http")) && !bytes.HasSuffix(scheme, []byte("https")) {
			return
		}
	} else if bytes.EqualFold(secret, user[:from-1]) {
		return
	}
	if len(secret) >= 4 && !bytes.ContainsAny(secret, "{}$") {
		s.add(r, end+from, end+at)
	}
}

// privateKey takes a block from its first to its last line (RFC 7468).
func (s *scan) privateKey(r *rule, start, _ int) {
	rest := s.text[start:min(len(s.text), start+maxTail)]
	head, body, ok := bytes.Cut(rest[len("-----BEGIN "):], []byte("-----"))
	if !ok || len(head) > 60 || !bytes.Contains(head, []byte("PRIVATE KEY")) {
		return
	}
	stop := len(rest) - len(body)
	lines, last, ended := bytes.Cut(body, blockEnd)
	if tail := bytes.Index(last, []byte("-----")); ended && tail >= 0 && tail < 80 {
		body = lines
		stop += len(lines) + len(blockEnd) + tail + len("-----")
	} else {
		n := 0
		for n < len(lines) && (isBase64[lines[n]] && lines[n] != '-' || isSpace(lines[n]) || lines[n] == '\\') {
			n++
		}
		body = lines[:n]
		stop += n
	}
	if shapeOf(body).letters() >= 40 {
		s.add(r, start, start+stop)
	}
}

// awsPair takes an access key id and the secret key near it.
func (s *scan) awsPair(r *rule, start, _ int) {
	id := s.text[start:min(len(s.text), start+20)]
	if len(id) < 20 || !s.startsWord(start) || start+20 < len(s.text) && isWord[s.text[start+20]] {
		return
	}
	for _, c := range id {
		if !isUpper(c) && (c < '2' || c > '7') {
			return
		}
	}
	if shapeOf(id[4:]).digit == 0 && entropy(id) < 3 {
		return
	}
	s.add(r, start, start+20)
	from, to := max(0, start-500), min(len(s.text), start+520)
	for at := from; at < to; at++ {
		if !isBase64[s.text[at]] {
			continue
		}
		end := at
		for end < len(s.text) && isBase64[s.text[end]] {
			end++
		}
		piece := s.text[at:end]
		if i := bytes.LastIndexByte(piece, '='); i > 0 && len(piece)-i == 41 {
			piece = piece[i+1:]
		}
		if sh := shapeOf(piece); len(piece) == 40 && sh.upper > 3 && sh.lower > 3 && sh.digit > 0 && sh.turns >= 3 && entropy(piece) > 4 {
			s.add(&rule{id: "aws-secret-key", rank: rankPlace}, end-40, end)
		}
		at = end
	}
}

// credential returns the end of an unquoted credential that begins at p.
func (s *scan) credential(p int) int {
	end := p
	for end < len(s.text) && s.text[end] > ' ' && s.text[end] < 0x7f && bytes.IndexByte([]byte("\"'`\\<>,;)"), s.text[end]) < 0 && end-p < 4096 {
		end++
	}
	return end
}

// strong reports whether b is a password or a key, and no word of a text.
func strong(b []byte) bool {
	s := shapeOf(b)
	return len(b) >= 8 && s.digit >= 1 && s.letters() >= 1 && s.classes() >= 2 && (s.classes() >= 3 || random(b)) && !bytes.ContainsAny(b, "{}()[]$")
}

func (s *scan) bearer(r *rule, start, end int) {
	if s.startsWord(start) {
		if stop := s.credential(end); strong(s.text[end:stop]) {
			s.add(r, end, stop)
		}
	}
}

// basic takes the base64 of user:password (RFC 7617).
func (s *scan) basic(r *rule, _, end int) {
	stop := end
	for stop < len(s.text) && isBase64[s.text[stop]] {
		stop++
	}
	plain, err := base64.StdEncoding.DecodeString(string(s.text[end:stop]))
	if err != nil || !isText(plain) {
		return
	}
	if _, pass, ok := bytes.Cut(plain, []byte(":")); ok && len(pass) >= 5 && !placeholder(pass) {
		s.add(r, end, stop)
	}
}

var userOption = lazy(`\s(?:-u|--user|--proxy-user)[ =]?\s*['"]?([^\s:'"]*):([^\s'"]+)`)

func (s *scan) curlUser(r *rule, start, end int) {
	_, eol := lineOf(s.text, start, end)
	line := s.text[start:min(eol, start+2000)]
	if m := userOption().FindSubmatchIndex(line); m != nil {
		if secret := line[m[4]:m[5]]; len(secret) >= 6 && !bytes.ContainsAny(secret, "${}") {
			s.add(r, start+m[4], start+m[5])
		}
	}
}

// arguments yields the strings that are arguments of the call whose ( is before p.
func (s *scan) arguments(p int) (args [][2]int) {
	for end := min(len(s.text), p+1000); p < end && len(args) < 8; p++ {
		switch c := s.text[p]; {
		case c == ')':
			return args
		case isQuote(c):
			a, b, ok := quotedAt(s.text, p)
			if !ok {
				return args
			}
			args = append(args, [2]int{a, b})
			p = b
		}
	}
	return args
}

// authPair takes the second of two strings.
func (s *scan) authPair(r *rule, _, end int) {
	args := s.arguments(end)
	if len(args) < 2 {
		return
	}
	secret := s.text[args[1][0]:args[1][1]]
	if sh := shapeOf(secret); len(secret) >= 6 && sh.space == 0 && sh.classes() >= 2 && !wordsOnly(secret) {
		s.add(r, args[1][0], args[1][1])
	}
}

// connectCall takes the third of host, user, password.
func (s *scan) connectCall(r *rule, _, end int) {
	args := s.arguments(end)
	if len(args) < 3 || end >= len(s.text) || !isQuote(s.text[end]) {
		return
	}
	if secret := s.text[args[2][0]:args[2][1]]; strong(secret) && shapeOf(secret).space == 0 {
		s.add(r, args[2][0], args[2][1])
	}
}

// loginCall takes what is given to a call that wants a key: one random string,
// or the password after a user.
func (s *scan) loginCall(r *rule, start, end int) {
	args := s.arguments(end)
	for _, a := range args {
		if secret := s.text[a[0]:a[1]]; random(secret) && !bytes.ContainsAny(secret, " /:{") {
			s.add(r, a[0], a[1])
		}
	}
	if fold(s.text[start]) == 'l' && len(args) == 2 {
		secret := s.text[args[1][0]:args[1][1]]
		if sh := shapeOf(secret); len(secret) >= 6 && sh.space == 0 && sh.digit > 0 && sh.letters() > 0 && sh.classes() >= 2 {
			s.add(r, args[1][0], args[1][1])
		}
	}
}

// azureSAS takes the signature of a shared access signature.
func (s *scan) azureSAS(r *rule, start, end int) {
	if start > 0 && isWord[s.text[start-1]] {
		return
	}
	stop := end
	for stop < len(s.text) && (isBase64[s.text[stop]] || s.text[stop] == '%') {
		stop++
	}
	if n := stop - end; n < 40 || n > 120 || bytes.IndexByte(s.text[max(0, start-600):min(len(s.text), stop+300)], '&') < 0 {
		return
	}
	if near := s.text[max(0, start-600):min(len(s.text), stop+300)]; bytes.Contains(near, []byte("sv=")) || bytes.Contains(near, []byte("se=")) || bytes.Contains(near, []byte("sp=")) {
		s.add(r, end, stop)
	}
}

var (
	valueMember      = lazy(`"value"\s*:\s*"((?:[^"\\]|\\.)+)"`)
	valueAttribute   = lazy(`\bvalue=(?:"([^"]+)"|'([^']+)')`)
	describingMember = lazy(`"description"\s*:\s*"([^"\\]+)"`)
)

// widget takes the value of a password field.
func (s *scan) widget(r *rule, start, end int) {
	if fold(s.text[start]) == 'p' { // Password(value='...')
		if args := s.arguments(end); len(args) > 0 && args[0][0] == end+1 && args[0][1]-args[0][0] >= 6 {
			s.add(r, args[0][0], args[0][1])
		}
		return
	}
	if fold(s.text[start]) == 't' {
		from := max(0, bytes.LastIndexByte(s.text[:start], '<'))
		to := end + max(0, bytes.IndexByte(s.text[end:min(len(s.text), end+2000)], '>'))
		s.addMatch(r, from, to, valueAttribute())
		return
	}
	to := min(len(s.text), end+2000)
	if i := bytes.Index(s.text[end:to], []byte(`"model_name"`)); i >= 0 {
		to = end + i
	}
	if !bytes.EqualFold(s.text[start:end], []byte(`"PasswordModel"`)) {
		m := describingMember().FindSubmatchIndex(s.text[end:to])
		if m == nil {
			return
		}
		lo, hi := end+m[2], end+m[3]
		for hi > lo && !isAlnum(s.text[hi-1]) {
			hi--
		}
		for i := hi; i > lo; i-- {
			if !isLabel[s.text[i-1]] {
				lo = i
				break
			}
		}
		if s.sortOf(lo, hi) == noLabel {
			return
		}
	}
	s.addMatch(r, end, to, valueMember())
}

// addMatch takes the group of re that matched in text[from:to].
func (s *scan) addMatch(r *rule, from, to int, re *regexp.Regexp) {
	m := re.FindSubmatchIndex(s.text[from:to])
	for g := 2; g+1 < len(m); g += 2 {
		if m[g] >= 0 && m[g+1]-m[g] >= 5 {
			s.add(r, from+m[g], from+m[g+1])
		}
	}
}
