package provider

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nbhush/nbhush/agent/provider/peers"
)

// tool returns the path of a program that CI installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := peers.Tool(name)
	need(t, err)
	return path
}

// gnupg makes a keyring with one key and returns its folder, whose path is short
// as sockets want it, and the key's fingerprint.
func gnupg(t *testing.T) (home, id string) {
	t.Helper()
	gpg := tool(t, "gpg")
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	cmd := exec.Command(gpg, "--homedir", home, "--batch", "--passphrase", "", "--quick-generate-key", "nb@example.com", "future-default", "default", "never")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(gpg, "--homedir", home, "--batch", "--with-colons", "--list-keys").Output()
	if err != nil {
		t.Fatal(err)
	}
	return home, regexp.MustCompile(`fpr:+([0-9A-F]{40})`).FindStringSubmatch(string(out))[1]
}

// feed runs a program with value on its standard input.
func feed(t *testing.T, env []string, value, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(value)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errs.Bytes())
	}
	return out
}

func TestPass(t *testing.T) {
	home, id := gnupg(t)
	pass := tool(t, "pass")
	dir, value, user := filepath.Join(t.TempDir(), "store"), random(), random()
	t.Setenv("GNUPGHOME", home)
	env := []string{"PASSWORD_STORE_DIR=" + dir}
	feed(t, env, "", pass, "init", id)
	feed(t, env, value+"\nuser: "+user+"\nlast line\n", pass, "insert", "-m", "team/db")
	w, settings := newWorld(t), map[string]string{"store": dir}
	w.want(t, source(t, "pass://team/db", settings), value)
	w.want(t, source(t, "pass://team/db#user", settings), user)
	w.want(t, source(t, "pass://team/db#line3", settings), "last line")
	w.refused(t, source(t, "pass://team/none", settings), Missing, value)
	w.refused(t, source(t, "pass://-c", settings), Setup)
	t.Setenv("GNUPGHOME", t.TempDir()) // another machine's
	w.refused(t, source(t, "pass://team/db?again=1", settings), Denied, value)
}

