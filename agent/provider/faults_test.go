package provider

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/provider/peers"
)

// kindsOf says what each fault of a stub is, for all providers.
var kindsOf = map[string][]Kind{
	"denied":    {Denied},
	"missing":   {Missing, Denied}, // of a mount, which OpenBao does not tell apart
	"silent":    {Unreachable},
	"half":      {Malformed},
	"error":     {Failed},
	"throttled": {Throttled},
	"endless":   {TooLong},
	"redirect":  {Setup},
	"garbage":   {Malformed},
	"closed":    {Malformed},
}

// timeFor is short where a fault is waited for to the end, and long where the
// machine may be slow.
func timeFor(fault string) string {
	if fault == "silent" || fault == "does not read" {
		return "1s"
	}
	return "20s"
}

// Every provider that asks a server says every fault of it in one line, in time,
// and without the value.
func TestServersThatMisbehave(t *testing.T) {
	for _, c := range []struct {
		name, ref string
		settings  map[string]string
		good      func(value string) http.HandlerFunc
	}{
		{"openbao", "openbao://kv/x#v", nil, func(value string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/internal/ui/mounts/") {
					_, _ = io.WriteString(w, `{"data":{"path":"kv/","type":"kv","options":{"version":"1"}}}`)
					return
				}
				_, _ = io.WriteString(w, `{"data":{"v":"`+value+`"}}`)
			}
		}},
		{"databricks", "databricks://scope/key", nil, func(value string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); r.URL.Path != "/api/2.0/secrets/get" || q.Get("scope") != "scope" || q.Get("key") != "key" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
					http.Error(w, "", http.StatusNotFound)
					return
				}
				_, _ = io.WriteString(w, `{"key":"key","value":"`+base64.StdEncoding.EncodeToString([]byte(value))+`"}`)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			value := random()
			stub, err := peers.NewStub(t.TempDir(), value, c.good(value))
			if err != nil {
				t.Fatal(err)
			}
			defer stub.Close()
			stub.Config.ErrorLog = log.New(io.Discard, "", 0)
			settings := map[string]string{"address": stub.URL, "ca": stub.CA, "token": "store://TOKEN", "timeout": "20s"}
			ask := func(t *testing.T) (*world, Source) {
				w := newWorld(t)
				w.stored["TOKEN"] = random()
				return w, source(t, c.ref, settings)
			}
			w, s := ask(t)
			w.want(t, s, value)
			for _, fault := range peers.Faults {
				t.Run(fault, func(t *testing.T) {
					stub.Fault.Store(fault)
					settings["timeout"] = timeFor(fault)
					w, s := ask(t)
					start := time.Now()
					e := w.refused(t, s, kindsOf[fault][0], value, w.stored["TOKEN"])
					if d := time.Since(start); d > time.Minute {
						t.Errorf("it took %v", d)
					}
					if fault == "throttled" && e.RetryAfter != 7*time.Second {
						t.Errorf("Retry-After was not read: %v", e.RetryAfter)
					}
				})
			}
			stub.Fault.Store("")
			t.Run("unknown certificate", func(t *testing.T) {
				settings["ca"] = ""
				w, s := ask(t)
				w.refused(t, s, Unreachable, value)
				settings["ca"] = stub.CA
			})
			t.Run("plain HTTP where TLS belongs", func(t *testing.T) {
				settings["address"] = "http://192.0.2.1"
				w, s := ask(t)
				w.refused(t, s, Setup, value)
				settings["address"] = strings.Replace(stub.URL, "https", "http", 1)
				w, s = ask(t)
				w.refused(t, s, Malformed, value)
			})
			t.Run("nobody there", func(t *testing.T) {
				settings["address"] = "https://127.0.0.1:1"
				w, s := ask(t)
				w.refused(t, s, Unreachable, value)
			})
		})
	}
}

