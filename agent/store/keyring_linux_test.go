package store_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	gokeyring "github.com/zalando/go-keyring"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// sessionEnv says that this process is alone in a D-Bus session of its own.
const sessionEnv = "NBHUSH_TEST_SESSION"

// inSession runs test in a D-Bus session of its own, by starting this binary
// again below dbus-run-session: nothing that it does reaches the user's keyring.
func inSession(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Getenv(sessionEnv) == t.Name() {
		test(t)
		return
	}
	needProgram(t, "dbus-run-session")
	home := t.TempDir()
	run := filepath.Join(home, "run")
	if err := errors.Join(os.Mkdir(run, 0o700), os.Chmod(home, 0o700)); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "dbus-run-session", "--", self,
		"-test.run=^"+t.Name()+"$", "-test.v=true", fmt.Sprintf("-test.short=%v", testing.Short()))
	cmd.Env = append(os.Environ(), sessionEnv+"="+t.Name(),
		"HOME="+home, "XDG_RUNTIME_DIR="+run, "XDG_DATA_HOME=", "DISPLAY=", "WAYLAND_DISPLAY=")
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in a D-Bus session: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// missing skips the test, but not where everything has to be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, "needs "+name)
	}
}

// startDaemon starts a keyring with an unlocked login collection and waits until
// it has its name on the bus. No call may reach that name before, or the bus
// would start a daemon of its own.
func startDaemon(t *testing.T) (stop func()) {
	t.Helper()
	needProgram(t, "gnome-keyring-daemon")
	conn := privateBus(t)
	defer func() { _ = conn.Close() }()
	if err := conn.AddMatchSignal(dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, "org.freedesktop.secrets")); err != nil {
		t.Fatal(err)
	}
	owners := make(chan *dbus.Signal, 8)
	conn.Signal(owners)
	cmd := exec.CommandContext(t.Context(), "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	cmd.Stdin = strings.NewReader("test\n")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	for {
		select {
		case s := <-owners:
			if len(s.Body) == 3 && s.Body[2] != "" {
				return stop
			}
		case <-time.After(time.Minute):
			t.Fatal("the keyring did not come up")
		}
	}
}

func privateBus(t *testing.T) *dbus.Conn {
	t.Helper()
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// item is what the Secret Service says of one item.
type item struct {
	path     dbus.ObjectPath
	label    string
	attrs    map[string]string
	modified uint64
	content  string // its type
}

const (
	secretsName = "org.freedesktop.secrets"
	loginPath   = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
)

// items returns the items of name, as a third party sees them.
func items(t *testing.T, conn *dbus.Conn, name secret.Name) (all []item) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var session dbus.ObjectPath
	var ignored dbus.Variant
	check(conn.Object(secretsName, "/org/freedesktop/secrets").Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&ignored, &session))
	var paths []dbus.ObjectPath
	check(conn.Object(secretsName, loginPath).Call("org.freedesktop.Secret.Collection.SearchItems", 0,
		map[string]string{"service": "nbhush", "username": string(name)}).Store(&paths))
	for _, path := range paths {
		it := item{path: path}
		obj := conn.Object(secretsName, path)
		check(obj.StoreProperty("org.freedesktop.Secret.Item.Label", &it.label))
		check(obj.StoreProperty("org.freedesktop.Secret.Item.Attributes", &it.attrs))
		check(obj.StoreProperty("org.freedesktop.Secret.Item.Modified", &it.modified))
		var value struct {
			Session       dbus.ObjectPath
			Params, Value []byte
			ContentType   string
		}
		check(obj.Call("org.freedesktop.Secret.Item.GetSecret", 0, session).Store(&value))
		it.content = value.ContentType
		all = append(all, it)
	}
	return all
}

// python is a process that obeys get NAME, set NAME HEX and rm NAME with
// Python's keyring, and answers with a line of JSON. Values go through pipes.
type python struct {
	in  io.Writer
	out *bufio.Reader
}

const pythonSource = `
import sys, json, keyring
from keyring.backends import SecretService
keyring.set_keyring(SecretService.Keyring())
for line in sys.stdin:
    op, name, *rest = line.split()
    answer = None
    if op == "get":
        answer = keyring.get_password("nbhush", name)
    elif op == "set":
        keyring.set_password("nbhush", name, bytes.fromhex(rest[0]).decode())
    elif op == "rm":
        keyring.delete_password("nbhush", name)
    print(json.dumps(answer), flush=True)
`

