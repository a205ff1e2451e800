package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	stdnet "net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
	"github.com/nbhush/nbhush/agent/secret"
)

// The test binary also plays nbhush-providers, whose network may be bent.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "nbhush-providers" {
		n := net{}
		n.dial = func(ctx context.Context, network, address string) (stdnet.Conn, error) {
			switch {
			case strings.HasSuffix(address, ":443"):
				address = cmp.Or(os.Getenv("NBHUSH_TEST_DIAL"), address)
			case strings.HasSuffix(address, ":80"): // of the machine's metadata
				address = cmp.Or(os.Getenv("NBHUSH_TEST_METADATA"), "127.0.0.1:1")
			}
			return new(stdnet.Dialer).DialContext(ctx, network, address)
		}
		if err := provider.Serve(context.Background(), os.Stdin, os.Stdout, providers(n)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	for _, f := range ends {
		f()
	}
	os.Exit(code)
}

// Servers that several tests share, started by the first that asks.
var (
	moto, drongo = once(peers.Moto), once(peers.Drongo)
	ends         []func()
	endsMu       sync.Mutex
)

func once(start func() (*peers.Server, error)) func() (*peers.Server, error) {
	return sync.OnceValues(func() (*peers.Server, error) {
		s, err := start()
		if err == nil {
			atEnd(s.Stop)
		}
		return s, err
	})
}

func atEnd(f func()) {
	endsMu.Lock()
	defer endsMu.Unlock()
	ends = append(ends, f)
}

func need(t *testing.T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, peers.ErrNone) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// world is a Resolver, as the agent has it, and this program beside it.
type world struct {
	*provider.Resolver
	stored map[secret.Name]string
}

// newWorld starts the program with variables of its environment set or, where
// they are empty, taken away, when it is first asked.
func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nexec env -i HOME=" + dir + " AWS_EC2_METADATA_DISABLED=true GCE_METADATA_HOST=127.0.0.1:1 " + strings.Join(env, " ") +
		" " + filepath.Join(dir, "real", "nbhush-providers") + "\n"
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "real", "nbhush-providers")); err != nil {
		t.Skip("no symbolic links:", err)
	}
	if err := peers.WriteProgram(filepath.Join(dir, "nbhush-providers"), script); err != nil {
		t.Fatal(err)
	}
	w := &world{stored: map[secret.Name]string{}}
	w.Resolver = provider.New(provider.Options{Programs: dir, Stored: func(name secret.Name) (secret.Value, error) {
		return secret.New([]byte(w.stored[name])), nil
	}})
	t.Cleanup(w.Lock)
	return w
}

func source(t *testing.T, ref string, settings map[string]string) provider.Source {
	t.Helper()
	r, err := secret.ParseRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Source{Name: "NAME", Ref: r, Providers: map[string]map[string]string{r.Scheme: settings}}
}

func (w *world) want(t *testing.T, s provider.Source, want string) {
	t.Helper()
	got, err := w.Get(context.Background(), s)
	if err != nil {
		t.Errorf("%s: %v", s.Ref, err)
	} else if string(got.Value.Reveal()) != want {
		t.Errorf("%s: another value", s.Ref)
	}
}

func (w *world) refused(t *testing.T, s provider.Source, kind provider.Kind, values ...string) *provider.Error {
	t.Helper()
	_, err := w.Get(context.Background(), s)
	var e *provider.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v, want %s", s.Ref, err, kind)
		return &provider.Error{}
	}
	text := e.Error() + "\n" + e.Hint()
	if e.Kind != kind || e.Hint() == "" || !strings.Contains(e.Error(), s.Ref.String()) || strings.Count(text, "\n") != 1 {
		t.Errorf("%s: kind %s, %q, hint %q; want %s", s.Ref, e.Kind, e.Error(), e.Hint(), kind)
	}
	for _, v := range values {
		if strings.Contains(text, v) {
			t.Errorf("%s: the error holds a value", s.Ref)
		}
	}
	return e
}

func random() string { return "nk-" + strings.ToLower(rand.Text()) + rand.Text() }

// login is one way to log in, with what is wrong with it.
type login struct {
	name string
	env  []string
	kind provider.Kind // "" where it works
	what string        // said of it
}

