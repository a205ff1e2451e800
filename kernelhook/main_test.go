package kernelhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/inject"
)

// The test binary is also the hook that Jupyter starts, with an agent of its
// own: "hook RUNDIR AGENTDIR -f CONNECTION_FILE -- ARGV…", a kernel, "echo CONNECTION_FILE",
// what cells of other languages call: "get NAME", and who connects to a kernel: "dial
// NETWORK ADDRESS".
func TestMain(m *testing.M) {
	if len(os.Args) > 6 && os.Args[1] == "hook" {
		os.Exit(testHook(os.Args[2], os.Args[3], os.Args[5], os.Args[7:]))
	}
	if len(os.Args) == 3 && os.Args[1] == "echo" {
		os.Exit(echoKernel(os.Args[2]))
	}
	if len(os.Args) == 3 && os.Args[1] == "get" {
		os.Exit(testGet(os.Args[2]))
	}
	if len(os.Args) == 4 && os.Args[1] == "dial" {
		os.Exit(testDial(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// testGet is nbhush get in a kernel.
func testGet(name string) int {
	values, err := inject.Ask(context.Background(), os.Getenv("NBHUSH_ENDPOINT"), os.Getenv("NBHUSH_TOKEN"), []string{name})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, err = os.Stdout.Write(values[0].Reveal())
	if err != nil {
		return 1
	}
	return 0
}

func testHook(run, agent, file string, argv []string) int {
	patience, _ := time.ParseDuration(os.Getenv("NBHUSH_TEST_PATIENCE"))
	exit, err := Run(context.Background(), Options{
		ConnectionFile: file, Argv: argv, RunDir: run, Epoch: filepath.Join(agent, "epoch"),
		Connect: func(context.Context) (Agent, error) { return dialTestAgent(agent) }, patience: patience,
		OtherUsers: os.Getenv("NBHUSH_TEST_OTHER_USERS") != "",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "hook:", err)
		return 1
	}
	return exit.Leave()
}

// testAgent is an agent whose state is a directory, so that a test in another
// process can change it: values.json holds {"NAME": {"Value", "Granted", "Allowed", "Ask"}},
// and while there is a file called away, it is. The file answers gets a line for
// each consent.
type testAgent struct {
	dir    string
	values map[string]testValue
	yes    map[string]bool // by consent
	set    *match.Set
}

type testValue struct {
	Value                 string
	Granted, Allowed, Ask bool
}

var errTestAway = &api.Error{Code: api.CodeAway, Message: "the agent is away", Mend: "start it with: nbhush agent start"}

func dialTestAgent(dir string) (*testAgent, error) {
	a := &testAgent{dir: dir, yes: map[string]bool{}}
	if a.away() {
		return nil, errTestAway
	}
	err := a.load()
	var known []match.Known
	for name, v := range a.values {
		known = append(known, match.Known{Name: secret.Name(name), Value: secret.New([]byte(v.Value))})
	}
	a.set = match.New(known)
	return a, err
}

// load reads the values again.
func (a *testAgent) load() error {
	b, err := os.ReadFile(filepath.Join(a.dir, "values.json"))
	if err == nil {
		a.values = nil
		err = json.Unmarshal(b, &a.values)
	}
	return err
}

func (a *testAgent) Consent(_ context.Context, name string, answer api.Answer, client int) (secret.Value, error) {
	f, err := os.OpenFile(filepath.Join(a.dir, "answers"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, name, answer, client)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return secret.Value{}, err
	}
	switch answer {
	case api.AnswerKernel, api.AnswerNotebook:
		a.yes[name] = true
	case api.AnswerOnce:
	default:
		return secret.Value{}, &api.Error{Code: api.CodeDenied, Message: "the answer for " + name + " was " + string(answer), Mend: "allow it with: nbhush allow"}
	}
	return secret.New([]byte(a.values[name].Value)), nil
}

func (a *testAgent) Refresh(_ context.Context, held []api.Held) (r api.Refreshed, err error) {
	if err := a.load(); err != nil {
		return r, err
	}
	r.New = map[string][]byte{}
	for _, h := range held {
		v, ok := a.values[h.Name]
		sum := sha256.Sum256([]byte(v.Value))
		if !ok || !v.Allowed {
			r.Gone = append(r.Gone, h.Name)
		} else if !bytes.Equal(sum[:], h.Sum) {
			r.New[h.Name] = []byte(v.Value)
		}
	}
	return r, nil
}

func (a *testAgent) Profile(context.Context) (api.Profile, error) {
	return api.Profile{Profile: a.values["PROFILE"].Value}, nil
}

func (a *testAgent) Refused(_ context.Context, q api.Refused) error {
	return os.WriteFile(filepath.Join(a.dir, "refused"), fmt.Appendf(nil, "%d %s", q.PID, q.Why), 0o600)
}

func (a *testAgent) away() bool {
	_, err := os.Stat(filepath.Join(a.dir, "away"))
	return err == nil
}

func (a *testAgent) Find(ctx context.Context, text []byte) (match.Result, error) {
	if a.away() {
		return match.Result{}, errTestAway
	}
	return a.set.Find(ctx, text)
}

func (a *testAgent) RegisterKernel(_ context.Context, k api.Kernel) (api.Grant, error) {
	if k.API != api.Version || !filepath.IsAbs(k.Dir) || k.Argv0 == "" {
		return api.Grant{}, errors.New("the hook did not say who it is")
	}
	g := api.Grant{ID: "test", Notebook: k.Notebook, Values: map[string][]byte{}}
	for name, v := range a.values {
		if v.Granted {
			g.Values[name] = []byte(v.Value)
		}
	}
	return g, nil
}

func (a *testAgent) Get(ctx context.Context, name string) (secret.Value, error) {
	switch v, ok := a.values[name]; {
	case name == "SLOW":
		<-ctx.Done()
		return secret.Value{}, ctx.Err()
	case a.away():
		return secret.Value{}, errTestAway
	case !ok:
		return secret.Value{}, &api.Error{Code: api.CodeNotFound, Message: "there is no secret called " + name, Mend: "store it with: nbhush set " + name}
	case v.Ask && !a.yes[name]:
		return secret.Value{}, &api.Error{Code: api.CodeConsent, Name: name, Message: name + " needs consent"}
	case !v.Allowed && !v.Ask:
		return secret.Value{}, &api.Error{Code: api.CodeDenied, Message: name + " is not allowed here", Mend: "allow it with: nbhush allow"}
	default:
		return secret.New([]byte(v.Value)), nil
	}
}

func (a *testAgent) Names(context.Context) (names []string, err error) {
	for name, v := range a.values {
		if v.Allowed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Epoch is that of the file epoch, if a test has made one.
func (a *testAgent) Epoch() (uint64, bool) {
	b, err := os.ReadFile(filepath.Join(a.dir, "epoch"))
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b), true
}

func (a *testAgent) Again(context.Context, string, int) error { return nil }
func (a *testAgent) Close() error                             { return nil }