func startPython(t *testing.T) *python {
	t.Helper()
	program := os.Getenv("NBHUSH_TEST_PYTHON")
	if program == "" {
		missing(t, "NBHUSH_TEST_PYTHON names no python3 with keyring")
	}
	cmd := exec.CommandContext(t.Context(), program, "-c", pythonSource)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &python{in, bufio.NewReader(out)}
}

func (p *python) do(t *testing.T, words ...string) (answer *string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, strings.Join(words, " ")); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("python: %v", err)
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func (p *python) set(t *testing.T, name secret.Name, v secret.Value) {
	t.Helper()
	p.do(t, "set", string(name), hex.EncodeToString(v.Reveal()))
}

func (p *python) want(t *testing.T, name secret.Name, v secret.Value) {
	t.Helper()
	if got := p.do(t, "get", string(name)); got == nil || *got != string(v.Reveal()) {
		t.Fatalf("python reads another value of %s", name)
	}
}

func TestKeyring(t *testing.T) {
	inSession(t, func(t *testing.T) {
		stop := startDaemon(t)
		conn := privateBus(t)
		if err := store.KeyringAnswers(t.Context()); err != nil {
			t.Fatalf("probe: %v", err)
		}
		t.Run("store", func(t *testing.T) { testStore(t, store.NewKeyring()) })
		t.Run("spill", func(t *testing.T) { keyringSpill(t, conn) })
		t.Run("python", func(t *testing.T) { keyringPython(t, conn) })
		t.Run("duplicates", func(t *testing.T) { keyringDuplicates(t, conn) })
		t.Run("names", func(t *testing.T) { keyringNames(t) })
		t.Run("transfer", func(t *testing.T) { keyringTransfer(t, conn) })

		s, v := store.NewKeyring(), random()
		mustSet(t, s, "AGAIN", v)
		stop()
		startDaemon(t)
		t.Run("another daemon", func(t *testing.T) {
			wantValue(t, s, "AGAIN", v)
			v := random()
			mustSet(t, s, "AGAIN", v)
			if n := len(items(t, conn, "AGAIN")); n != 1 {
				t.Errorf("%d items after a set over what the daemon read from its file", n)
			}
			startPython(t).want(t, "AGAIN", v)
		})
		t.Run("locked", func(t *testing.T) { keyringLocked(t, conn, s) })
	})
}

// Who listens to the bus sees no value, of whatever length; what somebody else asks for in plain he sees.
func keyringTransfer(t *testing.T, conn *dbus.Conn) {
	needProgram(t, "dbus-monitor")
	path := filepath.Join(t.TempDir(), "heard")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	cmd := exec.CommandContext(t.Context(), "dbus-monitor", "--session", "--binary")
	cmd.Stdout = file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	heard := func(what []byte) bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, what)
	}
	until := func(what []byte, do func()) {
		t.Helper()
		for start := time.Now(); !heard(what); time.Sleep(10 * time.Millisecond) {
			if do(); time.Since(start) > time.Minute {
				t.Fatal("the monitor does not hear the bus")
			}
		}
	}
	until([]byte("SearchItems"), func() { _, _ = store.NewKeyring().Get("LISTENING") })
	for n, length := range []int{1, 15, 16, 17, 47, 1000} {
		s, name := store.NewKeyring(), secret.Name(fmt.Sprintf("TRANSFERRED_%d", n))
		v := secret.New([]byte(strings.Repeat("nk-"+rand.Text(), 1+length/29)[:length]))
		mustSet(t, s, name, v)
		wantValue(t, s, name, v)
		s.(interface{ Lock() }).Lock()
		wantValue(t, s, name, v)
		last := secret.Name(fmt.Sprintf("AFTER_%d", n))
		until([]byte(last), func() { _, _ = s.Get(last) })
		if !heard([]byte(name)) || length > 10 && heard(v.Reveal()) {
			t.Errorf("%d bytes: name heard %v, value heard %v", length, heard([]byte(name)), heard(v.Reveal()))
		}
		if length > 10 {
			until(v.Reveal(), func() { items(t, conn, name) })
		}
	}
}