// program writes a shell script called name, in which $V is a value, and returns its folder.
func program(t *testing.T, name, value, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs of this test are shell scripts")
	}
	dir := t.TempDir()
	if err := peers.WriteProgram(filepath.Join(dir, name), "#!/bin/sh\nV="+value+"\n"+text); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The same for programs of the user's.
func TestProgramsThatMisbehave(t *testing.T) {
	faults := []struct {
		name, script string
		kind         Kind
	}{
		{"exit", `echo "$V" >&2; echo "$V"; exit 3`, Failed},
		{"silent", `sleep 100 & sleep 100`, Unreachable},
		{"endless", `while :; do echo "$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V"; done`, TooLong},
		{"endless complaint", `i=0; while [ $i -lt 2000 ]; do echo "$V" >&2; i=$((i+1)); done; exit 1`, Failed},
		{"nothing", `exit 0`, Missing},
		{"killed", `kill -9 $$`, Failed},
	}
	for _, c := range []struct{ program, ref, missing, denied string }{
		{"pass", "pass://team/db", "Error: team/db is not in the password store.", "gpg: decryption failed: No secret key"},
		{"sops", "sops://f.txt", "", "Failed to get the data key required to decrypt"},
		{"gpg", "gpg://f.txt", "", "gpg: decryption failed: No secret key"},
		{"op", "op://vault/item/field", `"item" isn't an item in the "vault" vault`, "You are not currently signed in"},
		{"bw", "bitwarden://item", "Not found.", "Vault is locked."},
		{"security", "keychain://service/account", "The specified item could not be found in the keychain.", "User interaction is not allowed."},
	} {
		t.Run(c.program, func(t *testing.T) {
			t.Parallel()
			value := random()
			ask := func(t *testing.T, fault, script string, kind Kind) {
				t.Helper()
				dir := program(t, c.program, value, script)
				w := newWorld(t)
				s := source(t, c.ref, map[string]string{"timeout": timeFor(fault), "program": filepath.Join(dir, c.program)})
				s.Dir = t.TempDir()
				fill(t, filepath.Join(s.Dir, "f.txt"), "V")
				start := time.Now()
				w.refused(t, s, kind, value)
				if d := time.Since(start); d > time.Minute {
					t.Errorf("it took %v", d)
				}
			}
			for _, f := range faults {
				t.Run(f.name, func(t *testing.T) {
					kind := f.kind
					if f.name == "nothing" && c.program == "bw" {
						kind = Malformed
					}
					ask(t, f.name, f.script, kind)
				})
			}
			for text, kind := range map[string]Kind{c.missing: Missing, c.denied: Denied} {
				if text != "" {
					ask(t, "", "cat >&2 <<'E'\n"+text+" VALUE\nE\nexit 1", kind)
				}
			}
			t.Run("not installed", func(t *testing.T) {
				w := newWorld(t)
				s := source(t, c.ref, map[string]string{"program": "nbhush-no-such-program"})
				s.Dir = t.TempDir()
				fill(t, filepath.Join(s.Dir, "f.txt"), "V")
				w.refused(t, s, Setup)
			})
		})
	}
}

