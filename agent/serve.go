package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/audit"
	"github.com/nbhush/nbhush/agent/home"
	"github.com/nbhush/nbhush/agent/match"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/socket"
	"github.com/nbhush/nbhush/agent/store"
	"github.com/nbhush/nbhush/agent/store/vault"
)

// ErrRunning says that another agent serves this home. To whoever wanted one
// to run, that is success.
var ErrRunning = errors.New("an agent runs already")

// Options say what Serve serves. Only Home is needed.
type Options struct {
	Home    home.Home
	Version string       // of the program, for Status
	Store   store.Store  // nil: the one that the settings name
	Log     io.Writer    // nil: the file Home.AgentLog, which is capped
	Looks   match.Finder // of what looks like a secret, for who searches notebooks; nil: known values only

	// UserHome is the folder in which the user's programs keep their credentials,
	// which are known for matching in what kernels show; "" if none are to be.
	UserHome string
}

const (
	startTime = 5 * time.Second // for an agent that is about to start or to stop
	startPoll = 5 * time.Millisecond
	gcPercent = 25 // rather collect often than be large
	maxProcs  = 2  // each more would take a megabyte, and of what else the machine has to do
)

// Serve is the agent. It returns nil after ctx ended, a SIGTERM, a SIGINT or a
// stop request; ErrRunning, at once, if another agent answers at the socket. It
// changes the process: umask 077, not dumpable, no core files, two processors at most.
func Serve(ctx context.Context, o Options) error {
	umask()
	closeInherited()
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(min(maxProcs, runtime.GOMAXPROCS(0)))
	if err := socket.MkdirPrivate(o.Home.Run); err != nil {
		return fmt.Errorf("make the directory of the socket: %w", err)
	}
	lock, err := lockHome(ctx, o.Home)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	if o.Log == nil {
		f, err := openLog(o.Home.AgentLog())
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		o.Log = f
	}
	logger := slog.New(slog.NewTextHandler(o.Log, nil))
	if err := harden(); err != nil {
		logger.Warn("harden the process", "err", err)
	}
	err = serveLocked(ctx, o, logger)
	if err != nil {
		logger.Error("agent ended", "err", err)
	}
	return err
}

// lockHome returns the lock that makes this the only agent. Who finds it taken
// waits until the other agent answers, or until it is gone: an agent that is
// about to stop answers no more, and whoever starts one then must get one.
func lockHome(ctx context.Context, h home.Home) (*flock.Flock, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	lock := flock.New(h.AgentLock(), flock.SetPermissions(0o600))
	for {
		ok, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", h.AgentLock(), err)
		}
		if ok {
			return lock, nil
		}
		if c, err := socket.Dial(ctx, h.Socket()); err == nil {
			_ = c.Close()
			return nil, ErrRunning
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another agent holds %s and does not answer", h.AgentLock())
		case <-time.After(startPoll):
		}
	}
}

// serveLocked serves while the lock is held.
func serveLocked(ctx context.Context, o Options, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, dir := range []string{o.Home.Data, o.Home.State} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	var past *store.Past
	var served *servedFile
	var mover *move
	if o.Store == nil {
		m := newMove(o.Home)
		mover = &m
		if err := m.resume(); err != nil { // all the same everything is where the settings say
			logger.Warn("finish the move between stores", "err", err)
		}
		s, err := chosenStore(o.Home)
		if err != nil {
			return err
		}
		o.Store, past = s, pastOf(s, o.Home.Past())
		path := filepath.Join(o.Home.Run, "served.age")
		served = &servedFile{pastOf(s, path).Store(), path}
	}
	journal, err := audit.Open(o.Home.Audit())
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	defer func() { _ = journal.Close() }()
	settings, err := readAlerts(o.Home.ConfigFile())
	if err != nil { // a mistake there must not keep kernels from their secrets
		logger.Warn("no alerts", "err", err)
	}
	alerts := newAlerts(settings, o.Home.Audit(), logger.Warn)
	if alerts != nil {
		go alerts.run(ctx)
	}
	a := newAgent(parts{
		version: o.Version, store: o.Store, past: past, served: served, index: store.NewIndex(o.Home.Index()),
		approvals: policy.NewApprovals(o.Home.Allowed()), allowed: o.Home.Allowed(), grants: o.Home.Grants(),
		audit: journal, log: logger,
		ghosts: filepath.Join(o.Home.Run, "kernels.json"), stop: cancel, looks: o.Looks, alerts: alerts,
		programs: programs(), userHome: o.UserHome, settings: o.Home.ConfigFile(),
	})
	a.mover = mover
	defer a.close()
	if err := a.epoch.open(filepath.Join(o.Home.Run, api.EpochFile), logger); err != nil {
		return err
	}
	a.grants.sweep(a.kernels, logger)
	l, err := socket.Listen(o.Home.Socket())
	if err != nil {
		return err
	}
	a.endWithSocket(ctx, o.Home.Socket(), l)
	return a.serve(ctx, l)
}

// serve closes l.
func (a *agent) serve(ctx context.Context, l net.Listener) error {
	defer func() { _ = l.Close() }()
	if !a.kernels.any() {
		a.values.dropServed()
	}
	if err := a.note(audit.Entry{Who: a.self(), Op: audit.OpStart, Verdict: audit.Allowed}); err != nil {
		return err
	}
	a.values.open()
	go unmapProgram() // most of which was for the start
	err := newServer(a, l).serve(ctx)
	a.giveAllBack()
	err = errors.Join(err, a.note(audit.Entry{Who: a.self(), Op: audit.OpStop, Verdict: audit.Allowed}))
	a.heads.save(a)
	return err
}

// self is this process, which does some things that nobody asked for.
func (a *agent) self() audit.Who { return audit.Who{PID: os.Getpid(), Exe: executable(os.Getpid())} }

// programs is the folder of this program, in which nbhush-providers is too.
func programs() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(path)
}

// chosenStore is the store that the settings name. Without a choice it is the
// vault, which works everywhere and asks nothing.
func chosenStore(h home.Home) (store.Store, error) {
	kind, err := store.Chosen(h.ConfigFile())
	if err != nil {
		return nil, err
	}
	if kind == store.KindKeyring {
		return vault.Keyring(h.Vault()), nil
	}
	return vault.Open(h.Vault()), nil
}