// Each overwrites what the other wrote; there is one item all the time, with
// the same label, attributes and content type whoever wrote it.
func keyringPython(t *testing.T, conn *dbus.Conn) {
	p, s := startPython(t), store.NewKeyring()
	for first, name := range []secret.Name{"GO_FIRST", "PYTHON_FIRST"} {
		for i := range 20 {
			v := random()
			if i%2 == first {
				mustSet(t, s, name, v)
			} else {
				p.set(t, name, v)
			}
			wantValue(t, s, name, v)
			p.want(t, name, v)
			if n := len(items(t, conn, name)); n != 1 {
				t.Fatalf("%s: %d items after %d writes", name, n, i+1)
			}
		}
	}
	mustSet(t, s, "MADE", random())
	ours := items(t, conn, "MADE")[0]
	if err := s.Delete("MADE"); err != nil {
		t.Fatal(err)
	}
	if got := p.do(t, "get", "MADE"); got != nil {
		t.Error("python reads what was deleted")
	}
	p.set(t, "MADE", random())
	theirs := items(t, conn, "MADE")[0]
	// The daemon itself adds this one to any item, some time after it was written.
	delete(ours.attrs, "xdg:schema")
	delete(theirs.attrs, "xdg:schema")
	if ours.label != theirs.label || ours.content != theirs.content || !maps.Equal(ours.attrs, theirs.attrs) {
		t.Errorf("our item %+v, python's %+v", ours, theirs)
	}
	p.do(t, "rm", "MADE")
	if _, err := s.Get("MADE"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get of what python deleted: %v", err)
	}
}

// Other programs write other attributes, so that there are several items.
func keyringDuplicates(t *testing.T, conn *dbus.Conn) {
	p, s := startPython(t), store.NewKeyring()
	others := map[string]func(name secret.Name, v secret.Value){
		"go-keyring": func(name secret.Name, v secret.Value) {
			if err := gokeyring.Set("nbhush", string(name), string(v.Reveal())); err != nil {
				t.Fatal(err)
			}
		},
		"libsecret": func(name secret.Name, v secret.Value) {
			needProgram(t, "secret-tool")
			cmd := exec.CommandContext(t.Context(), "secret-tool", "store", "--label=x", "service", "nbhush", "username", string(name), "more", "yes")
			cmd.Stdin = strings.NewReader(string(v.Reveal()))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		},
	}
	for who, write := range others {
		name := secret.Name("DUP_" + strings.ReplaceAll(who, "-", "_"))
		t.Run(who, func(t *testing.T) {
			for range 3 {
				write(name, random())
				p.set(t, name, random())
				if n := len(items(t, conn, name)); n != 2 {
					t.Fatalf("%d items, so there is nothing to test", n)
				}
				// The newest counts. The clock of the service has seconds: write
				// until it ticked.
				v := random()
				for newest := false; !newest; {
					write(name, v)
					newest = foreignIsNewest(items(t, conn, name))
				}
				wantValue(t, s, name, v)
				v = random()
				mustSet(t, s, name, v)
				if n := len(items(t, conn, name)); n != 1 {
					t.Fatalf("%d items after a set", n)
				}
				wantValue(t, s, name, v)
				p.want(t, name, v)
			}
			write(name, random())
			if err := s.Delete(name); err != nil || len(items(t, conn, name)) != 0 {
				t.Errorf("delete left an item: %v", err)
			}
		})
	}
}

func foreignIsNewest(all []item) bool {
	newest := slices.MaxFunc(all, func(a, b item) int { return int(a.modified) - int(b.modified) })
	for _, it := range all {
		if it.attrs["application"] != "" && it.modified == newest.modified {
			return false
		}
	}
	return true
}

func keyringNames(t *testing.T) {
	s := store.NewKeyring()
	before, err := s.Names()
	if err != nil {
		t.Fatal(err)
	}
	if err := gokeyring.Set("another service", "OTHER", "x"); err != nil {
		t.Fatal(err)
	}
	if err := gokeyring.Set("nbhush", "not a name", "x"); err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "NBHUSH_VAULT_KEY", random())
	if after, err := s.Names(); err != nil || !slices.Equal(before, after) {
		t.Errorf("names %v, %v, want %v", after, err, before)
	}
}

