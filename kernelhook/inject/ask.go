package inject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-zeromq/zmq4"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
)

// Ask asks the endpoint of the kernel that this process runs in for the values
// of names, in their order. If it is for one name, the user is asked for consent
// where that is needed, which may take minutes. Its errors are those of the agent, *api.Error, or
// say that the endpoint did not answer. The values are the caller's to wipe.
func Ask(ctx context.Context, endpoint, token string, names []string) ([]secret.Value, error) {
	values, err := ask(ctx, endpoint, token, "get", names)
	var e *api.Error
	if len(names) != 1 || !errors.As(err, &e) || e.Code != api.CodeConsent {
		return values, err
	}
	return ask(ctx, endpoint, token, "consent", names)
}

// Hold asks for the value of one name that is put into the environment of the kernel,
// where it is followed from then on. The value is the caller's to wipe.
func Hold(ctx context.Context, endpoint, token, name string) (secret.Value, error) {
	values, err := ask(ctx, endpoint, token, "hold", []string{name})
	if err != nil {
		return secret.Value{}, err
	}
	return values[0], nil
}

// Follow asks the endpoint what has to stand in the place of a variable that has this
// value now. same: what is there stays. The value is the caller's to wipe.
func Follow(ctx context.Context, endpoint, token, name string, now secret.Value) (v secret.Value, same bool, err error) {
	reply, err := exchange(ctx, endpoint, [][]byte{[]byte(Version), []byte(token), []byte("follow"), []byte(name), now.Reveal()})
	switch {
	case err != nil:
		return v, false, err
	case len(reply) == 2 && string(reply[1]) == "same":
		return v, true, nil
	case len(reply) == 3 && string(reply[1]) == "put":
		return secret.New(reply[2]), false, nil
	}
	return v, false, errOther
}

// errOther is that of an endpoint of another version.
var errOther = &api.Error{
	Code: api.CodeVersion, Message: "the kernel's endpoint speaks another protocol than " + Version,
	Mend: "restart the kernel, so that both sides are of one version",
}

// ask makes one request for as many values as there are names.
func ask(ctx context.Context, endpoint, token, verb string, names []string) ([]secret.Value, error) {
	frames := [][]byte{[]byte(Version), []byte(token), []byte(verb)}
	for _, n := range names {
		frames = append(frames, []byte(n))
	}
	reply, err := exchange(ctx, endpoint, frames)
	if err != nil {
		return nil, err
	}
	if len(reply) != len(names)+1 {
		return nil, errOther
	}
	values := make([]secret.Value, len(names))
	for i, v := range reply[1:] {
		values[i] = secret.New(v)
	}
	return values, nil
}

// exchange makes one request. The reply begins with "ok".
func exchange(ctx context.Context, endpoint string, frames [][]byte) ([][]byte, error) {
	reply, err := roundTrip(ctx, endpoint, frames)
	if err != nil {
		return nil, &api.Error{
			Code: api.CodeAway, Message: fmt.Sprintf("the kernel's endpoint does not answer: %v", err),
			Mend: "restart the kernel, or give it its secrets again: nbhush inject NAME (nbhush jupyter status says what starts behind nbhush)",
		}
	}
	if len(reply) == 2 && string(reply[0]) == "error" {
		e := new(api.Error)
		if err := json.Unmarshal(reply[1], e); err != nil {
			return nil, fmt.Errorf("read the kernel's endpoint: %w", err)
		}
		return nil, e
	}
	if len(reply) == 0 || string(reply[0]) != "ok" {
		return nil, errOther
	}
	return reply, nil
}

func roundTrip(ctx context.Context, endpoint string, frames [][]byte) ([][]byte, error) {
	req := zmq4.NewReq(ctx, zmq4.WithDialerMaxRetries(2))
	defer func() { _ = req.Close() }()
	type answer struct {
		frames [][]byte
		err    error
	}
	done := make(chan answer, 1) // zmq4 heeds ctx in Dial only before it connects
	go func() {
		if err := req.Dial(endpoint); err != nil {
			done <- answer{err: err}
			return
		}
		if err := req.SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
			done <- answer{err: err}
			return
		}
		m, err := req.Recv()
		done <- answer{m.Frames, err}
	}()
	select {
	case a := <-done:
		return a.frames, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