func TestGPG(t *testing.T) {
	home, id := gnupg(t)
	dir, value := t.TempDir(), random()
	encrypt := func(name, text string) {
		out := feed(t, nil, text, "gpg", "--homedir", home, "--batch", "--trust-model", "always", "--encrypt", "--recipient", id)
		if err := os.WriteFile(filepath.Join(dir, name), out, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	encrypt("token.gpg", value+"\n")
	encrypt("app.env.gpg", "A=x\nB="+value+"\n") // as BlackBox keeps it
	encrypt("app.yaml.gpg", "db:\n  password: "+value+"\n")
	w, settings := newWorld(t), map[string]string{"home": home}
	for ref, want := range map[string]string{"gpg://token.gpg": value, "gpg://app.env.gpg#B": value, "gpg://app.yaml.gpg#db.password": value, "gpg://app.env.gpg": "A=x\nB=" + value} {
		s := source(t, ref, settings)
		s.Dir = dir
		w.want(t, s, want)
	}
	s := source(t, "gpg://token.gpg", settings)
	s.Dir = dir
	next := random()
	encrypt("token.gpg", next)
	w.want(t, s, next) // a file that changed is read again
	s.Providers["gpg"] = map[string]string{"home": t.TempDir()}
	w.refused(t, s, Denied, next)
	if err := os.WriteFile(filepath.Join(dir, "token.gpg"), []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	w.refused(t, s, Malformed, value)
}

func TestSops(t *testing.T) {
	sops, keygen := tool(t, "sops"), tool(t, "age-keygen")
	dir := t.TempDir()
	key := filepath.Join(dir, "key.txt")
	feed(t, nil, "", keygen, "-o", key)
	to := strings.TrimSpace(string(feed(t, nil, "", keygen, "-y", key)))
	w, settings := newWorld(t), map[string]string{"age_key_file": "key.txt", "program": sops}
	for _, c := range []struct{ file, text, ref string }{
		{"a.env", "A=x\nB=V\n", "sops://a.env#B"},
		{".env", "B=V\n", "sops://.env"},
		{"a.yaml", "db:\n  password: V\n", "sops://a.yaml#db.password"},
		{"a.json", `{"db":{"password":"V"}}`, "ref+sops://a.json#/db/password"},
		{"a.ini", "[db]\npassword = V\n", "sops://a.ini#db.password"},
		{"a.bin", "\x01V", "sops://a.bin"},
	} {
		path := filepath.Join(dir, c.file)
		v := fill(t, path, c.text)
		feed(t, []string{"HOME=" + dir}, "", sops, "encrypt", "--age", to, "-i", path)
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte(v)) {
			t.Fatal("it is not encrypted")
		}
		s := source(t, c.ref, settings)
		s.Dir = dir
		if c.file == "a.bin" {
			v = "\x01" + v
		}
		w.want(t, s, v)
		other := source(t, c.ref, map[string]string{"program": sops, "age_key_file": "none.txt"})
		other.Dir = dir
		w.refused(t, other, Denied, v)
	}
	v := fill(t, filepath.Join(dir, "plain.yaml"), "a: V\n")
	s := source(t, "sops://plain.yaml#a", settings)
	s.Dir = dir
	w.refused(t, s, Malformed, v)
}

// 1Password and Bitwarden have no server that could run here: these programs
// answer as the documentation of op and bw says, in the forms of their versions 2
// and 2025.
func TestPasswordManagers(t *testing.T) {
	t.Parallel()
	value, session := random(), random()
	op := program(t, "op", value, `
[ "$1 $2" = "read --no-newline" ] || exit 9
[ "$OP_SERVICE_ACCOUNT_TOKEN" = "`+session+`" ] || { echo "[ERROR] You are not currently signed in. Please run op signin" >&2; exit 1; }
[ "$3" = "op://My Vault/item/section/field" ] || { echo "[ERROR] could not read secret '$3': could not find item" >&2; exit 1; }
printf %s "$V"
`)
	bw := program(t, "bw", value, `
[ "$1 $2 $4" = "get item --nointeraction" ] || exit 9
[ "$BW_SESSION" = "`+session+`" ] || { echo "Vault is locked." >&2; exit 1; }
[ "$3" = "db" ] || { echo "Not found." >&2; exit 1; }
echo '{"object":"item","id":"x","notes":"n","login":{"username":"u","password":"'"$V"'","totp":null},"fields":[{"name":"port","value":"5432","type":0}]}'
`)
	w := newWorld(t)
	w.stored["SESSION"] = session
	one := map[string]string{"program": filepath.Join(op, "op"), "token": "store://SESSION"}
	w.want(t, source(t, "op://My Vault/item/section/field", one), value)
	w.want(t, source(t, "ref+op://My Vault/item/section/field", one), value)
	w.refused(t, source(t, "op://My Vault/none/field", one), Missing, value)
	w.refused(t, source(t, "op://My Vault/item/section/field", map[string]string{"program": one["program"]}), Denied, value, session)
	two := map[string]string{"program": filepath.Join(bw, "bw"), "session": "store://SESSION"}
	w.want(t, source(t, "bitwarden://db", two), value)
	w.want(t, source(t, "bitwarden://db#port", two), "5432")
	w.want(t, source(t, "bitwarden://db#username", two), "u")
	w.refused(t, source(t, "bitwarden://none", two), Missing, value)
	w.refused(t, source(t, "bitwarden://db", map[string]string{"program": two["program"]}), Denied, value, session)
	mac := program(t, "security", value, `[ "$*" = "find-generic-password -w -s service -a me" ] || exit 44
echo "$V"
`)
	w.want(t, source(t, "keychain://service/me", map[string]string{"program": filepath.Join(mac, "security")}), value)
}
