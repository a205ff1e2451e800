package match

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"go/build"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nbhush/nbhush/agent/secret"
)

const (
	alnum   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	base64s = alnum + "-_"
	hexes   = "0123456789abcdef"
)

func random(r *mathrand.Rand, n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// rsaKey is made once: it takes long, and only its size matters.
var rsaKey = sync.OnceValue(func() []byte {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		panic(err)
	}
	return der
})

// randomRSA returns a PEM key that differs from others in all but its frame.
func randomRSA(r *mathrand.Rand) string {
	der := append([]byte(nil), rsaKey()...)
	for i := 40; i < len(der); i++ {
		der[i] = byte(r.Uint32())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func randomEC() string {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func randomJWT(r *mathrand.Rand) string {
	head := []string{`{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"RS256"}`, `{"alg":"RS256","typ":"JWT","kid":"` + random(r, 20, hexes) + `"}`}[r.IntN(3)]
	body := []string{
		`{"sub":"1234567890","name":"John Doe","iat":1516239022}`,
		`{"iss":"https://accounts.google.com","sub":"` + random(r, 21, "0123456789") + `","iat":1716239022,"exp":1716242622}`,
		`{"iss":"supabase","ref":"` + random(r, 20, "abcdefghijklmnopqrstuvwxyz") + `","role":"anon","iat":1716239022,"exp":2031815022}`,
	}[r.IntN(3)]
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(head)) + "." + enc([]byte(body)) + "." + random(r, 43, base64s)
}

func randomServiceAccount(r *mathrand.Rand, indent string) string {
	project := []string{"my-project", "ml-prod", "data-science-demo"}[r.IntN(3)] + "-" + random(r, 6, "0123456789")
	type account struct {
		Type     string `json:"type"`
		Project  string `json:"project_id"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		Email    string `json:"client_email"`
		ID       string `json:"client_id"`
		Auth     string `json:"auth_uri"`
		Token    string `json:"token_uri"`
		Provider string `json:"auth_provider_x509_cert_url"`
		Client   string `json:"client_x509_cert_url"`
		Universe string `json:"universe_domain"`
	}
	b, err := json.MarshalIndent(account{
		"service_account", project, random(r, 40, hexes), randomRSA(r), "notebook@" + project + ".iam.gserviceaccount.com",
		random(r, 21, "0123456789"), "https://accounts.google.com/o/oauth2/auth", "https://oauth2.googleapis.com/token",
		"https://www.googleapis.com/oauth2/v1/certs", "https://www.googleapis.com/robot/v1/metadata/x509/notebook%40" + project + ".iam.gserviceaccount.com",
		"googleapis.com",
	}, "", indent)
	if err != nil {
		panic(err)
	}
	return string(b)
}

var words = strings.Fields(`correct horse battery staple orange window market silver garden mountain history
	simple question number letter picture science teacher country morning river little people winter machine
	reason travel coffee random forest linear matrix vector sample output column figure random index value model`)

func randomPassphrase(r *mathrand.Rand) string {
	var parts []string
	for range 4 + r.IntN(3) {
		parts = append(parts, words[r.IntN(len(words))])
	}
	return strings.Join(parts, []string{" ", "-", "_", "."}[r.IntN(4)])
}

func randomURL(r *mathrand.Rand) string {
	pw := random(r, 16, alnum+"!@%$"[:1])
	return []string{
		"postgresql://postgres:" + pw + "@localhost:5432/postgres",
		"postgresql+psycopg2://analytics_user:" + pw + "@db." + random(r, 20, "abcdefghijklmnopqrstuvwxyz") + ".supabase.co:5432/postgres?sslmode=require",
		"mysql+pymysql://root:" + pw + "@127.0.0.1:3306/employees",
		"mongodb+srv://admin:" + pw + "@cluster0." + random(r, 5, "abcdefghijklmnopqrstuvwxyz0123456789") + ".mongodb.net/?retryWrites=true&w=majority",
		"postgres://warehouse:" + pw + "@warehouse." + random(r, 12, "abcdefghijklmnopqrstuvwxyz0123456789") + ".us-east-1.rds.amazonaws.com:5432/production",
		"redis://:" + pw + "@redis.internal.example.com:6379/0",
	}[r.IntN(6)]
}

func randomConnection(r *mathrand.Rand) string {
	key := base64.StdEncoding.EncodeToString([]byte(random(r, 64, alnum)))
	return []string{
		"DefaultEndpointsProtocol=https;AccountName=mystorageaccount;AccountKey=" + key + ";EndpointSuffix=core.windows.net",
		"Endpoint=sb://example-bus.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=" + key[:44],
		"https://mystorageaccount.blob.core.windows.net/data?sv=2022-11-02&ss=bfqt&srt=sco&sp=rwdlacupiytfx&se=2025-01-01T00:00:00Z&st=2024-01-01T00:00:00Z&spr=https&sig=" + random(r, 43, alnum) + "%3D",
		"https://hooks.slack.com/services/T" + random(r, 8, alnum) + "/B" + random(r, 8, alnum) + "/" + random(r, 24, alnum),
	}[r.IntN(4)]
}

func randomKey(r *mathrand.Rand) string {
	return []string{
		"sk-proj-" + random(r, 48, alnum), "sk-ant-api03-" + random(r, 93, base64s) + "AA", "ghp_" + random(r, 36, alnum), "github_pat_" + random(r, 82, alnum+"_"),
		"hf_" + random(r, 34, alnum), "AKIA" + random(r, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), random(r, 40, alnum+"/+"), "xoxb-" + random(r, 12, "0123456789") + "-" + random(r, 24, alnum),
		"AIzaSy" + random(r, 33, base64s), random(r, 40, hexes), random(r, 32, hexes), random(r, 12, alnum), random(r, 10, alnum+"!#$%&*+-./:;<=>?@"), random(r, 20, alnum+"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
	}[r.IntN(14)]
}

// realistic returns n made-up secrets of the kinds that people have.
func realistic(seed uint64, n int) []Known {
	r := mathrand.New(mathrand.NewPCG(seed, 3))
	var known []Known
	for i := range n {
		var v string
		switch k := i % 40; {
		case k < 22:
			v = randomKey(r)
		case k < 25:
			v = randomJWT(r)
		case k < 31:
			v = randomURL(r)
		case k < 34:
			v = randomConnection(r)
		case k < 37:
			v = randomPassphrase(r)
		case k == 37:
			v = randomRSA(r)
		case k == 38:
			v = randomEC()
		default:
			v = randomServiceAccount(r, "  "[i/40%2:])
		}
		known = append(known, Known{secret.Name(fmt.Sprintf("SECRET_%d", i)), secret.New([]byte(v))})
	}
	return known
}

// notebooks returns real text that holds none of the made-up secrets: the
// notebooks in the folder that NBHUSH_TEST_NOTEBOOKS names, and where it names
// none, Go's own sources. The test says nothing of what is in them.
func notebooks(tb testing.TB) [][]byte {
	pattern := filepath.Join(build.Default.GOROOT, "src", "*", "*.go")
	if dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS"); dir != "" {
		pattern = filepath.Join(dir, "*.ipynb")
	}
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no files match %s: %v", pattern, err)
	}
	var texts [][]byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		texts = append(texts, b)
	}
	return texts
}

// decoded appends the strings of a JSON value to dst, with a newline between them.
func decoded(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		dst = append(append(dst, v...), '\n')
	case []any:
		for _, e := range v {
			dst = decoded(dst, e)
		}
	case map[string]any:
		for _, e := range v {
			dst = decoded(dst, e)
		}
	}
	return dst
}

func TestUnrelatedNotebooksStayAsTheyAre(t *testing.T) {
	texts := notebooks(t)
	s := New(realistic(7, 200))
	total, found := 0, 0
	for i, text := range texts {
		var v any
		if json.Unmarshal(text, &v) == nil {
			text = append(text, decoded(nil, v)...)
		}
		total += len(text)
		r, err := s.Find(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		found += len(r.Spans)
		for _, span := range r.Spans {
			t.Errorf("notebook %d: %d bytes are taken for %s", i, span.End-span.Start, span.Name)
		}
	}
	t.Logf("%d notebooks, %d MB raw and decoded, %d of 200 values matched on: %d spans", len(texts), total>>20, s.Len(), found)
}
