package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/kernelhook/redact"
)

func newMaskCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "mask",
		Short: "copy standard input to standard output without the values of secrets",
		Long: `Copies standard input to standard output with the value of every stored secret replaced by
[nbhush:NAME], however it is encoded. What cannot be checked is not passed on.`,
		Example: `  python train.py 2>&1 | nbhush mask
  kubectl logs -f job/train | nbhush mask >train.log`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runMask(cmd.Context(), a) },
	}
}

func runMask(ctx context.Context, a *app) error {
	s, err := a.client().Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	f := noting{finder: s}
	r := redact.Redactor{Finder: &f}
	if err := r.Copy(ctx, a.out, a.in); err != nil {
		return err
	}
	return f.failed()
}

// noting is a Finder that remembers the first error of another one.
type noting struct {
	finder match.Finder

	mu  sync.Mutex
	err error
}

func (n *noting) Find(ctx context.Context, text []byte) (match.Result, error) {
	r, err := n.finder.Find(ctx, text)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.err == nil {
			n.err = err
		}
	}
	return r, err
}

func (n *noting) failed() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}
