package attach

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook"
	"github.com/nbhush/nbhush/kernelhook/inject"
	"github.com/nbhush/nbhush/kernelhook/zsock"
)

// Agent is what Serve needs of a connection to the agent. Its errors are
// *api.Error. It connects again, and registers again, when the agent went away.
type Agent interface {
	RegisterKernel(ctx context.Context, k api.Kernel) (api.Grant, error)
	Get(ctx context.Context, name string) (secret.Value, error)
	Names(ctx context.Context) ([]string, error)
	// Refresh says what has to change of the values that the kernel holds.
	Refresh(ctx context.Context, held []api.Held) (api.Refreshed, error)
	// Epoch returns a number that changes when anything changes that a value
	// depends on, and false where that cannot be known.
	Epoch() (uint64, bool)
	Profile(ctx context.Context) (api.Profile, error)
	Refused(ctx context.Context, q api.Refused) error
}

// Serving says what to serve.
type Serving struct {
	Agent  Agent
	RunDir string          // home.Home.Run
	Epoch  string          // path of the agent's file of api.EpochFile
	File   string          // connection file of the kernel, or ""
	Ended  <-chan struct{} // closed when the kernel has ended
	Kernel api.Kernel      // Attached and what else is known of it
	Names  []secret.Name   // that it will ask for at once: if it may not have them, nothing is served
	Ready  func(endpoint, token, since string) error

	// Client is of the kernel, and Serve's until it returns; nil where there is no connection
	// file. What follows is for a kernel that has no code of its own that asks for changes.
	Client   *Client
	Language string                         // language_info.name
	Program  string                         // path of nbhush
	Up       func(ctx context.Context) bool // reports whether an agent runs, and starts none
}

// Serve answers a running kernel until it has ended or ctx has.
func Serve(ctx context.Context, s Serving) error {
	if err := kernelhook.Protect(); err != nil {
		return fmt.Errorf("protect this process: %w", err)
	}
	s.Kernel.Attached = true
	grant, err := s.Agent.RegisterKernel(ctx, s.Kernel)
	for _, v := range grant.Values { // an agent that is older gives them all
		clear(v)
	}
	if err != nil {
		return err
	}
	since := "" // what changes from here on is what the kernel has to hear of
	if epoch, ok := s.Agent.Epoch(); ok {
		since = inject.Since(epoch, s.Epoch)
	}
	for _, name := range s.Names {
		v, err := s.Agent.Get(ctx, string(name))
		if err != nil {
			return err
		}
		v.Wipe()
	}
	if want := s.Kernel.Profile; want != "" && want != grant.Profile { // Get's error names one that others have
		return &api.Error{
			Code: api.CodeBadInput, Message: fmt.Sprintf("there is no profile %q here: the nbhush.toml of the kernel's folder has none", want),
			Mend: "leave --profile out",
		}
	}
	from := source{s.Agent}
	follower := kernelhook.NewFollower(from, s.Program, nil)
	offer, err := kernelhook.NewOffer(s.RunDir, s.File, grant.Profile, answers{from, follower})
	if err != nil {
		return err
	}
	if err := s.Ready(offer.Endpoint, offer.Token, since); err != nil {
		return errors.Join(err, offer.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var following sync.WaitGroup
	if l, _ := inject.LanguageOf(s.Language); l.Follows() && s.Client != nil {
		following.Go(func() { s.follow(ctx, follower) })
	}
	select {
	case <-s.Ended:
	case <-ctx.Done():
	}
	cancel()
	following.Wait()
	return offer.Close()
}

// answers is what the kernel asks.
type answers struct {
	source
	*kernelhook.Follower
}

// source is the agent to answers.
type source struct{ Agent }

// Know does nothing: no output of the kernel passes here.
func (source) Know(string, secret.Value) {}

// Consent says no: the user's answer would not pass here either.
func (source) Consent(_ context.Context, q inject.Question) (secret.Value, error) {
	return secret.Value{}, &api.Error{
		Code: api.CodeDenied, Message: "nobody can be asked for " + q.Name + " in a kernel that nbhush did not start",
		Mend: "list it in the project's nbhush.toml, then run: nbhush allow",
	}
}

// Refused notes who asked without the kernel's token.
func (s source) Refused(ctx context.Context, _ zsock.Conn, why string) {
	_ = s.Agent.Refused(ctx, api.Refused{Why: why}) // an agent that is away hears nothing
}
