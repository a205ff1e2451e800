package agent

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nbhush/nbhush/agent/api"
	"github.com/nbhush/nbhush/agent/policy"
	"github.com/nbhush/nbhush/agent/socket"
)

// kernel is one registered hook and what runs below it. But for the last three
// fields it does not change after it was registered.
type kernel struct {
	id    string
	proc  socket.Process // the hook
	also  socket.Process // the kernel itself, where it does not descend from proc and is known; else PID 0
	info  api.Kernel
	outer *kernel // the kernel that this one runs inside of, or nil
	ghost bool    // read from the file of the last agent; its hook has not come back yet

	// notebook is the path of the notebook, which grants may be for: it is known
	// if the kernel runs in the notebook's own folder.
	notebook string
	dir      string // in which it runs, without symbolic links

	chosen atomic.Pointer[policy.Choice] // the profile of its session, once that is known
	given  sync.Map                      // names, as they were asked for, that it got once

	// sourced are the sources, as values calls them, of what it got of providers.
	// kernels.mu guards it; what it holds does not change.
	sourced []string
}

// key is what grants for this kernel call it.
func (k *kernel) key() string { return processKey(k.proc) }

func processKey(p socket.Process) string { return fmt.Sprintf("%d-%d", p.PID, p.Start) }

// notebookOf returns the path of the notebook that a hook named, without
// symbolic links in its folders. A name is not believed alone: a kernelspec may
// set it, but where a kernel runs is up to whoever starts it.
func notebookOf(k api.Kernel) string {
	if !filepath.IsAbs(k.Notebook) {
		return ""
	}
	of, err1 := filepath.EvalSymlinks(filepath.Dir(k.Notebook))
	runs, err2 := filepath.EvalSymlinks(k.Dir)
	if err1 != nil || err2 != nil || of != runs {
		return ""
	}
	return filepath.Join(of, filepath.Base(k.Notebook))
}

// realDir returns dir without symbolic links, as far as it is there.
func realDir(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return filepath.Clean(dir)
}

// kernels are the registered ones. It is safe for concurrent use.
type kernels struct {
	mu   sync.Mutex
	live []*kernel // in the order in which they came
	file ghostFile

	frozen bool
}

// of returns the kernel that a process with these ancestors belongs to: the
// one whose hook is nearest, the latest one of that hook. Nil is the owner.
func (ks *kernels) of(line []socket.Process) *kernel {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return ks.nearest(line)
}

func (ks *kernels) nearest(line []socket.Process) *kernel {
	for _, p := range line {
		for _, k := range slices.Backward(ks.live) {
			if k.is(p) {
				return k
			}
		}
	}
	return nil
}

// below reports whether a process belongs to a kernel, or has gone.
func (ks *kernels) below(pid int) bool {
	line, err := socket.Ancestors(pid)
	return err != nil || ks.of(line) != nil
}

// is reports whether p is the top of what the kernel consists of.
func (k *kernel) is(p socket.Process) bool {
	return k.proc.Is(p) || k.also.PID != 0 && k.also.Is(p)
}

// add registers the kernel whose hook is line[0]. For one that is attached,
// running has its own process and that one's ancestors, if it is known. It is nil
// if that process belongs to a kernel already, of another hook.
func (ks *kernels) add(line, running []socket.Process, info api.Kernel) *kernel {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	k := &kernel{id: "k-" + rand.Text()[:12], proc: line[0], info: info, notebook: notebookOf(info), dir: realDir(info.Dir)}
	// The hook itself came back: it takes the place of its ghost.
	ks.live = slices.DeleteFunc(ks.live, func(g *kernel) bool {
		back := g.ghost && g.proc.Is(k.proc)
		if back {
			k.sourced = append(k.sourced, g.sourced...)
		}
		return back
	})
	if len(running) > 0 {
		if other := ks.nearest(running); other != nil && !other.proc.Is(k.proc) {
			return nil
		}
		k.also = running[0]
	}
	k.outer = ks.nearest(line)
	ks.live = append(ks.live, k)
	ks.file.save(ks.live)
	return k
}

// remove ends k and reports whether no kernel is left. Where it is this agent that
// ends, the kernel does not, and what is kept for it stays.
func (ks *kernels) remove(k *kernel) (none bool) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if ks.frozen {
		return false
	}
	ks.live = slices.DeleteFunc(ks.live, func(o *kernel) bool { return o == k })
	ks.file.save(ks.live)
	return len(ks.live) == 0
}

// gets notes that k gets a value of a provider.
func (ks *kernels) gets(k *kernel, source string) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if !slices.Contains(k.sourced, source) {
		k.sourced = append(slices.Clip(k.sourced), source)
		ks.file.save(ks.live)
	}
}

// servedTo returns the sources of what k got of providers.
func (ks *kernels) servedTo(k *kernel) []string {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return k.sourced
}

func (ks *kernels) count() int {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	n := 0
	for _, k := range ks.live {
		if !k.ghost {
			n++
		}
	}
	return n
}

// any reports whether a kernel may hold values now.
func (ks *kernels) any() bool {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return len(ks.live) > 0
}

// freeze leaves the file as it is, for the next agent: the hooks outlive this one.
func (ks *kernels) freeze() {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	ks.file.path = ""
	ks.frozen = true
}

// has reports whether a kernel with this key is registered or was with the last agent.
func (ks *kernels) has(key string) bool {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	return slices.ContainsFunc(ks.live, func(k *kernel) bool { return k.key() == key })
}

// notebook returns the notebook of the kernel with this key, "" where it is not known.
func (ks *kernels) notebook(key string) string {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	for _, k := range ks.live {
		if k.key() == key {
			return k.notebook
		}
	}
	return ""
}

// over reports whether nothing will ask for this kernel again: it ended, and not this agent.
func (ks *kernels) over(k *kernel) bool {
	ks.mu.Lock()
	frozen := ks.frozen
	ks.mu.Unlock()
	return !frozen && !ks.has(k.key())
}