// And for programs that speak the provider protocol.
func TestProtocolThatMisbehaves(t *testing.T) {
	value := random()
	for _, c := range []struct {
		name, script string
		kind         Kind
	}{
		{"denied", `read q; echo '{"id":1,"error":"denied","message":"'$V'"}'`, Denied},
		{"missing", `read q; echo '{"id":1,"error":"missing"}'`, Missing},
		{"throttled", `read q; echo '{"id":1,"error":"throttled","retry_after_seconds":7}'`, Throttled},
		{"an error of its own", `read q; echo '{"id":1,"error":"'$V'"}'`, Failed},
		{"nothing in it", `read q; echo '{"id":1}'`, Malformed},
		{"half", `read q; printf '{"id":1,"value":"'$V`, Malformed},
		{"not JSON", `read q; echo "$V"`, Malformed},
		{"another's answer", `read q; echo '{"id":99,"value":"'$V'"}'`, Malformed},
		{"ends", `exit 1`, Malformed},
		{"complains", `echo "$V" >&2; exit 1`, Malformed},
		{"silent", `sleep 100 & sleep 100`, Unreachable},
		{"does not read", `exec sleep 100`, Unreachable},
		{"endless", `while :; do printf "$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V"; done`, TooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.o.Programs = program(t, "nbhush-provider-ours", value, c.script+"\n")
			start := time.Now()
			e := w.refused(t, source(t, "ours://x", map[string]string{"timeout": timeFor(c.name)}), c.kind, value)
			if d := time.Since(start); d > time.Minute {
				t.Errorf("it took %v", d)
			}
			if c.name == "throttled" && e.RetryAfter != 7*time.Second {
				t.Error(e.RetryAfter)
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		newWorld(t).refused(t, source(t, "nobodys://x", map[string]string{}), Setup)
	})
}

// What a program of the protocol is told, and that it is kept between questions.
func TestProtocol(t *testing.T) {
	value := random()
	dir := program(t, "nbhush-provider-ours", value, `
n=0
while read -r q; do
  n=$((n+1))
  echo "$q" >> "$(dirname "$0")/asked"
  echo "{\"id\":$n,\"fields\":{\"n\":\"$n\",\"v\":\"$V\"},\"lease_seconds\":60,\"unknown\":1}"
done
`)
	w := newWorld(t)
	w.o.Programs = dir
	w.stored["LOGIN"] = random()
	settings := map[string]string{"region": "eu", "token": "store://LOGIN"}
	s := source(t, "ours://a/b?x=1#v", settings)
	s.Dir = dir
	w.want(t, s, value)
	w.want(t, source0(s, t, "ours://a/b?x=1#n"), "1") // from memory
	w.want(t, source0(s, t, "ours://c#n"), "2")       // by the same process
	b, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	for _, want := range []string{`"nbhush":1`, `"provider":"ours"`, `"ref":"ours://a/b?x=1#v"`, `"path":"a/b"`, `"options":{"x":"1"}`, `"settings":{"region":"eu"}`, `"login":{"token":"` + w.stored["LOGIN"] + `"}`, `"deadline_ms":`} {
		if !strings.Contains(first, want) {
			t.Errorf("the question has no %s", strings.ReplaceAll(want, w.stored["LOGIN"], "VALUE"))
		}
	}
}

// A program that leaves a process behind which has its output, as one that starts a
// daemon, keeps nobody waiting.
func TestProgramWithDaemon(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("no setsid here")
	}
	value := random()
	w := newWorld(t)
	w.o.Programs = program(t, "nbhush-provider-ours", value, `
read -r q
id=$(printf %s "$q" | sed 's/.*"id":\([0-9]*\).*/\1/')
setsid sleep 100 &
echo "$!" >> "$(dirname "$0")/daemons"
echo "{\"id\":$id,\"value\":\"$V\"}"
`)
	t.Cleanup(func() {
		b, _ := os.ReadFile(filepath.Join(w.o.Programs, "daemons"))
		for _, pid := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(pid); err == nil {
				if p, err := os.FindProcess(n); err == nil {
					_ = p.Kill()
				}
			}
		}
	})
	for i := range 4 {
		w.want(t, source(t, fmt.Sprintf("ours://%d", i), nil), value)
	}
}

func source0(s Source, t *testing.T, ref string) Source {
	s.Ref = source(t, ref, nil).Ref
	return s
}

// A program that ends after one answer is started again.
func TestProtocolOneShot(t *testing.T) {
	w := newWorld(t)
	w.o.Programs = program(t, "nbhush-provider-ours", "", `read -r q; id=$(printf %s "$q" | sed 's/.*"id":\([0-9]*\).*/\1/'); printf '{"id":%s,"value_base64":"AP8="}\n' "$id"`+"\n")
	for _, ref := range []string{"ours://1", "ours://2", "ours://3"} {
		w.want(t, source(t, ref, map[string]string{}), "\x00\xff")
	}
}