// logins tries each in a program of its own, which so has nothing in memory.
func logins(t *testing.T, s provider.Source, value string, secrets []string, all []login) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.env...)
			if c.kind == "" {
				w.want(t, s, value)
			} else if e := w.refused(t, s, c.kind, append(secrets, value)...); !strings.Contains(e.What, c.what) {
				t.Errorf("%q, want %q", e.What, c.what)
			}
		})
	}
}

const (
	nobody  = "nobody is logged in"
	refused = "the login was refused"
)

// serve starts a stub of plain HTTP on this machine.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// write writes files below a new folder, which is returned.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// broken answers with a status, and says the value.
func broken(value string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"message":"`+value+`"}`, status) }
}

// certificate makes one that is its own authority, and the file of it.
func certificate(t *testing.T, names ...string) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Every fault of a server, for every SDK.
func TestServersThatMisbehave(t *testing.T) {
	kinds := map[string]provider.Kind{
		"denied": provider.Denied, "missing": provider.Missing, "silent": provider.Unreachable, "half": provider.Malformed, "error": provider.Failed,
		"throttled": provider.Throttled, "endless": provider.TooLong, "redirect": provider.Setup, "garbage": provider.Malformed, "closed": provider.Malformed,
	}
	for _, c := range []struct {
		name, ref string
		settings  map[string]string
	}{
		{"aws-sm", "aws-sm://x", map[string]string{"region": "eu-central-1", "access_key_id": "k", "secret_access_key": "store://LOGIN"}},
		{"aws-ssm", "aws-ssm://x", map[string]string{"region": "eu-central-1", "access_key_id": "k", "secret_access_key": "store://LOGIN"}},
		{"aws-bundle", "aws-sm://x", map[string]string{"profile": "corp", "access_key_id": "k", "secret_access_key": "store://LOGIN"}},
		{"gcp", "gcp://team/db", map[string]string{"auth": "none"}},
		{"azure", "azure://team/db", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			value := random()
			w, stub, settings := azureWorld(t, value)
			if c.name != "azure" {
				good := map[string]string{
					"aws-sm":     `{"Name":"x","SecretString":"` + value + `"}`,
					"aws-bundle": `{"Name":"x","SecretString":"` + value + `"}`,
					"aws-ssm":    `{"Parameter":{"Name":"x","Value":"` + value + `"}}`,
					"gcp":        `{"payload":{"data":"` + base64.StdEncoding.EncodeToString([]byte(value)) + `"}}`,
				}[c.name]
				var err error
				if stub, err = peers.NewStub(t.TempDir(), value, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/x-amz-json-1.1")
					_, _ = io.WriteString(w, good)
				}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(stub.Close)
				stub.Config.ErrorLog = log.New(io.Discard, "", 0)
				profile := func(ca string) string { return "[profile corp]\nregion = eu-central-1\nca_bundle = " + ca + "\n" }
				w, settings = newWorld(t), map[string]string{"address": stub.URL, "ca": stub.CA}
				if c.name == "aws-bundle" {
					delete(settings, "ca")
					home := write(t, map[string]string{".aws/config": profile(stub.CA)})
					w = newWorld(t, "HOME="+home)
					defer func() {
						if err := os.WriteFile(filepath.Join(home, ".aws", "config"), []byte(profile("/none")), 0o600); err != nil {
							t.Fatal(err)
						}
						w.refused(t, source(t, c.ref+"?version=1", settings), provider.Setup, value)
					}()
				}
				w.stored["LOGIN"] = random()
				for key, v := range c.settings {
					settings[key] = v
				}
			}
			settings["timeout"] = "20s"
			w.want(t, source(t, c.ref, settings), value)
			for i, fault := range peers.Faults {
				t.Run(fault, func(t *testing.T) {
					stub.Fault.Store(fault)
					settings["timeout"] = fmt.Sprintf("%ds", 19-i) // another question each
					if fault == "silent" {
						settings["timeout"] = "2s"
					}
					e := w.refused(t, source(t, c.ref, settings), kinds[fault], value, w.stored["LOGIN"])
					if fault == "throttled" && e.RetryAfter != 7*time.Second {
						t.Errorf("Retry-After: %v", e.RetryAfter)
					}
				})
			}
			stub.Fault.Store("")
			if c.name == "aws-bundle" {
				return
			}
			settings["ca"] = ""
			w.refused(t, source(t, c.ref, settings), provider.Unreachable, value)
		})
	}
}
