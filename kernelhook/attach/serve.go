package attach

import (
	"context"
	"errors"
	"fmt"

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
	offer, err := kernelhook.NewOffer(s.RunDir, s.File, grant.Profile, source{s.Agent})
	if err != nil {
		return err
	}
	if err := s.Ready(offer.Endpoint, offer.Token, since); err != nil {
		return errors.Join(err, offer.Close())
	}
	select {
	case <-s.Ended:
	case <-ctx.Done():
	}
	return offer.Close()
}

// source is the agent to inject.Server.
type source struct{ Agent }

// Know does nothing: no output of the kernel passes here.
func (source) Know(string, secret.Value) {}

// Follow says that what is there stays: nobody tells such a kernel to ask.
func (source) Follow(string, secret.Value) (secret.Value, bool) { return secret.Value{}, true }

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
