package ambient

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nbhush/nbhush/agent/match"
)

func TestSecret(t *testing.T) {
	v := rand.Text()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"OPENAI_API_KEY", v, true},
		{"HF_TOKEN", v, true},
		{"hf_token", v, true},
		{"DB_PASSWORD", v, true},
		{"PGPASSWORD", v, true},
		{"PWD", "/no/such/folder", false},
		{"PASSWORD", v, true},
		{"client_secret", v, true},
		{"clientSecret", v, true},
		{"_authToken", v, true},
		{"access-token", v, true},
		{"AWS_SECRET_ACCESS_KEY", v, true},
		{"DATABASE_URL", "postgres://app:" + v + "@db.example.com/app", true},
		{"HTTPS_PROXY", "http://me:" + v + "@proxy:3128", true},
		{"DATABASE_URL", "sqlite:////tmp/a.db", false},
		{"DATABASE_URL", "postgres://db.example.com/app", false},
		{"DATABASE_URL", "postgres://app:$PASSWORD@db.example.com/app", false},
		{"AWS_ACCESS_KEY_ID", v, false},
		{"AWS_REGION", v, false},
		{"SSH_AUTH_SOCK", v, false},
		{"SSH_PUBLIC_KEY", v, false},
		{"GPG_KEY", v, false},
		{"KEY_FILE", v, false},
		{"TOKENIZERS_PARALLELISM", v, false},
		{"KEYBOARD", v, false},
		{"MONKEY", v, false},
		{"HOME", v, false},
		{"", v, false},
		{"API_KEY", "short", false},
		{"API_KEY", "changeme123", false},
		{"API_KEY", "${OTHER}" + v, false},
		{"API_KEY", "op://vault/item/" + v, false},
		{"API_KEY", here, false},
		{"API_KEY", "/" + v, true}, // base64 may begin so
		{"API_KEY", "", false},
	} {
		if got := Secret(c.name, c.value); got != c.want {
			t.Errorf("%s=%s: got %v", c.name, strings.ReplaceAll(c.value, v, "VALUE"), got)
		}
	}
}

// reveal returns known as a map.
func reveal(known []match.Known) map[string]string {
	m := map[string]string{}
	for _, k := range known {
		m[string(k.Name)] = string(k.Value.Reveal())
	}
	return m
}

func TestEnvironment(t *testing.T) {
	a, b := rand.Text(), rand.Text()
	got := reveal(Environment([]string{"PATH=/bin", "A_TOKEN=" + a, "B_KEY=" + b, "AGAIN_TOKEN=" + a, "NBHUSH_TOKEN=" + rand.Text(), "ODD]_KEY=" + rand.Text()[:9] + "=", "NONE", ""}))
	for _, name := range []string{"env-A_TOKEN", "env-B_KEY", "env-ODD__KEY"} {
		if got[name] == "" {
			t.Errorf("%s is not known", name)
		}
	}
	if len(got) != 3 || got["env-A_TOKEN"] != a || got["env-B_KEY"] != b {
		t.Errorf("%d are known", len(got))
	}
}