// As on macOS and Windows: long values in the vault, its key in the keyring.
func keyringSpill(t *testing.T, conn *dbus.Conn) {
	path := filepath.Join(t.TempDir(), "vault.age")
	k := store.NewKeyring()
	open := func() store.Store { return store.NewSpill(k, vault.OpenWithKeyIn(k, path), 40) }
	short, long := random(), secret.New([]byte(strings.Repeat("long", 20)))
	mustSet(t, open(), "SHORT", short)
	mustSet(t, open(), "LONG", long)
	wantValue(t, open(), "SHORT", short)
	wantValue(t, open(), "LONG", long)
	if len(items(t, conn, "LONG")) != 0 || len(items(t, conn, "NBHUSH_VAULT_KEY")) != 1 {
		t.Error("the long value is in the keyring, or the key is not")
	}
	names, err := open().Names()
	if err != nil || !slices.Contains(names, "LONG") || !slices.Contains(names, "SHORT") || slices.Contains(names, "NBHUSH_VAULT_KEY") {
		t.Errorf("names %v, %v", names, err)
	}
	if err := errors.Join(open().Delete("LONG"), open().Delete("SHORT")); err != nil {
		t.Error(err)
	}
}

func keyringLocked(t *testing.T, conn *dbus.Conn, s store.Store) {
	var done []dbus.ObjectPath
	var prompt dbus.ObjectPath
	err := conn.Object(secretsName, "/org/freedesktop/secrets").Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{loginPath}).Store(&done, &prompt)
	if err != nil || len(done) != 1 {
		t.Fatalf("lock: %v, %v", done, err)
	}
	wantLocked(t, "probe", store.KeyringAnswers(t.Context()))
	_, err = s.Get("AGAIN")
	wantLocked(t, "get", err)
	wantLocked(t, "set", s.Set("AGAIN", random()))
	wantLocked(t, "delete", s.Delete("AGAIN"))
	_, err = s.Names()
	wantLocked(t, "names", err)
}

func wantLocked(t *testing.T, doing string, err error) {
	t.Helper()
	var h interface{ Hint() string }
	if !errors.Is(err, store.ErrLocked) || !errors.As(err, &h) || h.Hint() == "" {
		t.Errorf("%s: %v, without a hint or not ErrLocked", doing, err)
	}
}

// fakeService is a locked Secret Service that counts what is asked of it.
type fakeService struct {
	conn *dbus.Conn
	mu   sync.Mutex
	fakeState
}

type fakeState struct {
	locked, dismisses           bool
	found                       []dbus.ObjectPath
	unlocks, prompts, dismissed int
}

// state returns the state, after change if that is not nil.
func (f *fakeService) state(change func(*fakeState)) fakeState {
	f.mu.Lock()
	defer f.mu.Unlock()
	if change != nil {
		change(&f.fakeState)
	}
	return f.fakeState
}

const fakeRoot, fakePrompt = dbus.ObjectPath("/org/freedesktop/secrets"), dbus.ObjectPath("/org/freedesktop/secrets/prompt/1")

func (f *fakeService) OpenSession(algorithm string, _ dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	if algorithm != "plain" {
		return dbus.MakeVariant(""), "/", dbus.NewError("org.freedesktop.DBus.Error.NotSupported", nil)
	}
	return dbus.MakeVariant(""), "/session", nil
}

func (f *fakeService) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) { return loginPath, nil }

func (f *fakeService) Unlock([]dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f.state(func(s *fakeState) { s.unlocks++ })
	return nil, fakePrompt, nil
}

func (f *fakeService) Get(_, property string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(f.state(nil).locked), nil
}

func (f *fakeService) SearchItems(map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	return f.state(nil).found, nil
}

func (f *fakeService) Prompt(string) *dbus.Error {
	s := f.state(func(s *fakeState) {
		s.prompts++
		s.locked = s.dismisses
	})
	if err := f.conn.Emit(fakePrompt, "org.freedesktop.Secret.Prompt.Completed", s.dismisses, dbus.MakeVariant("")); err != nil {
		return dbus.MakeFailedError(err)
	}
	return nil
}

func (f *fakeService) Dismiss() *dbus.Error {
	f.state(func(s *fakeState) { s.dismissed++ })
	return nil
}

