package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/cmd/internal/kernel"
	"github.com/nbhush/nbhush/kernelhook/attach"
	"github.com/nbhush/nbhush/kernelhook/inject"
)

type attachOptions struct {
	file     string
	kernel   api.Kernel
	untilEOF bool
	names    []secret.Name
}

// attachReply is the one line that nbhush attach prints.
type attachReply struct {
	Endpoint string     `json:"endpoint,omitempty"`
	Token    string     `json:"token,omitempty"`
	Epoch    string     `json:"epoch,omitempty"` // see inject.Since
	Code     string     `json:"code,omitempty"`  // of the Python modules, for who asks from Python
	Error    *api.Error `json:"error,omitempty"`
}

func newAttachCmd(a *app) *cobra.Command {
	var o attachOptions
	cmd := &cobra.Command{
		Use:    "attach --dir DIR [NAME…]",
		Short:  "answer a kernel that runs already; nbhush inject and IPython call this",
		Hidden: true,
		Args:   argRange(0, -1, ""),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.names, err = parseNames(args); err != nil {
				return err
			}
			return runAttach(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.file, "file", "", "the kernel's connection file; this ends with the kernel")
	f.BoolVar(&o.untilEOF, "until-eof", false, "this ends with standard input")
	f.StringVar(&o.kernel.Dir, "dir", "", "the folder whose nbhush.toml counts")
	f.StringVar(&o.kernel.Notebook, "notebook", "", "the kernel's notebook, for the audit log")
	f.StringVar(&o.kernel.Argv0, "program", "", "the kernel's language, for the audit log too")
	f.IntVar(&o.kernel.PID, "pid", 0, "the kernel's process")
	profileFlag(cmd, &o.kernel.Profile)
	cmd.MarkFlagsOneRequired("file", "until-eof")
	return cmd
}

func parseNames(args []string) (names []secret.Name, err error) {
	for _, arg := range args {
		name, err := secret.ParseName(arg)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func runAttach(ctx context.Context, a *app, o attachOptions) error {
	err := serveAttached(ctx, a, o)
	if err == nil {
		return nil
	}
	e := new(api.Error)
	if !errors.As(err, &e) {
		e = &api.Error{Code: api.CodeInternal, Message: err.Error()}
	}
	_ = a.reply(attachReply{Error: e}) // the exit code says it too
	return exitError{code: exitFailed}
}

func (a *app) reply(r attachReply) error { return json.NewEncoder(a.out).Encode(r) }

func serveAttached(ctx context.Context, a *app, o attachOptions) error {
	ended, kernelClient, err := o.ended(ctx, a.in)
	if err != nil {
		return err
	}
	if kernelClient != nil {
		defer func() { _ = kernelClient.Close() }()
	}
	program, err := ownPath()
	if err != nil {
		return err
	}
	stream, err := a.client().Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	return attach.Serve(ctx, attach.Serving{
		Agent: kernel.Agent{Stream: stream}, RunDir: a.home.Run, File: o.file, Ended: ended, Kernel: o.kernel, Names: o.names,
		Epoch:  filepath.Join(a.home.Run, api.EpochFile),
		Client: kernelClient, Language: o.kernel.Argv0, Program: program,
		Up: func(ctx context.Context) bool {
			_, err := a.client().Status(ctx)
			return err == nil
		},
		Ready: func(endpoint, token, since string) error {
			r := attachReply{Endpoint: endpoint, Token: token, Epoch: since}
			if o.untilEOF {
				r.Code = inject.Bootstrap("python")
			}
			return a.reply(r)
		},
	})
}

// ended returns what is closed when the kernel has ended, and its client if it has
// a connection file.
func (o attachOptions) ended(ctx context.Context, in io.Reader) (<-chan struct{}, *attach.Client, error) {
	if !o.untilEOF {
		c, err := attach.Dial(ctx, o.file)
		if err != nil {
			return nil, nil, err
		}
		return c.Ended(), c, nil
	}
	eof := make(chan struct{})
	go func() {
		defer close(eof)
		_, _ = io.Copy(io.Discard, in)
	}()
	return eof, nil, nil
}