// Each form of file, with what is not to be taken from it.
func TestFiles(t *testing.T) {
	v := func() string { return rand.Text() }
	a, b, c := v(), v(), v()
	for _, tc := range []struct {
		path, text string
		want       map[string]string
	}{
		{".netrc", "machine api.wandb.ai\n login user password " + a + "\nmachine x login me password short\ndefault login anonymous password " + b, map[string]string{"netrc-api.wandb.ai": a, "netrc-default": b}},
		{".pgpass", "# comment\nlocalhost:5432:db:me:" + a + `\:x` + "\n*:*:*:*:short", map[string]string{"pgpass-password": a + ":x"}},
		{".git-credentials", "https://me:" + a + "@github.com\nhttps://example.com/no", map[string]string{"git-credentials": "https://me:" + a + "@github.com"}},
		{".aws/credentials", "[default]\naws_access_key_id = AKIA" + b + "\naws_secret_access_key = " + a + "\naws_session_token=" + c + "==\n", map[string]string{"aws-aws_secret_access_key": a, "aws-aws_session_token": c + "=="}},
		{".config/gcloud/application_default_credentials.json", `{"client_id":"` + b + `.apps","client_secret":"` + a + `","refresh_token":"1//` + c + `","type":"authorized_user"}`, map[string]string{"gcloud-client_secret": a, "gcloud-refresh_token": "1//" + c}},
		{".kaggle/kaggle.json", `{"username":"me","key":"` + a + `"}`, map[string]string{"kaggle-key": a}},
		{".cache/huggingface/token", "hf_" + a + "\n", map[string]string{"huggingface-token": "hf_" + a}},
		{".comet.config", "[comet]\napi_key = " + a + " # mine\nworkspace=" + b, map[string]string{"comet-api_key": a}},
		{".docker/config.json", `{"auths":{"r.io":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("me:"+a)) + `"}}}`, map[string]string{"docker-auth": base64.StdEncoding.EncodeToString([]byte("me:" + a)), "docker-password": a}},
		{".config/gh/hosts.yml", "github.com:\n    user: me\n    oauth_token: gho_" + a + "\n    git_protocol: https\n", map[string]string{"gh-oauth_token": "gho_" + a}},
		{".npmrc", "//registry.npmjs.org/:_authToken=" + a + "\ncolor=true\n", map[string]string{"npmrc-_authToken": a}},
		{".cargo/credentials.toml", "[registry]\ntoken = \"" + a + "\"\n", map[string]string{"cargo-token": a}},
		{"clearml.conf", "api {\n  credentials {\n    \"access_key\" = \"" + b + "\"\n    \"secret_key\"  = \"" + a + "\",\n  }\n}\n", map[string]string{"clearml-access_key": b, "clearml-secret_key": a}},
		{"work/nb/.env", "export OPENAI_API_KEY='" + a + "'\nAPP_NAME=" + b + "\nDB_PASSWORD=\"p\\\"" + c + "\"\n#OLD_KEY=" + v(), map[string]string{"dotenv-OPENAI_API_KEY": a, "dotenv-DB_PASSWORD": `p"` + c}},
		{"work/.env.local", "TOKEN: " + a, map[string]string{"dotenv-TOKEN": a}},
		{".env", "UP_KEY=" + a, map[string]string{"dotenv-UP_KEY": a}}, // the home directory itself
		{"work/nb/.env.example", "KEY=" + a, map[string]string{}},
		{"work/nb/other/.env", "KEY=" + a, map[string]string{}},
	} {
		t.Run(tc.path, func(t *testing.T) {
			home := t.TempDir()
			path := filepath.Join(home, tc.path)
			files := Around(home, filepath.Join(home, "work", "nb"))
			if known := files.Read(); len(known) != 0 {
				t.Errorf("%d are known before there is a file", len(known))
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if changed := files.Changed(); changed == (len(tc.want) == 0) {
				t.Errorf("changed: %v", changed)
			}
			if diff := cmp.Diff(tc.want, reveal(files.Read())); diff != "" {
				t.Error(diff)
			}
			if files.Changed() {
				t.Error("changed although nobody wrote")
			}
		})
	}
}

// FuzzRead holds that no file's text makes a reader fail or find what cannot be matched.
func FuzzRead(f *testing.F) {
	f.Add("machine a password b")
	f.Add("a:b\\:c:d:e:f\\")
	f.Add(`{"a":[{"key":"x","auth":"eDp5eXl5eXl5eXl5"}]}`)
	f.Add("export A_KEY=\"x\\\"\n[s]\nb: c # d\n//r/:_authToken=e,")
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []reader{token, urls, netrc, pgpass, settings} {
			var l list
			read(&l, "x", []byte(text))
			for _, k := range l.known {
				if match.Weakness(k.Value) != "" || !strings.HasPrefix(string(k.Name), "x-") || strings.ContainsAny(string(k.Name), "[]\n") {
					t.Errorf("%q from %q", k.Name, text)
				}
			}
		}
	})
}
