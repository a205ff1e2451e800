package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/secret"
	"github.com/nbhush/nbhush/kernelhook"
	"github.com/nbhush/nbhush/kernelhook/attach"
	"github.com/nbhush/nbhush/kernelhook/kernelspec"
)

type injectOptions struct {
	names            []secret.Name
	kernel, notebook string
	profile          string
	all, watch       bool
	patience         time.Duration
}

func newInjectCmd(a *app) *cobra.Command {
	var o injectOptions
	cmd := &cobra.Command{
		Use:   "inject NAME…",
		Short: "give secrets to a kernel that runs already, such as one of VS Code",
		Long: `Gives secrets to kernels that nbhush did not start, by their connection files in
Jupyter's runtime folder: environment variables of their names (and variables, in
Python), and nbhush get in their cells. The nbhush.toml of the notebook's folder
counts, as everywhere; without a notebook that a Jupyter server knows, it is that of
the kernel's own folder (or of this command, where that cannot be seen, as on macOS).

What such a kernel shows does not pass through nbhush: values are not taken out of its
output. Saving and git check the notebook as ever.

Without a choice, the one kernel that runs is meant.`,
		Example: `  nbhush inject API_TOKEN
  nbhush inject API_TOKEN --notebook analysis.ipynb
  nbhush inject DB_URL --profile prod      (and for as long as that kernel runs)
  nbhush inject API_TOKEN --watch          (each kernel that starts from now on)`,
		Args: argRange(1, -1, "the NAME of a secret"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.names, err = parseNames(args); err != nil {
				return err
			}
			return runInject(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kernel, "kernel", "", "the kernel with this id, or the beginning of it, or this connection file")
	f.StringVar(&o.notebook, "notebook", "", "the kernel of this notebook")
	f.BoolVar(&o.all, "all", false, "every kernel that runs")
	f.BoolVar(&o.watch, "watch", false, "every kernel that starts from now on, until this command is ended")
	profileFlag(cmd, &o.profile)
	f.DurationVar(&o.patience, "wait", 10*time.Second, "how long to wait for a kernel whose cell runs")
	cmd.MarkFlagsMutuallyExclusive("kernel", "notebook", "all", "watch")
	return cmd
}

func runInject(ctx context.Context, a *app, o injectOptions) error {
	in, err := a.injector(o)
	if err != nil {
		return err
	}
	if o.watch {
		return in.watch(ctx)
	}
	chosen, err := in.chosen(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, k := range chosen {
		if _, err := in.inject(ctx, k); err != nil {
			errs = append(errs, fmt.Errorf("kernel %s: %w", k.ID, err))
		}
	}
	for len(errs) > 1 {
		a.fail(errs[0])
		errs = errs[1:]
	}
	return errors.Join(errs...)
}

// chosen returns the kernels that are meant, and shows those that run where that is not clear.
func (in *injector) chosen(ctx context.Context) ([]attach.Kernel, error) {
	if strings.HasSuffix(in.kernel, ".json") || strings.ContainsAny(in.kernel, `/`+string(filepath.Separator)) { // as no id is
		const mend = "leave --kernel out to see those that run"
		k, err := in.places.Kernel(ctx, in.kernel)
		switch {
		case err != nil:
			return nil, &whichError{err.Error(), mend}
		case !in.places.Answers(ctx, k.File):
			return nil, &whichError{"no kernel answers by " + k.File, mend}
		}
		return []attach.Kernel{k}, nil
	}
	all, err := in.places.Kernels(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := in.choose(all)
	var which *whichError
	if errors.As(err, &which) {
		_ = in.printKernels(all)
	}
	return chosen, err
}

// whichError says that the words of the command mean no kernel, or several, or one that does not answer.
type whichError struct{ message, hint string }

func (e *whichError) Error() string { return e.message }

// Hint says how to choose.
func (e *whichError) Hint() string { return e.hint }

// profileError says that a kernel has been given secrets in another profile.
type profileError struct {
	on, wanted string
	name       secret.Name
}

func (e *profileError) Error() string {
	if e.on == "" {
		return "it has its secrets without a profile, and keeps to that until it ends"
	}
	return "it has its secrets in the profile " + e.on + ", and keeps to that until it ends"
}

// Hint says how to have one of another.
func (e *profileError) Hint() string {
	return fmt.Sprintf("restart it, or ask in its cells: nbhush.get(%q, profile=%q)", e.name, e.wanted)
}

const hintWhich = "choose with --kernel ID, --notebook PATH or --all"

// choose returns the kernels that are meant.
func (o injectOptions) choose(all []attach.Kernel) ([]attach.Kernel, error) {
	var match func(attach.Kernel) bool
	switch {
	case len(all) == 0:
		return nil, &whichError{"no kernel runs", "start one, or wait for one with --watch"}
	case o.all:
		return all, nil
	case o.kernel != "":
		match = func(k attach.Kernel) bool { return strings.HasPrefix(k.ID, o.kernel) }
	case o.notebook != "":
		match = func(k attach.Kernel) bool { return k.Notebook != "" && sameFile(k.Notebook, o.notebook) }
	default:
		match = func(attach.Kernel) bool { return true }
	}
	var chosen []attach.Kernel
	for _, k := range all {
		if k.ID == o.kernel {
			return []attach.Kernel{k}, nil
		}
		if match(k) {
			chosen = append(chosen, k)
		}
	}
	switch {
	case len(chosen) == 0 && o.notebook != "":
		return nil, &whichError{"no Jupyter server of yours has a running kernel for " + o.notebook, "choose it with --kernel ID"}
	case len(chosen) == 0:
		return nil, &whichError{fmt.Sprintf("no kernel that runs has the id %q", o.kernel), hintWhich}
	case len(chosen) > 1 && o.notebook == "":
		return nil, &whichError{plural(len(chosen), "kernel") + " are meant", hintWhich}
	}
	return chosen, nil
}

func (a *app) printKernels(all []attach.Kernel) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(a.err, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "KERNEL\tNBHUSH\tNOTEBOOK OR FOLDER\n")
	for _, k := range all {
		where := k.Notebook
		if where == "" {
			where = k.Dir
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(k.ID), k.State, printable(where))
	}
	return w.Flush()
}

// injector gives names to kernels.
type injector struct {
	*app
	injectOptions
	places  attach.Places
	program string
}

func (a *app) injector(o injectOptions) (*injector, error) {
	dirs, err := kernelspec.FindDirs(a.getenv)
	if err != nil {
		return nil, err
	}
	program, err := ownPath()
	if err != nil {
		return nil, err
	}
	return &injector{a, o, attach.Places{Runtime: dirs.Runtime, Run: a.home.Run}, program}, nil
}

// inject gives the names to one kernel. ended is closed when the process that
// answers it has ended; it is nil where none was started.
func (in *injector) inject(ctx context.Context, k attach.Kernel) (ended <-chan struct{}, err error) {
	if k.State == kernelhook.Hooked {
		in.say("kernel %s runs behind nbhush already; write in its cells: %%hush %s", k.ID, in.words())
		return nil, nil
	}
	if k.State == kernelhook.Attached && in.profile != "" && in.profile != k.Profile {
		return nil, &profileError{k.Profile, in.profile, in.names[0]}
	}
	ctx, cancel := context.WithTimeout(ctx, in.patience)
	defer cancel()
	c, err := attach.Dial(ctx, k.File)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	language, err := c.Language(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &whichError{"it did not answer: kernels of some languages do not while a cell runs", "try again when it is idle, or with a longer --wait"}
	}
	if err != nil {
		return nil, err
	}
	names := attach.Names{Program: in.program, Names: in.names}
	if k.State == kernelhook.Bare {
		var stop func()
		var r attachReply
		if r, ended, stop, err = in.serve(ctx, k, language); err != nil {
			return nil, err
		}
		names.Endpoint, names.Token, names.Since = r.Endpoint, r.Token, r.Epoch
		defer func() {
			var busy *attach.BusyError
			if err != nil && !errors.As(err, &busy) {
				stop()
			}
		}()
	}
	if err := c.Inject(ctx, language, names); err != nil {
		return ended, err
	}
	in.say("kernel %s has %s; values are not taken out of what it shows", k.ID, in.words())
	return ended, nil
}

func (in *injector) words() string {
	words := make([]string, len(in.names))
	for i, n := range in.names {
		words[i] = string(n)
	}
	return strings.Join(words, " ")
}

// serve starts nbhush attach for k, in a session of its own, and waits until it
// serves. stop ends it.
func (in *injector) serve(ctx context.Context, k attach.Kernel, language string) (r attachReply, ended <-chan struct{}, stop func(), err error) {
	fail := func(err error) (attachReply, <-chan struct{}, func(), error) { return attachReply{}, nil, nil, err }
	if k.Dir == "" {
		if k.Dir, err = os.Getwd(); err != nil {
			return fail(err)
		}
	}
	args := []string{
		"attach", "--file", k.File, "--dir", k.Dir, "--notebook", k.Notebook,
		"--program", language, "--pid", strconv.Itoa(k.PID), "--profile", in.profile, "--",
	}
	for _, n := range in.names {
		args = append(args, string(n))
	}
	cmd := exec.Command(in.program, args...)
	cmd.Dir = string(filepath.Separator)
	detach(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	line := make(chan attachReply, 1)
	end := make(chan struct{})
	go func() {
		defer close(end)
		lines := bufio.NewReader(out)
		var r attachReply
		text, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			line <- attachReply{}
		} else {
			line <- r
		}
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
	}()
	stop = func() {
		_ = cmd.Process.Kill()
		<-end
	}
	select {
	case r := <-line:
		switch {
		case r.Error != nil:
			return fail(r.Error)
		case r.Endpoint == "":
			return fail(errors.New("nbhush attach ended without a word"))
		}
		return r, end, stop, nil
	case <-ctx.Done():
		stop()
		return fail(fmt.Errorf("wait for the endpoint: %w", ctx.Err()))
	}
}

// watch gives the names to each kernel that starts until ctx ends, and again
// after it was restarted. What answers the kernels stays until they end.
func (in *injector) watch(ctx context.Context) error {
	ready := func() { in.say("kernels that start from now on get %s; end this with Ctrl-C", in.words()) }
	return in.places.Watch(ctx, ready, func(ctx context.Context, k attach.Kernel) bool {
		ended, err := in.inject(ctx, k)
		if err != nil && ctx.Err() == nil {
			in.fail(fmt.Errorf("kernel %s: %w", k.ID, err))
		}
		if ended == nil {
			return false
		}
		select {
		case <-ended:
			_, err := os.Stat(k.File)
			return err == nil // it may be restarted
		case <-ctx.Done():
			return false
		}
	})
}
