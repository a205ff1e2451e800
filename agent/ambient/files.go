package ambient

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nbhush/nbhush/agent/match"
)

// maxFile is the size of the largest file that is read, in bytes.
const maxFile = 1 << 20

// maxParents is how many folders above a notebook's are looked into for .env files.
const maxParents = 8

// reader adds the secrets of a file's text to a list. from names the file in placeholders.
type reader func(l *list, from string, text []byte)

// place is a file that may hold credentials.
type place struct {
	path string // below the home directory, with /
	from string // its name in placeholders, as in [nbhush:aws-secret_access_key]
	read reader
}

// places are the files in which programs keep credentials, by default.
var places = []place{
	{".netrc", "netrc", netrc},
	{"_netrc", "netrc", netrc},
	{".pgpass", "pgpass", pgpass},
	{".git-credentials", "git", urls},
	{".config/git/credentials", "git", urls},
	// Clouds.
	{".aws/credentials", "aws", settings},
	{".aws/config", "aws", settings},
	{".boto", "boto", settings},
	{".s3cfg", "s3cfg", settings},
	{".azure/msal_token_cache.json", "azure", settings},
	{".azure/accessTokens.json", "azure", settings},
	{".config/gcloud/application_default_credentials.json", "gcloud", settings},
	{".config/gcloud/legacy_credentials/adc.json", "gcloud", settings},
	{".databrickscfg", "databricks", settings},
	{".snowflake/connections.toml", "snowflake", settings},
	{".config/doctl/config.yaml", "doctl", settings},
	{".config/rclone/rclone.conf", "rclone", settings},
	{".oci/config", "oci", settings},
	{".kube/config", "kube", settings},
	{".terraform.d/credentials.tfrc.json", "terraform", settings},
	{".vault-token", "vault", token},
	// Trackers and hubs.
	{".kaggle/kaggle.json", "kaggle", settings},
	{".config/kaggle/kaggle.json", "kaggle", settings},
	{".kaggle/access_token", "kaggle", token},
	{".cache/huggingface/token", "huggingface", token},
	{".cache/huggingface/stored_tokens", "huggingface", settings},
	{".huggingface/token", "huggingface", token},
	{".comet.config", "comet", settings},
	{".mlflow/credentials", "mlflow", settings},
	{".config/wandb/settings", "wandb", settings},
	{"clearml.conf", "clearml", settings},
	{".clearml.conf", "clearml", settings},
	{".lightning/credentials.json", "lightning", settings},
	{".dbt/profiles.yml", "dbt", settings},
	{".streamlit/secrets.toml", "streamlit", settings},
	// Registries and forges.
	{".pypirc", "pypirc", settings},
	{".npmrc", "npmrc", settings},
	{".cargo/credentials.toml", "cargo", settings},
	{".gem/credentials", "gem", settings},
	{".docker/config.json", "docker", settings},
	{".config/containers/auth.json", "containers", settings},
	{".config/gh/hosts.yml", "gh", settings},
	{".config/glab-cli/config.yml", "glab", settings},
	{".config/pip/pip.conf", "pip", settings},
	{".pip/pip.conf", "pip", settings},
	{".config/pypoetry/auth.toml", "poetry", settings},
	{".my.cnf", "mysql", settings},
	{".condarc", "conda", settings},
}

// beside are the files of a notebook's folder, and of those above it.
var beside = []place{
	{".env", "dotenv", settings},
	{".env.local", "dotenv", settings},
	{".env.dev", "dotenv", settings},
	{".env.development", "dotenv", settings},
	{".env.staging", "dotenv", settings},
	{".env.test", "dotenv", settings},
	{".env.prod", "dotenv", settings},
	{".env.production", "dotenv", settings},
	{".streamlit/secrets.toml", "streamlit", settings},
}

// Files are the files that hold ambient secrets for the kernels of one folder.
// They are used by one goroutine at a time.
type Files struct {
	paths []place
	seen  []stamp
}

// stamp is what changes when a file does.
type stamp struct {
	size int64
	time time.Time
}

// Around returns the files of the user whose home directory is home, "" for
// none, and those around the folder dir, both absolute.
func Around(home, dir string) *Files {
	f := &Files{}
	for range maxParents {
		for _, p := range beside {
			p.path = filepath.Join(dir, filepath.FromSlash(p.path))
			f.paths = append(f.paths, p)
		}
		up := filepath.Dir(dir)
		if up == dir || dir == home {
			break
		}
		dir = up
	}
	if home != "" {
		for _, p := range places {
			p.path = filepath.Join(home, filepath.FromSlash(p.path))
			f.paths = append(f.paths, p)
		}
	}
	return f
}

