package kernelhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nbhush/nbhush/agent/ambient"
	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/kernelhook/inject"
	"github.com/nbhush/nbhush/kernelhook/proxy"
	"github.com/nbhush/nbhush/kernelhook/redact"
	"github.com/nbhush/nbhush/kernelhook/wire"
)

// Options say what to run.
type Options struct {
	ConnectionFile string    // what Jupyter wrote for its clients
	Argv           []string  // the real kernel, with ConnectionFile in it
	Program        string    // path of nbhush; this executable if empty
	RunDir         string    // home.Home.Run: where the private directory is made
	Env            []string  // what the kernel's environment is made from; this process's if nil
	Dir            string    // working directory, absolute; this process's if empty
	Stdout, Stderr io.Writer // for the kernel's own output, without values; this process's if nil

	// Epoch is the path of the agent's file of api.EpochFile, which tells a kernel
	// between two cells that something may have changed; "" where there is none.
	Epoch string
	// Spelled says that values are also looked for whose characters are printed
	// one by one, with something between them.
	Spelled bool

	// OtherUsers lets other users of this machine connect to the kernel's ports, who get
	// its outputs then unless they are encrypted.
	OtherUsers bool

	// Connect connects to the agent, starting it if need be. It is called
	// again when the connection was lost.
	Connect func(ctx context.Context) (Agent, error)

	patience time.Duration // for the user's answer; consentTime if 0
}

// Exit is how the kernel ended.
type Exit struct {
	Code   int       // 128 + the signal's number if there is a signal
	Signal os.Signal // that ended it, or nil
}

// Leave ends this process as the kernel ended: by the same signal, if there
// was one. Otherwise it returns the exit code to end with.
func (e Exit) Leave() int {
	if e.Signal != nil {
		raise(e.Signal)
	}
	return e.Code
}

// Run runs a kernel until it ends. It changes this process: signals, limits,
// who may look into it. An error says why no kernel could be run.
func Run(ctx context.Context, o Options) (Exit, error) {
	if len(o.Argv) == 0 {
		return Exit{}, errors.New("no kernel to run")
	}
	h := &hook{Options: o}
	if err := h.setDefaults(); err != nil {
		return Exit{}, err
	}
	signals := h.catch()
	defer signal.Stop(signals)
	h.memory = tuneMemory()
	if err := harden(); err != nil {
		h.warn(fmt.Errorf("protect this process: %w", err))
	}
	c, err := readConnection(o.ConnectionFile)
	if err != nil {
		return Exit{}, err
	}
	return h.run(ctx, c, signals)
}

// hook is one run.
type hook struct {
	Options
	link    *link
	memory  *memory
	replays *replays
}

func (h *hook) setDefaults() (err error) {
	if h.Program == "" {
		h.Program, _ = os.Executable() // without it code that asks it fails, and nothing changes
	}
	if h.Env == nil {
		h.Env = os.Environ()
	}
	if h.Stdout == nil {
		h.Stdout = os.Stdout
	}
	if h.Stderr == nil {
		h.Stderr = os.Stderr
	}
	if h.Dir == "" {
		if h.Dir, err = os.Getwd(); err != nil {
			return fmt.Errorf("working directory of the kernel: %w", err)
		}
	}
	return nil
}

// warn writes one line to the server's log.
func (h *hook) warn(err error) { _, _ = fmt.Fprintln(h.Stderr, line(err)) }

// line returns an error and what mends it in one line.
func line(err error) string {
	s := "nbhush: " + err.Error()
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		s += "; " + hint.Hint()
	}
	return strings.ReplaceAll(s, "\n", " ")
}

func (h *hook) catch() chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append(slices.Clone(absorbed), forwarded...)...)
	return signals
}