func startFake(t *testing.T) *fakeService {
	t.Helper()
	f := &fakeService{conn: privateBus(t), fakeState: fakeState{locked: true}}
	for path, iface := range map[dbus.ObjectPath]string{
		fakeRoot: "org.freedesktop.Secret.Service", fakePrompt: "org.freedesktop.Secret.Prompt", loginPath: "org.freedesktop.Secret.Collection",
	} {
		if err := errors.Join(f.conn.Export(f, path, iface), f.conn.Export(f, path, "org.freedesktop.DBus.Properties")); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := f.conn.RequestName(secretsName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("request name: %v, %v", reply, err)
	}
	return f
}

// Only a process with a screen may start a prompt, and the probe never does.
func TestKeyringPrompt(t *testing.T) {
	inSession(t, func(t *testing.T) {
		f := startFake(t)
		wantLocked(t, "probe", store.KeyringAnswers(t.Context()))
		t.Setenv("DISPLAY", ":0")
		wantLocked(t, "probe with a screen", store.KeyringAnswers(t.Context()))
		if s := f.state(nil); s.unlocks != 0 || s.prompts != 0 {
			t.Fatalf("the probe asked for %d unlocks and %d prompts", s.unlocks, s.prompts)
		}
		t.Setenv("DISPLAY", "")
		_, err := store.NewKeyring().Get("A")
		wantLocked(t, "get without a screen", err)
		if s := f.state(nil); s.prompts != 0 || s.dismissed != 1 {
			t.Fatalf("without a screen there were %d prompts, %d dismissed", s.prompts, s.dismissed)
		}
		t.Setenv("DISPLAY", ":0")
		f.state(func(s *fakeState) { s.dismisses = true })
		_, err = store.NewKeyring().Get("A")
		wantLocked(t, "get, and the user says no", err)
		f.state(func(s *fakeState) { s.dismisses = false })
		if _, err := store.NewKeyring().Get("A"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get, and the user says yes: %v", err)
		}
		if s := f.state(nil); s.prompts != 2 {
			t.Errorf("%d prompts, want 2", s.prompts)
		}
	})
}

// fakeItem is one item of a fakeService; its value is its own path.
type fakeItem struct {
	path        dbus.ObjectPath
	modified    uint64
	application string
}

func (it fakeItem) Get(_, property string) (dbus.Variant, *dbus.Error) {
	if property == "Modified" {
		return dbus.MakeVariant(it.modified), nil
	}
	return dbus.MakeVariant(map[string]string{"application": it.application}), nil
}

type fakeSecret struct {
	Session       dbus.ObjectPath
	Params, Value []byte
	ContentType   string
}

func (it fakeItem) GetSecret(session dbus.ObjectPath) (fakeSecret, *dbus.Error) {
	return fakeSecret{session, []byte{}, []byte(it.path), "text/plain"}, nil
}

// A service may answer in any order; of items of one second the one that
// Python's keyring and nbhush overwrite in place counts.
func TestKeyringNewest(t *testing.T) {
	inSession(t, func(t *testing.T) {
		const shared = "Python keyring library"
		f := startFake(t)
		f.state(func(s *fakeState) { s.locked = false })
		for i, c := range []struct{ best, other fakeItem }{
			{fakeItem{"/i/1", 20, ""}, fakeItem{"/i/2", 10, shared}},
			{fakeItem{"/i/3", 20, shared}, fakeItem{"/i/4", 10, ""}},
			{fakeItem{"/i/5", 20, shared}, fakeItem{"/i/6", 20, ""}},
		} {
			for _, it := range []fakeItem{c.best, c.other} {
				err := errors.Join(f.conn.Export(it, it.path, "org.freedesktop.Secret.Item"), f.conn.Export(it, it.path, "org.freedesktop.DBus.Properties"))
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, found := range [][]dbus.ObjectPath{{c.best.path, c.other.path}, {c.other.path, c.best.path}} {
				f.state(func(s *fakeState) { s.found = found })
				got, err := store.NewKeyring().Get("A")
				if err != nil || string(got.Reveal()) != string(c.best.path) {
					t.Errorf("case %d, %v: got another item, %v", i, found, err)
				}
			}
		}
	})
}

func TestNoKeyring(t *testing.T) {
	dir := t.TempDir()
	silent, err := net.Listen("unix", filepath.Join(dir, "silent"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for name, address := range map[string]string{
		"no socket": "unix:path=" + filepath.Join(dir, "none"), "silent": "unix:path=" + filepath.Join(dir, "silent"), "nonsense": "x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := store.KeyringAnswers(ctx); err == nil {
				t.Error("it answers")
			}
		})
	}
}