// Changed reports whether a file is another one than when Read read it, by its
// size and time. Before that everything has changed.
func (f *Files) Changed() bool {
	if f.seen == nil {
		return true
	}
	for i, s := range f.stamps() {
		if s != f.seen[i] {
			return true
		}
	}
	return false
}

func (f *Files) stamps() []stamp {
	all := make([]stamp, len(f.paths))
	for i, p := range f.paths {
		if st, err := os.Stat(p.path); err == nil {
			all[i] = stamp{st.Size(), st.ModTime()}
		}
	}
	return all
}

// Read returns the secrets in the files; they are the caller's to wipe. A file
// that cannot be read, or is too large, has none.
func (f *Files) Read() []match.Known {
	f.seen = f.stamps() // before they are read, so that a change in between is seen next time
	var all list
	for i, p := range f.paths {
		if f.seen[i] == (stamp{}) {
			continue
		}
		if text := readFile(p.path); text != nil {
			p.read(&all, p.from, text)
			clear(text)
		}
	}
	return all.known
}

// readFile returns a regular file's text, nil if there is none. It never waits:
// a pipe of that name holds nobody up.
func readFile(path string) []byte {
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil
	}
	return text
}

// token reads a file that is a secret.
func token(l *list, from string, text []byte) {
	l.keep(from+"-token", strings.TrimSpace(string(text)))
}

// urls reads a URL a line, as git-credential-store writes them.
func urls(l *list, from string, text []byte) {
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); hasPassword(line) {
			l.keep(from+"-credentials", line)
		}
	}
}

// netrc reads the passwords of a netrc(5).
func netrc(l *list, from string, text []byte) {
	machine := "default"
	fields := bufio.NewScanner(bytes.NewReader(text))
	fields.Buffer(nil, maxFile)
	fields.Split(bufio.ScanWords)
	for fields.Scan() {
		switch fields.Text() {
		case "default":
			machine = "default"
		case "machine":
			if fields.Scan() {
				machine = fields.Text()
			}
		case "password":
			if fields.Scan() {
				l.keep(from+"-"+machine, strings.Trim(fields.Text(), `"`))
			}
		}
	}
}

// pgpass reads host:port:database:user:password, in which \: and \\ stand for
// the second of their characters.
func pgpass(l *list, from string, text []byte) {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		for range 4 {
			i := 0
			for i < len(line) && line[i] != ':' {
				if line[i] == '\\' {
					i++
				}
				i++
			}
			line = line[min(len(line), i+1):]
		}
		l.keep(from+"-password", strings.NewReplacer(`\:`, ":", `\\`, `\`).Replace(line))
	}
}

// settings reads JSON, or lines of a name and a value: .env, INI, TOML, YAML
// without lists, npmrc.
func settings(l *list, from string, text []byte) {
	var tree any
	if json.Unmarshal(text, &tree) == nil {
		walk(l, from, "", tree, 0)
		return
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.ContainsRune("#;[", rune(line[0])) {
			continue
		}
		line = strings.TrimPrefix(strings.TrimPrefix(line, "export "), "- ")
		// A URL in the name, as npm writes it, has a colon: the sign with something behind it counts.
		i := strings.IndexByte(line, '=')
		if colon := strings.Index(line, ": "); i < 0 || colon >= 0 && colon < i {
			i = colon
		}
		if i < 0 {
			continue
		}
		name := strings.Trim(strings.TrimSpace(line[:i]), `"'`)
		if n := strings.LastIndexByte(name, ':'); n >= 0 {
			name = name[n+1:]
		}
		l.add(from+"-"+name, name, unquote(strings.TrimSpace(line[i+1:])))
	}
}

// unquote returns the value that stands behind a name: without quotes, a
// comment or a comma.
func unquote(value string) string {
	if value == "" {
		return ""
	}
	if q := value[0]; q == '"' || q == '\'' {
		if end := strings.LastIndexByte(value[1:], q); end >= 0 {
			value = value[1 : 1+end]
			if q == '"' {
				value = strings.NewReplacer(`\n`, "\n", `\"`, `"`, `\\`, `\`).Replace(value)
			}
			return value
		}
		return value[1:]
	}
	if i := strings.Index(value, " #"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	return strings.TrimSuffix(value, ",")
}

// maxDepth is how deep JSON is looked into.
const maxDepth = 32

// walk reads the members of JSON. An auth of Docker is the base64 of a user and a password.
func walk(l *list, from, name string, v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			walk(l, from, key, member, depth+1)
		}
	case []any:
		for _, element := range v {
			walk(l, from, name, element, depth+1)
		}
	case string:
		l.add(from+"-"+name, name, v)
		if decoded, err := base64.StdEncoding.DecodeString(v); name == "auth" && err == nil {
			if _, password, ok := strings.Cut(string(decoded), ":"); ok {
				l.keep(from+"-password", password)
			}
		}
	}
}