func (h *hook) run(ctx context.Context, c *connection, signals chan os.Signal) (exit Exit, err error) {
	signer, err := wire.NewSigner(c.Scheme, []byte(c.Key))
	if err != nil {
		return Exit{}, err
	}
	dir, err := makeDir(h.RunDir, os.TempDir())
	if err != nil {
		return Exit{}, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	h.link = newLink(h.Connect, h.kernel())
	defer func() { _ = h.link.Close() }()
	h.replays = &replays{tell: h.link.replayed}
	defer h.replays.close()
	h.link.typed.environment(ambient.Environment(h.Env))
	grant, notice := h.register(ctx)

	token := rand.Text()
	endpoint := "ipc://" + filepath.Join(dir.path, "get")
	consent := newConsent(h.link, h.link.kernel, cmp.Or(h.patience, consentTime))
	follower := NewFollower(h.link, h.Program, grant.Values)
	follower.seen, _ = h.link.startEpoch()
	server, err := inject.Listen(endpoint, token, source{consent, follower})
	if err != nil {
		return Exit{}, err
	}
	defer func() { _ = server.Close() }()

	set := map[string]string{"NBHUSH_ENDPOINT": endpoint, "NBHUSH_TOKEN": token, "NBHUSH_EPOCH": ""}
	if epoch, ok := h.link.startEpoch(); ok && h.Epoch != "" {
		// What has changed since the grant is what the kernel asks for before its first cell.
		set["NBHUSH_EPOCH"] = inject.Since(epoch, h.Epoch)
	}
	defer wipe(grant)
	var admit func(net.Conn) error
	if c.curve == nil && !h.OtherUsers { // with CURVE, who connects has the connection file
		s := newStrangers(h.ConnectionFile)
		defer s.Close()
		admit = h.admit(s)
	}
	b := behind{
		hook: h, consent: consent, clients: c, follower: follower, admit: admit, dir: dir.path, signer: signer, notice: notice, grant: grant,
		env: func() []string { return environ(h.Env, grant, set) },
	}
	ways := transports(h.Argv, c.curve != nil)
	for i, transport := range ways {
		var reached bool
		exit, reached, err = b.run(ctx, transport, i == len(ways)-1, signals)
		if reached || err != nil || exit.Signal != nil || exit.Code == 0 {
			break
		}
	}
	return exit, err
}

// source is what a kernel asks.
type source struct {
	*consent
	*Follower
}

// behind is the kernel's side of a hook.
type behind struct {
	*hook
	consent  *consent
	follower *Follower
	clients  *connection
	admit    func(net.Conn) error // to the clients' ports; nil for everybody
	dir      string
	signer   *wire.Signer
	notice   string
	grant    api.Grant // wiped when the kernel has it and will not be started again
	env      func() []string
}

// before returns the code to be executed before a cell.
func (b *behind) before(ctx context.Context, language string) []string {
	return b.follower.before(ctx, b.link.epoch, language)
}

// run starts the kernel, with transport between it and the hook, and returns
// when it has ended. It says whether the kernel could be reached before; if it
// was the last way, nobody starts it again when it was not.
func (b *behind) run(ctx context.Context, transport string, last bool, signals chan os.Signal) (_ Exit, reached bool, err error) {
	kernel, err := b.clients.behind(transport, b.dir)
	if err != nil {
		return Exit{}, false, err
	}
	file := filepath.Join(b.dir, filepath.Base(b.ConnectionFile))
	if err := kernel.write(file); err != nil {
		return Exit{}, false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	redactor := &redact.Redactor{Finder: b.link, Signer: b.signer, Spelled: b.Spelled}
	k, err := b.start(ctx, redirect(b.Argv, b.ConnectionFile, file), b.env(), redactor)
	if err != nil {
		return Exit{}, false, fmt.Errorf("start the kernel: %w", err)
	}
	if last {
		wipe(b.grant)
	}
	forwarding := make(chan struct{})
	defer close(forwarding)
	go forward(signals, k.cmd.Process, forwarding)
	go dieWith(b.Env, k.cmd.Process)

	var up atomic.Bool
	var lost sync.Once
	p := &proxy.Proxy{
		Signer: b.signer, Redactor: redactor, Bootstrap: inject.Bootstrap, Notice: b.notice, Admit: b.admit, Before: b.before,
		Carried: b.memory.carried, Ended: k.ended, Replayed: b.replays.seen,
		Dropped: func(int) {
			lost.Do(func() {
				b.warn(errors.New("a client of this kernel does not read its outputs; the oldest ones for it are dropped"))
			})
		},
		Reached: func() {
			up.Store(true)
			if !last {
				wipe(b.grant)
			}
		},
	}
	b.consent.through(p, k.cmd.Process.Pid)
	carried := make(chan error, 1)
	go func() { carried <- p.Run(ctx, b.clients.endpoints(), kernel.endpoints()) }()
	exit, err := k.finish(carried, cancel)
	return exit, up.Load(), err
}

// admit returns what keeps strangers off the kernel's ports, and says so once for each of them.
func (h *hook) admit(s *strangers) func(net.Conn) error {
	var told sync.Map
	return func(conn net.Conn) error {
		err := s.admit(conn)
		if err != nil {
			if _, again := told.LoadOrStore(err.Error(), true); !again {
				h.warn(err)
			}
		}
		return err
	}
}

// kernel says to the agent what is about to run.
func (h *hook) kernel() api.Kernel {
	k := api.Kernel{API: api.Version, Dir: h.Dir, Argv0: h.Argv[0]}
	switch name := lookup(h.Env, "JPY_SESSION_NAME"); {
	case filepath.Ext(name) == ".ipynb":
		k.Notebook = name
	case name == "":
		k.Notebook = startedFor(os.Getppid())
	}
	k.Profile = lookup(h.Env, "NBHUSH_PROFILE")
	k.Spec, k.Language = lookup(h.Env, envSpec), lookup(h.Env, envLanguage)
	return k
}

// The provisioner says in these what it starts. A kernel does not have them: what
// it starts is another one.
const (
	envSpec     = "NBHUSH_KERNEL_SPEC"
	envLanguage = "NBHUSH_KERNEL_LANGUAGE"
)
