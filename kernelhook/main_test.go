package kernelhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook/inject"
)

// The test binary is also the hook that Jupyter starts, with an agent of its
// own: "hook RUNDIR AGENTDIR -f CONNECTION_FILE -- ARGV…", a kernel, "echo CONNECTION_FILE",
// and what cells of other languages call: "get NAME".
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
	exit, err := Run(context.Background(), Options{
		ConnectionFile: file, Argv: argv, RunDir: run,
		Connect: func(context.Context) (Agent, error) { return dialTestAgent(agent) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "hook:", err)
		return 1
	}
	return exit.Leave()
}

// testAgent is an agent whose state is a directory, so that a test in another
// process can change it: values.json holds {"NAME": {"Value", "Granted", "Allowed"}},
// and while there is a file called away, it is.
type testAgent struct {
	dir    string
	values map[string]testValue
	set    *match.Set
}

type testValue struct {
	Value            string
	Granted, Allowed bool
}

var errTestAway = &api.Error{Code: api.CodeAway, Message: "the agent is away", Mend: "start it with: nbhush agent start"}

func dialTestAgent(dir string) (*testAgent, error) {
	a := &testAgent{dir: dir}
	if a.away() {
		return nil, errTestAway
	}
	b, err := os.ReadFile(filepath.Join(dir, "values.json"))
	if err == nil {
		err = json.Unmarshal(b, &a.values)
	}
	var known []match.Known
	for name, v := range a.values {
		known = append(known, match.Known{Name: secret.Name(name), Value: secret.New([]byte(v.Value))})
	}
	a.set = match.New(known)
	return a, err
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
	g := api.Grant{ID: "test", Values: map[string][]byte{}}
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
	case !v.Allowed:
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

func (a *testAgent) Epoch() (uint64, bool)                    { return 0, false }
func (a *testAgent) Again(context.Context, string, int) error { return nil }
func (a *testAgent) Close() error                             { return nil }
