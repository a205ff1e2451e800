package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nbhush/nbhush/kernelhook"
)

const (
	answerTime = 2 * time.Second // for the heartbeat of a kernel, and for a server
	maxFiles   = 2000            // connection files that are looked at, the newest
	maxDials   = 64              // at a time
)

// Kernel is a running kernel.
type Kernel struct {
	ID       string           `json:"id"`   // as its connection file is called
	File     string           `json:"file"` // its connection file
	State    kernelhook.State `json:"state"`
	Profile  string           `json:"profile,omitempty"`  // of one that is attached to
	Notebook string           `json:"notebook,omitempty"` // absolute, where a Jupyter server of this user knows it
	PID      int              `json:"pid,omitempty"`      // where that can be found out
	Dir      string           `json:"dir,omitempty"`      // the notebook's folder, or else the process's own
}

// Places are where running kernels leave their traces.
type Places struct {
	Runtime string // Jupyter's runtime directory
	Run     string // home.Home.Run
}

// Kernels returns the kernels that answer, in the order of their ids.
func (p Places) Kernels(ctx context.Context) ([]Kernel, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	books := make(chan map[string]string, 1)
	go func() { books <- notebooks(ctx, p.Runtime) }()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		found []Kernel
	)
	slots := make(chan struct{}, maxDials)
	for _, file := range files {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if !p.Answers(ctx, file) {
				return
			}
			k, err := p.look(file)
			if err != nil {
				return // it has ended since
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, k)
		})
	}
	wg.Wait()
	notebook := <-books
	for i := range found {
		found[i].know(notebook[found[i].ID])
	}
	slices.SortFunc(found, func(a, b Kernel) int { return strings.Compare(a.ID, b.ID) })
	return found, ctx.Err()
}

// Kernel returns the kernel of one connection file, which answers or is about to.
func (p Places) Kernel(ctx context.Context, file string) (Kernel, error) {
	k, err := p.look(file)
	if err == nil {
		k.know(notebooks(ctx, p.Runtime)[k.ID])
	}
	return k, err
}

// files lists the connection files, the newest ones if there are too many.
func (p Places) files() ([]string, error) {
	entries, err := os.ReadDir(p.Runtime)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for kernels: %w", err)
	}
	type aged struct {
		path string
		time time.Time
	}
	var all []aged
	for _, e := range entries {
		if _, ok := IDOf(e.Name()); !ok {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			all = append(all, aged{filepath.Join(p.Runtime, e.Name()), st.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return b.time.Compare(a.time) })
	var files []string
	for _, a := range all[:min(len(all), maxFiles)] {
		files = append(files, a.path)
	}
	return files, nil
}

// IDOf returns the id of the kernel whose connection file has this name, and
// whether it is the name of one.
func IDOf(file string) (id string, ok bool) {
	id, ok = strings.CutPrefix(filepath.Base(file), "kernel-")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(id, ".json")
}

// Answers reports whether a kernel answers its heartbeat. Files of kernels that
// have ended are many where they were killed; a refused connection costs nothing.
func (Places) Answers(ctx context.Context, file string) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	at, _, err := kernelhook.Connection(file)
	if err != nil {
		return false
	}
	network, address := "tcp", strings.TrimPrefix(at.Heartbeat, "tcp://")
	if path, ok := strings.CutPrefix(at.Heartbeat, "ipc://"); ok {
		network, address = "unix", path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) || err != nil {
		return false
	}
	_ = conn.Close()
	c, err := Dial(ctx, file)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// look says what is known of the kernel of a connection file without asking anybody.
func (p Places) look(file string) (k Kernel, err error) {
	k.File, err = filepath.Abs(file)
	if err != nil {
		return k, err
	}
	// One that lies elsewhere may be called anything.
	k.ID = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "kernel-"), ".json")
	if k.State, k.Profile, err = kernelhook.StateOf(p.Run, k.File); err != nil {
		return k, err
	}
	at, _, err := kernelhook.Connection(k.File)
	if err != nil {
		return k, err
	}
	k.PID = listener(at.Shell)
	return k, nil
}

// know fills in what depends on the notebook.
func (k *Kernel) know(notebook string) {
	if k.Notebook = notebook; notebook != "" {
		k.Dir = filepath.Dir(notebook)
	} else if k.PID != 0 {
		k.Dir = folder(k.PID)
	}
}
